"""Parses one configuration file and remembers on which line every field stands."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from rag_pipelines.core.errors import ConfigError

Location = tuple[str | int, ...]
SUFFIXES = (".yaml", ".yml", ".json")
_TEXT, _MERGE = "tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """One parsed file: its data and the line of every key and list item."""

    path: Path
    data: dict[str, Any]
    lines: Mapping[Location, int]

    def line(self, location: Sequence[str | int]) -> int:
        """Line of the deepest part of the location that stands in the file."""
        return self.lines.get(self.present(location), 1)

    def present(self, location: Sequence[str | int]) -> Location:
        """The deepest part of the location that stands in the file; empty where none does."""
        for length in range(len(location), 0, -1):
            if tuple(location[:length]) in self.lines:
                return tuple(location[:length])
        return ()


def read_file(path: Path) -> ConfigFile:
    """Parse YAML or, by its suffix, JSON. Raises ConfigError on syntax and repeated keys."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    try:
        if path.suffix.lower() == ".json":
            data, lines = _read_json(path, text), _lines_of_json(path, text)
        else:
            node = yaml.compose(text, Loader=yaml.SafeLoader)
            data = yaml.safe_load(text)
            lines = {} if node is None else dict(_positions(node, (), path))
    except RecursionError as error:
        raise ConfigError(f"{path}: is nested too deeply, or an alias in it contains itself") from error
    except yaml.YAMLError as error:
        problem = _syntax_error(path, text, error)
    else:
        if not isinstance(data, dict):
            raise ConfigError(f"{path}:1: must be a mapping of fields, for example `source: handbook`")
        return ConfigFile(path=path, data=data, lines=lines)
    # Outside the handler: the parser's error quotes the line, and a secret may stand on it.
    raise ConfigError(problem)


def _syntax_error(path: Path, text: str, error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.reader.ReaderError):
        line = text.count("\n", 0, error.position) + 1
        code = error.character if isinstance(error.character, int) else ord(error.character)
        return f"{path}:{line}: is not YAML: character U+{code:04X} is not allowed"
    mark = getattr(error, "problem_mark", None)
    line_of_mark = f":{mark.line + 1}" if mark else ""
    return f"{path}{line_of_mark}: is not YAML: {getattr(error, 'problem', None) or type(error).__name__}"


def _read_json(path: Path, text: str) -> Any:
    """As the standard library reads it: YAML would refuse tabs and `\\/`, and break escaped emoji."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, value in pairs:
            if name in found:
                raise ConfigError(f"{path}: {name} is given twice")
            found[name] = value
        return found

    try:
        return json.loads(text, object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        problem = f"{path}:{error.lineno}: is not JSON: {error.msg}"
    raise ConfigError(problem)


def _lines_of_json(path: Path, text: str) -> dict[Location, int]:
    try:
        node = yaml.compose(text.replace("\t", " ").replace("\\/", "/"), Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        return {}
    return {} if node is None else dict(_positions(node, (), path))


def _positions(node: yaml.Node, location: Location, path: Path) -> Iterator[tuple[Location, int]]:
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.tag == _MERGE:
                for merged in value.value if isinstance(value, yaml.SequenceNode) else (value,):
                    yield from _positions(merged, location, path)
                continue
            name, line = str(key.value), key.start_mark.line + 1
            if key.tag != _TEXT:
                raise ConfigError(f"{path}:{line}: the key {name} is no text to YAML; put it in quotes")
            if name in seen:
                raise ConfigError(f"{path}:{line}: {name} is given twice")
            seen.add(name)
            yield (*location, name), line
            yield from _positions(value, (*location, name), path)
    elif isinstance(node, yaml.SequenceNode):
        for position, value in enumerate(node.value):
            yield (*location, position), value.start_mark.line + 1
            yield from _positions(value, (*location, position), path)

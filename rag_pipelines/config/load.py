"""Reads the configuration files; an error names file, line and field and suggests the nearest valid name."""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from rag_pipelines.config.models import IndexConfig, ServiceConfig, SourceConfig
from rag_pipelines.core.errors import ConfigError

M = TypeVar("M", bound=BaseModel)
Path_ = tuple[str | int, ...]
SUFFIXES = (".yaml", ".yml", ".json")


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """One parsed file: its data and the line of every key and list item."""

    path: Path
    data: Any
    lines: Mapping[Path_, int]

    def line(self, location: Sequence[str | int]) -> int:
        """Line of the deepest part of the location that stands in the file."""
        for length in range(len(location), 0, -1):
            if tuple(location[:length]) in self.lines:
                return self.lines[tuple(location[:length])]
        return 1


@dataclass(frozen=True, slots=True)
class Configuration:
    """All of `configs/`, validated. Relative paths in it resolve against `root`, the parent of `configs/`."""

    root: Path
    sources: Mapping[str, SourceConfig]
    indexes: Mapping[str, IndexConfig]
    service: ServiceConfig

    def sources_of(self, index: str) -> tuple[str, ...]:
        """Names of the sources that the index reads, sorted."""
        return tuple(name for name in self.sources if self.indexes[index].covers(name))

    def index_named(self, name: str | None) -> IndexConfig:
        """The index of that name; without a name the default or the only one. Raises ConfigError."""
        wanted = name or self.service.default_index
        if wanted is None:
            if len(self.indexes) == 1:
                return next(iter(self.indexes.values()))
            raise ConfigError(f"say which index: --index with one of {', '.join(self.indexes) or '(none)'}")
        if wanted not in self.indexes:
            raise ConfigError(f"there is no index {wanted!r}{suggest(wanted, list(self.indexes))}")
        return self.indexes[wanted]

    def source_named(self, name: str) -> SourceConfig:
        """The source of that name. Raises ConfigError with the nearest one."""
        if name not in self.sources:
            raise ConfigError(f"there is no source {name!r}{suggest(name, list(self.sources))}")
        return self.sources[name]


def suggest(name: str, valid: Sequence[str]) -> str:
    """`; did you mean 'x'?`, else the list of what is valid."""
    near = difflib.get_close_matches(name, valid, n=1, cutoff=0.6)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; valid: {', '.join(valid)}" if valid else ""


def load_configuration(
    configs: Path, params_models: Mapping[str, type[BaseModel]] | None = None
) -> Configuration:
    """Read and check every file below `configs`.

    `params_models` maps a connector's name to the model of its `params`; None leaves them unchecked,
    which is for readers that never open a source. Raises ConfigError.
    """
    if not configs.is_dir():
        raise ConfigError(
            f"{configs} is not a directory; run from the project's root or set RAG_CONFIGS to the "
            "directory that holds sources/ and indexes/"
        )
    sources: dict[str, SourceConfig] = {}
    for file in _files(configs / "sources"):
        source = validate(file, SourceConfig)
        if params_models is not None:
            _check_params(file, source, params_models)
        _add(sources, source.source, source, file, "source")
    indexes: dict[str, IndexConfig] = {}
    for file in _files(configs / "indexes"):
        index = validate(file, IndexConfig)
        for position, name in enumerate(index.sources):
            if name != "*" and name not in sources:
                raise _error(
                    file, ("sources", position), f"there is no source {name!r}{suggest(name, list(sources))}"
                )
        _add(indexes, index.index, index, file, "index")
    service_path = next((p for s in SUFFIXES if (p := configs / f"service{s}").exists()), None)
    if service_path is None:
        raise ConfigError(f"{configs / 'service.yaml'} is missing; it must name at least principal.tenant")
    service_file = read_file(service_path)
    service = validate(service_file, ServiceConfig)
    default = service.default_index
    if default is not None and default not in indexes:
        raise _error(
            service_file,
            ("default_index",),
            f"there is no index {default!r}{suggest(default, list(indexes))}",
        )
    return Configuration(
        root=configs.parent,
        sources=dict(sorted(sources.items())),
        indexes=dict(sorted(indexes.items())),
        service=service,
    )


def read_file(path: Path) -> ConfigFile:
    """Parse YAML (JSON is YAML) and remember lines. Raises ConfigError on syntax and repeated keys."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise ConfigError(f"{path}{line}: is not YAML: {getattr(error, 'problem', error)}") from error
    if not isinstance(data, dict):
        raise ConfigError(f"{path}:1: must be a mapping of fields, for example `source: handbook`")
    lines: dict[Path_, int] = {}
    if node is not None:
        for location, line_number in _positions(node, (), path):
            lines[location] = line_number
    return ConfigFile(path=path, data=data, lines=lines)


def validate(file: ConfigFile, model: type[M], data: Any = None, prefix: Path_ = ()) -> M:
    """The file as a model. Raises one ConfigError that lists every mistake with its line."""
    try:
        return model.model_validate(file.data if data is None else data)
    except ValidationError as error:
        problems = [
            _describe(file, model, prefix, detail)
            for detail in error.errors(include_url=False, include_context=True)
        ]
        raise ConfigError("\n".join(problems)) from error


def _files(folder: Path) -> list[ConfigFile]:
    if not folder.is_dir():
        return []
    return [read_file(path) for path in sorted(folder.iterdir()) if path.suffix in SUFFIXES]


def _add(known: dict[str, M], name: str, value: M, file: ConfigFile, kind: str) -> None:
    if name in known:
        raise _error(file, (kind,), f"{kind} {name!r} is already defined in another file of this folder")
    known[name] = value


def _check_params(
    file: ConfigFile, source: SourceConfig, params_models: Mapping[str, type[BaseModel]]
) -> None:
    if source.connector not in params_models:
        hint = suggest(source.connector, list(params_models))
        raise _error(file, ("connector",), f"there is no connector {source.connector!r}{hint}")
    validate(file, params_models[source.connector], source.params, ("params",))


def _positions(node: yaml.Node, location: Path_, path: Path) -> Iterator[tuple[Path_, int]]:
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            name = str(key.value)
            if name in seen:
                raise ConfigError(f"{path}:{key.start_mark.line + 1}: {name} is given twice")
            seen.add(name)
            yield (*location, name), key.start_mark.line + 1
            yield from _positions(value, (*location, name), path)
    elif isinstance(node, yaml.SequenceNode):
        for position, value in enumerate(node.value):
            yield (*location, position), value.start_mark.line + 1
            yield from _positions(value, (*location, position), path)


def _error(file: ConfigFile, location: Path_, message: str) -> ConfigError:
    field = ".".join(str(part) for part in location)
    return ConfigError(f"{file.path}:{file.line(location)}: {field}: {message}")


def _describe(file: ConfigFile, model: type[BaseModel], prefix: Path_, detail: Any) -> str:
    location: Path_ = (*prefix, *detail["loc"])
    kind = detail["type"]
    message = str(detail["msg"]).removeprefix("Value error, ")
    if kind == "extra_forbidden":
        valid = _fields_at(model, detail["loc"][:-1])
        message = f"there is no such field{suggest(str(detail['loc'][-1]), valid)}"
    elif kind == "missing":
        message = "is required and missing"
    elif kind in ("literal_error", "enum"):
        valid = _choices(str(detail.get("ctx", {}).get("expected", "")))
        message = f"{detail['input']!r} is not one of the choices{suggest(str(detail['input']), valid)}"
    elif kind == "string_pattern_mismatch":
        message = f"{detail['input']!r} does not match {detail['ctx']['pattern']}"
    field = ".".join(str(part) for part in location) or model.__name__
    return f"{file.path}:{file.line(location)}: {field}: {message}"


def _choices(expected: str) -> list[str]:
    return [part.strip(" '") for part in expected.replace(" or ", ", ").split(",") if part.strip(" '")]


def _fields_at(model: type[BaseModel], location: Sequence[str | int]) -> list[str]:
    """Names of the fields of the model nested at the location; empty where it cannot be told."""
    current: type[BaseModel] | None = model
    for part in location:
        if current is None:
            return []
        field = current.model_fields.get(str(part))
        if field is None:
            continue
        current = _model_in(field.annotation)
    return list(current.model_fields) if current is not None else []


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    origin = get_origin(annotation)
    if origin is Literal:
        return None
    if origin in (Union, types.UnionType, dict, tuple, list):
        return next((m for part in get_args(annotation) if (m := _model_in(part)) is not None), None)
    return None

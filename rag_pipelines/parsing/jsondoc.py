"""JSON, JSON lines and YAML as text that reads as `path: value`; notebooks as what is in them."""

from __future__ import annotations

import html
import itertools
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from rag_pipelines.core.errors import ParseError
from rag_pipelines.core.types import ElementKind, ParsedDocument
from rag_pipelines.parsing.builder import DocumentBuilder, clean
from rag_pipelines.parsing.encoding import decode
from rag_pipelines.parsing.noise import shortened, without_blobs
from rag_pipelines.parsing.notebook import add_notebook, is_notebook
from rag_pipelines.parsing.registry import JSON, JSONL, YAML

VERSION = 2
USES = ("rag_pipelines.parsing.markdown",)

_TOP_LEVEL = re.compile(r"\n(?:[^\S\n]*\n)+(?=\S)|\n(?=---)")
_INDICES = re.compile(r"(?:\[\d+\])+\Z")
_MATRIX = 4
_HTML_TAG = re.compile(r"<[A-Za-z/!][^<>]*>")


def parse_json(data: bytes, name: str) -> ParsedDocument:
    """One paragraph for each record: an entry of a top-level list, or of a list below a top-level key."""
    text, _ = decode(data)
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        records = _lines_or_none(text)
        if records is None:
            raise ParseError(f"is not valid JSON: {error}") from error
        return _from_records(records, JSONL)
    builder = DocumentBuilder()
    if is_notebook(value):
        add_notebook(builder, value)
        return builder.build(JSON, "notebook")
    if isinstance(value, dict) and {"version", "sources", "mappings"} <= value.keys():
        raise ParseError("is a source map, which holds places in generated code and no text; exclude it")
    for group in _groups(value):
        builder.add(ElementKind.PARAGRAPH, "\n".join(group), keep_lines=True)
    return builder.build(JSON, "json", title=_title(value))


def parse_jsonl(data: bytes, name: str) -> ParsedDocument:
    """One paragraph for each line. A file that is one JSON value after all is read as that."""
    text, _ = decode(data)
    records = _lines_or_none(text)
    if records is None:
        return parse_json(data, name)
    return _from_records(records, JSONL)


def parse_yaml(data: bytes, name: str) -> ParsedDocument:
    """As it stands, comments included, in blocks cut at empty lines between top-level keys."""
    text, encoding = decode(data)
    builder = DocumentBuilder()
    for block in _TOP_LEVEL.split(clean(text)):
        builder.add(ElementKind.CODE, without_blobs(block))
    return builder.build(YAML, "yaml", metadata={"encoding": encoding})


def _from_records(records: Iterable[Any], media_type: str) -> ParsedDocument:
    builder = DocumentBuilder()
    for record in records:
        builder.add(ElementKind.PARAGRAPH, "\n".join(_lines(record, "")), keep_lines=True)
    return builder.build(media_type, "json")


def _lines_or_none(text: str) -> list[Any] | None:
    """The values of the lines; a few that are not JSON stay text, None where most are not."""
    records: list[Any] = []
    broken = 0
    for line in text.splitlines():
        if line.strip():
            try:
                records.append(json.loads(line))
            except json.JSONDecodeError:
                records.append(line)
                broken += 1
                if broken > 20 and broken * 2 > len(records):
                    return None
    return records if records and broken * 10 <= len(records) else None


def _groups(value: Any) -> Iterator[list[str]]:
    """Lines that belong together."""
    if isinstance(value, list):
        if all(isinstance(item, dict) for item in value):
            for item in value:
                yield list(_lines(item, ""))
        else:
            yield list(_lines(value, ""))
    elif isinstance(value, dict):
        yield [line for key, item in value.items() if not _is_nested(item) for line in _lines(item, str(key))]
        for key, item in value.items():
            if isinstance(item, list) and all(isinstance(entry, dict) for entry in item):
                for index, entry in enumerate(item):
                    yield list(_lines(entry, f"{key}[{index}]"))
            elif _is_nested(item):
                yield list(_lines(item, str(key)))
    else:
        yield list(_lines(value, ""))


def _is_nested(value: Any) -> bool:
    return isinstance(value, (dict, list))


def _lines(value: Any, path: str) -> Iterator[str]:
    """`path: value` for each scalar that says something; long series of numbers are shortened."""
    leaves = itertools.groupby(_leaves(value, path), key=lambda leaf: (_INDICES.sub("", leaf[0]), leaf[2]))
    for (start, is_series), group in leaves:
        entries = list(group)
        numbers = [number for _, texts, _ in entries for number in texts]
        if is_series and len(entries) > 1 and len(numbers) > _MATRIX:
            yield _line(start, shortened(numbers, _MATRIX))
        elif is_series:
            yield from (_line(here, shortened(texts)) for here, texts, _ in entries)
        else:
            yield from (_line(here, ", ".join(texts)) for here, texts, _ in entries)


def _leaves(value: Any, path: str) -> Iterator[tuple[str, list[str], bool]]:
    """Path, values, and whether they are a list of numbers; depth first without recursion."""
    stack: list[tuple[str, Any]] = [(path, value)]
    while stack:
        here, item = stack.pop()
        if isinstance(item, dict):
            stack.extend(
                (f"{here}.{key}" if here else str(key), entry) for key, entry in reversed(item.items())
            )
        elif not isinstance(item, list):
            texts = [text for text in (_scalar(item),) if text]
            if texts and item is not None:
                yield here, texts, False
        elif item and not any(_is_nested(entry) for entry in item):
            texts = [text for text in map(_scalar, item) if text]
            if texts:
                yield here, texts, all(isinstance(entry, (int, float)) for entry in item)
        else:
            stack.extend((f"{here}[{index}]", entry) for index, entry in _reversed(item))


def _reversed(items: list[Any]) -> Iterator[tuple[int, Any]]:
    return zip(range(len(items) - 1, -1, -1), reversed(items), strict=True)


def _line(path: str, value: str) -> str:
    return f"{path}: {value}" if path else value


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        if value.startswith("<") and value.endswith(">") and "</" in value:
            value = " ".join(html.unescape(_HTML_TAG.sub(" ", value)).split())
        return without_blobs(value)
    return json.dumps(value) if value is None or isinstance(value, bool) else str(value)


def _title(value: Any) -> str | None:
    if isinstance(value, dict):
        for key in ("title", "name"):
            if isinstance(value.get(key), str):
                return str(value[key])
    return None

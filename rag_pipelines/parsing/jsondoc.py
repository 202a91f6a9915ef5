"""JSON, JSON lines, notebooks, YAML and XML as text that reads as `path: value`."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from rag_pipelines.core.errors import ParseError
from rag_pipelines.core.types import ElementKind, ParsedDocument
from rag_pipelines.parsing.builder import DocumentBuilder, clean
from rag_pipelines.parsing.encoding import decode, wide_encoding
from rag_pipelines.parsing.registry import JSON, JSONL, XML, YAML

VERSION = 1

_TOP_LEVEL = re.compile(r"\n(?:[^\S\n]*\n)+(?=\S)|\n(?=---)")
_DECLARATION = re.compile(r"\A\s*<\?xml[^>]*\?>")


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
    if isinstance(value, dict) and "cells" in value and "nbformat" in value:
        _add_notebook(builder, value)
        return builder.build(JSON, "notebook")
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
        builder.add(ElementKind.CODE, block)
    return builder.build(YAML, "yaml", metadata={"encoding": encoding})


def parse_xml(data: bytes, name: str) -> ParsedDocument:
    """One paragraph for each child of the root; neither entities nor DTDs are loaded."""
    from lxml import etree

    if wide_encoding(data) is not None:
        data = _DECLARATION.sub("", decode(data)[0]).encode()
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise ParseError(f"is not well-formed XML: {error}") from error
    builder = DocumentBuilder()
    own = list(_attributes(root, "")) + ([root.text] if root.text and root.text.strip() else [])
    builder.add(ElementKind.PARAGRAPH, "\n".join(own), keep_lines=True)
    for child in root:
        builder.add(ElementKind.PARAGRAPH, "\n".join(_xml_lines(child, _tag(child))), keep_lines=True)
        builder.add(ElementKind.PARAGRAPH, child.tail or "")
    return builder.build(XML, "lxml")


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
        if all(isinstance(item, (dict, list)) for item in value):
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
    """`path: value` for each scalar that says something; depth first without recursion."""
    stack: list[tuple[str, Any]] = [(path, value)]
    while stack:
        here, item = stack.pop()
        if isinstance(item, dict):
            stack.extend(
                (f"{here}.{key}" if here else str(key), entry) for key, entry in reversed(item.items())
            )
        elif isinstance(item, list):
            if item and not any(_is_nested(entry) for entry in item):
                yield _line(here, ", ".join(map(_scalar, item)))
            else:
                stack.extend((f"{here}[{index}]", entry) for index, entry in _reversed(item))
        elif item is not None and item != "":
            yield _line(here, _scalar(item))


def _reversed(items: list[Any]) -> Iterator[tuple[int, Any]]:
    return zip(range(len(items) - 1, -1, -1), reversed(items), strict=True)


def _line(path: str, value: str) -> str:
    return f"{path}: {value}" if path else value


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value) if value is None or isinstance(value, bool) else str(value)


def _title(value: Any) -> str | None:
    if isinstance(value, dict):
        for key in ("title", "name"):
            if isinstance(value.get(key), str):
                return str(value[key])
    return None


def _add_notebook(builder: DocumentBuilder, notebook: dict[str, Any]) -> None:
    """Markdown cells as Markdown, code cells as code; outputs are left out."""
    from rag_pipelines.parsing.markdown import add_markdown

    for cell in notebook["cells"]:
        source = cell.get("source", "") if isinstance(cell, dict) else ""
        text = clean("".join(map(str, source)) if isinstance(source, list) else str(source))
        if isinstance(cell, dict) and cell.get("cell_type") == "markdown":
            add_markdown(builder, text)
        else:
            builder.add(ElementKind.CODE, text)


def _tag(node: Any) -> str:
    return str(node.tag).rpartition("}")[2]


def _attributes(node: Any, path: str) -> Iterator[str]:
    for key, value in node.attrib.items():
        if value.strip():
            yield _line(f"{path}@{str(key).rpartition('}')[2]}", value)


def _xml_lines(node: Any, path: str) -> Iterator[str]:
    """libxml2 holds the depth to 256, so recursion is safe."""
    yield from _attributes(node, path)
    texts = [node.text or "", *(child.tail or "" for child in node)]
    mixed = len(node) > 0 and any(text.strip() for text in texts)
    if mixed or len(node) == 0:
        text = " ".join("".join(node.itertext()).split())
        if text:
            yield _line(path, text)
        return
    yield from itertools.chain.from_iterable(_xml_lines(child, f"{path}.{_tag(child)}") for child in node)

"""XML as text that reads as `path: value`, and SVG drawings as the words in them."""

from __future__ import annotations

import importlib
import itertools
import re
from collections.abc import Iterator
from typing import Any

from rag_pipelines.core.errors import ParseError
from rag_pipelines.core.types import ElementKind, ParsedDocument
from rag_pipelines.parsing import plain
from rag_pipelines.parsing.builder import DocumentBuilder, one_line
from rag_pipelines.parsing.encoding import decode, wide_encoding
from rag_pipelines.parsing.noise import without_blobs, without_series
from rag_pipelines.parsing.registry import SVG, XML

VERSION = 1
USES = ("rag_pipelines.parsing.plain",)

_DECLARATION = re.compile(r"\A\s*<\?xml[^>]*\?>")
_STRAY = re.compile(rb"&(?!#?\w+;)")
_LIMIT_CODES = frozenset({89, 114})
"""XML_ERR_ENTITY_LOOP and XML_ERR_RESOURCE_LIMIT."""
_TAG = re.compile(r"<!--.*?(?:-->|\Z)|<[A-Za-z/!?][^<>]*>", re.S)
_SVG_NAMESPACE = "http://www.w3.org/2000/svg"
_WRITTEN = frozenset({"title", "desc", "text", "foreignObject"})
_LAYOUT = frozenset(
    (
        *("style", "class", "transform", "d", "points", "viewBox", "preserveAspectRatio"),
        *("schemaLocation", "noNamespaceSchemaLocation", "space"),
    )
)


def parse_xml(data: bytes, name: str) -> ParsedDocument:
    """One paragraph for each child of the root; neither entities nor DTDs are loaded.

    What is not well-formed, such as a template, is read as far as it makes a tree; where that would lose text,
    as plain text.
    """
    root = _root_or_none(data)
    if root is None:
        return plain.parse(data, name)
    if _is_svg(root):
        return _drawing(root)
    builder = DocumentBuilder()
    own = list(_attributes(root, "")) + ([root.text] if root.text and root.text.strip() else [])
    builder.add(ElementKind.PARAGRAPH, "\n".join(own), keep_lines=True)
    for child in root:
        builder.add(ElementKind.PARAGRAPH, "\n".join(_lines(child, _tag(child))), keep_lines=True)
        builder.add(ElementKind.PARAGRAPH, child.tail or "")
    return builder.build(XML, f"lxml/{VERSION}")


def parse_svg(data: bytes, name: str) -> ParsedDocument:
    """The title, descriptions and labels of a drawing, in the order of the file; never its paths."""
    return parse_xml(data, name)


def preload() -> None:
    """Import the library."""
    importlib.import_module("lxml.etree")


def _root_or_none(data: bytes) -> Any:
    """The tree, or None where it is only text. Raises ParseError for what attacks parsers."""
    from lxml import etree

    if wide_encoding(data) is not None:
        data = _DECLARATION.sub("", decode(data)[0]).encode()
    options = {"resolve_entities": False, "no_network": True, "load_dtd": False, "huge_tree": False}
    options |= {"remove_comments": True, "remove_pis": True}
    try:
        return etree.fromstring(data, etree.XMLParser(**options))
    except etree.XMLSyntaxError as error:
        if _is_attack(error):
            raise ParseError(f"is not well-formed XML: {error}") from error
    root = etree.fromstring(_STRAY.sub(b"&amp;", data), etree.XMLParser(**options, recover=True))
    shown = decode(data)[0]
    kept = 0 if root is None else _letters(" ".join(root.itertext()))
    return root if 10 * kept >= 9 * _letters(_TAG.sub(" ", shown)) else None


def _is_attack(error: Any) -> bool:
    """Nesting and entities beyond libxml2's limits, by code or, as older ones have none for it, by message."""
    return error.code in _LIMIT_CODES or any(word in str(error).lower() for word in ("huge", "depth"))


def _letters(text: str) -> int:
    return sum(map(str.isalpha, text))


def _tag(node: Any) -> str:
    return str(node.tag).rpartition("}")[2]


def _is_svg(node: Any) -> bool:
    return node.tag in {"svg", f"{{{_SVG_NAMESPACE}}}svg"}


def _drawing(root: Any) -> ParsedDocument:
    """Its own title and description, then everything written in it, a line a label."""
    builder = DocumentBuilder()
    labels: list[str] = []
    for child in root:
        for text in _labels(child):
            if _tag(child) == "title" and not builder.length:
                builder.add(ElementKind.TITLE, text)
            elif _tag(child) == "desc":
                builder.add(ElementKind.PARAGRAPH, text)
            elif any(map(str.isalnum, text)):
                labels.append(text)
    builder.add(ElementKind.PARAGRAPH, "\n".join(labels), keep_lines=True)
    if not builder.length:
        raise ParseError("is an SVG drawing without text")
    return builder.build(SVG, f"svg/{VERSION}")


def _labels(node: Any) -> Iterator[str]:
    """Titles, descriptions and texts in the order of the file; of the alternatives of a `switch` the first."""
    namespace = str(node.tag).rpartition("}")[0]
    if namespace in {"", f"{{{_SVG_NAMESPACE}"}:
        tag = _tag(node)
        if tag in _WRITTEN:
            text = one_line(" ".join(node.itertext()) if tag == "foreignObject" else "".join(_texts(node)))
            if text:
                yield text
        elif tag == "switch":
            yield from next(filter(None, (list(_labels(child)) for child in node)), [])
        elif tag not in {"metadata", "style", "script"}:
            for child in node:
                yield from _labels(child)


def _texts(node: Any) -> Iterator[str]:
    """The lines of a label: each `tspan` with a place of its own starts one."""
    yield node.text or ""
    for child in node:
        placed = any(key in child.attrib for key in ("x", "y", "dy"))
        yield " " if placed else ""
        yield from _texts(child)
        yield child.tail or ""


def _attributes(node: Any, path: str) -> Iterator[str]:
    for key, value in node.attrib.items():
        name = str(key).rpartition("}")[2]
        if name not in _LAYOUT and (said := _said(value)):
            yield f"{path}@{name}: {said}"


def _said(value: str) -> str:
    return without_series(without_blobs(value)).strip()


def _lines(node: Any, path: str) -> Iterator[str]:
    """libxml2 holds the depth to 256, so recursion is safe. Entities, which stay unresolved, are no elements."""
    if not isinstance(node.tag, str):
        return
    if _is_svg(node):
        yield from (f"{path}: {text}" for text in _labels(node))
        return
    yield from _attributes(node, path)
    texts = [node.text or "", *(child.tail or "" for child in node)]
    mixed = len(node) > 0 and any(text.strip() for text in texts)
    if mixed or len(node) == 0:
        text = " ".join(_said("".join(node.itertext())).split())
        if text:
            yield f"{path}: {text}"
        return
    yield from itertools.chain.from_iterable(_lines(child, f"{path}.{_tag(child)}") for child in node)

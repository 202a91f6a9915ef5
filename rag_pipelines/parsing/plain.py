"""Plain text, logs, settings and source code."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from rag_pipelines.core.errors import ParseError
from rag_pipelines.core.types import ElementKind, ParsedDocument
from rag_pipelines.parsing.builder import DocumentBuilder, clean
from rag_pipelines.parsing.encoding import decode
from rag_pipelines.parsing.noise import is_minified, without_blobs
from rag_pipelines.parsing.registry import PLAIN
from rag_pipelines.parsing.signatures import CODE_SUFFIXES

VERSION = 2

_WEB_CODE = frozenset({".js", ".mjs", ".cjs", ".css"})
_TOP_LEVEL = re.compile(r"\n(?:[^\S\n]*\n)+(?=\S)")
_SIGN = re.compile(r"\s*[-*+\u2022\u2023\u25aa\u25e6\u2013]\s+")
_BULLET = re.compile(r"\s*(?:[-*+\u2022\u2023\u25aa\u25e6\u2013]|\(?\d{1,3}[.)])\s+(?=\S)")
_UNDERLINE = re.compile(r"([=\-~^*#])\1{2,}$")


def parse(data: bytes, name: str) -> ParsedDocument:
    """Paragraphs, underlined headings and bulleted lists; source code as blocks of whole definitions."""
    text, encoding = decode(data)
    builder = DocumentBuilder()
    text = clean(text)
    suffix = PurePosixPath(name).suffix.lower()
    if suffix in _WEB_CODE and (f".min{suffix}" in name.lower() or is_minified(text)):
        raise ParseError(
            "is minified code, written by a program for programs; exclude it, or index its source"
        )
    if suffix in CODE_SUFFIXES:
        for block in _TOP_LEVEL.split(text):
            builder.add(ElementKind.CODE, without_blobs(block))
    else:
        add_text(builder, text)
    return builder.build(PLAIN, "plain", metadata={"encoding": encoding})


def add_text(builder: DocumentBuilder, text: str, page: int | None = None) -> None:
    """Append the paragraphs of a plain text whose line ends are `\\n`."""
    for block in re.split(r"\n\s*\n", text):
        lines = [line for line in block.split("\n") if line.strip()]
        if not lines:
            continue
        if len(lines) >= 2 and _is_underlined(lines[0], lines[1]):
            builder.add(
                ElementKind.HEADING, lines[0], level=1 if lines[1].strip()[0] == "=" else 2, page=page
            )
            lines = lines[2:]
        if lines and _BULLET.match(lines[0]):
            _add_list(builder, lines, page)
        elif lines:
            joined = _is_wrapped(lines)
            builder.add(ElementKind.PARAGRAPH, "\n".join(lines), page=page, keep_lines=not joined)


def _is_underlined(title: str, line: str) -> bool:
    return (
        _UNDERLINE.match(line.strip()) is not None
        and len(title.strip()) <= 120
        and abs(len(line.strip()) - len(title.strip())) <= 3
    )


def _is_wrapped(lines: list[str]) -> bool:
    """Whether the line ends are an editor's doing rather than the author's: all but the last are long."""
    return len(lines) > 1 and all(50 <= len(line) <= 140 for line in lines[:-1])


def _add_list(builder: DocumentBuilder, lines: list[str], page: int | None) -> None:
    item: list[str] = []
    for line in lines:
        if _BULLET.match(line) and item:
            builder.add(ElementKind.LIST_ITEM, " ".join(item), page=page)
            item = []
        item.append(line if item else _SIGN.sub("", line))
    builder.add(ElementKind.LIST_ITEM, " ".join(item), page=page)

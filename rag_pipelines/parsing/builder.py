"""Builds the text and the elements of one document so that the spans are right by construction."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime, time
from typing import Any

from rag_pipelines.core.errors import ParseError
from rag_pipelines.core.types import Element, ElementKind, ParsedDocument

VERSION = 1

_NEWLINES = re.compile("\r\n|[\r\f\v\x1c-\x1e\x85\u2028\u2029]")
_UNWANTED = re.compile("[\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f\xad\u200b\ufeff\ufffe\uffff\ud800-\udfff]+")
_LINE_KINDS = frozenset({ElementKind.CODE, ElementKind.TABLE})


def clean(text: str) -> str:
    """Without NUL, control characters, lone surrogates, soft hyphens and BOMs; every line end is `\\n`."""
    if text.isprintable() or text.replace("\n", " ").replace("\t", " ").isprintable():
        return text
    return _UNWANTED.sub("", _NEWLINES.sub("\n", text))


def one_line(text: str) -> str:
    """Cleaned, every run of white space one space, none at the ends."""
    return " ".join(clean(text).split())


def lines(text: str) -> str:
    """Cleaned, white space inside each line collapsed, empty lines dropped."""
    collapsed = (" ".join(line.split()) for line in clean(text).split("\n"))
    return "\n".join(line for line in collapsed if line)


def verbatim(text: str) -> str:
    """Cleaned, indentation and inner empty lines kept, outer empty lines and trailing blanks dropped."""
    kept = [line.rstrip() for line in clean(text).split("\n")]
    first = next((i for i, line in enumerate(kept) if line), len(kept))
    return "\n".join(kept[first:]).rstrip()


class DocumentBuilder:
    """Append-only; `text[e.start:e.end]` is each element's text, in order, without overlap or gaps.

    Elements are joined by an empty line, neighbouring list items by a line end.
    """

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._elements: list[Element] = []
        self._length = 0

    @property
    def length(self) -> int:
        """Characters so far."""
        return self._length

    def add(
        self,
        kind: ElementKind,
        text: str,
        *,
        level: int | None = None,
        page: int | None = None,
        keep_lines: bool = False,
    ) -> bool:
        """Append an element; False where nothing but white space is left of its text.

        Code keeps its lines and indentation, tables their rows. Everything else becomes one line
        unless `keep_lines`. `level` is held within 1-6 and belongs to headings and titles.
        """
        if kind is ElementKind.CODE:
            normal = verbatim(text)
        elif keep_lines or kind in _LINE_KINDS:
            normal = lines(text)
        else:
            normal = one_line(text)
        if not normal:
            return False
        if self._elements:
            in_list = kind is ElementKind.LIST_ITEM and self._elements[-1].kind is kind
            separator = "\n" if in_list else "\n\n"
            self._parts.append(separator)
            self._length += len(separator)
        start = self._length
        self._parts.append(normal)
        self._length += len(normal)
        bounded = None if level is None else min(max(level, 1), 6)
        self._elements.append(Element(kind, start, self._length, bounded, page))
        return True

    def build(
        self,
        media_type: str,
        parser: str,
        *,
        title: str | None = None,
        language: str | None = None,
        pages: int | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> ParsedDocument:
        """The document; without a `title` its first title element or level 1 heading serves.

        Metadata values that JSON cannot hold become text. Raises ParseError where no text was added.
        """
        if not self._elements:
            raise ParseError("has no text")
        text = "".join(self._parts)
        return ParsedDocument(
            text=text,
            elements=tuple(self._elements),
            media_type=media_type,
            parser=parser,
            title=(one_line(title) if title else "") or self._first_title(text),
            language=language,
            pages=pages,
            metadata={str(key): plain_value(value) for key, value in (metadata or {}).items()},
        )

    def _first_title(self, text: str) -> str | None:
        for element in self._elements:
            if element.kind is ElementKind.TITLE or (
                element.kind is ElementKind.HEADING and element.level == 1
            ):
                return text[element.start : element.end]
        return None


def plain_value(value: Any, depth: int = 0) -> Any:
    """A metadata value as JSON can hold it; dates as ISO 8601, what is unknown or deeper than 8 as text."""
    if value is None or isinstance(value, (bool, int)):
        return value if not isinstance(value, int) or abs(value) < 2**63 else str(value)
    if isinstance(value, float):
        return value if value - value == 0 else str(value)
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, Mapping) and depth < 8:
        return {clean(str(key)): plain_value(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)) and depth < 8:
        items = sorted(value, key=str) if isinstance(value, (set, frozenset)) else value
        return [plain_value(item, depth + 1) for item in items]
    return clean(str(value))

"""What a Word style says about a paragraph: heading level, list, title, code."""

from __future__ import annotations

import re
import zipfile
from dataclasses import dataclass, replace
from typing import Any

from rag_pipelines.parsing.ooxml import attribute, local, read_xml

_HEADING = re.compile(
    r"(?:heading|überschrift|titre|título|titolo|kop|заголовок|標題|标题|見出し)\s*([1-9])$", re.I
)
_CODE = re.compile(r"\bcode\b|source|preformatted|listing|macro text|plain text code", re.I)
_LIST = re.compile(r"list(?!ing)|bullet|aufzählung", re.I)


@dataclass(frozen=True, slots=True)
class Style:
    """Resolved along `basedOn`; `level` from 1."""

    level: int | None = None
    title: bool = False
    listed: bool = False
    code: bool = False

    def with_direct(self, properties: dict[str, Any]) -> Style:
        """With the paragraph's own properties (by local name) laid over the style."""
        style = self
        if "outlineLvl" in properties:
            style = replace(style, level=_outline_level(properties["outlineLvl"]))
        if "numPr" in properties:
            style = replace(style, listed=_numbered(properties["numPr"]))
        return style


def _outline_level(element: Any) -> int | None:
    """Word counts from 0; 9 is body text."""
    value = attribute(element, "val") or ""
    return int(value) + 1 if value.isdigit() and int(value) < 9 else None


def _numbered(element: Any) -> bool:
    number = next((attribute(c, "val") for c in element if local(c) == "numId"), None)
    return number != "0"


def read_styles(archive: zipfile.ZipFile, parts: list[str]) -> dict[str, Style]:
    """Paragraph styles by id; loops in `basedOn` end where they began."""
    if not parts or parts[0] not in archive.namelist():
        return {}
    raw: dict[str, Any] = {}
    for element in read_xml(archive, parts[0], "Word"):
        if local(element) == "style" and attribute(element, "type") in (None, "paragraph"):
            raw[attribute(element, "styleId") or ""] = element
    done: dict[str, Style] = {}
    for name in raw:
        chain = [name]
        while (base := _child_value(raw[chain[-1]], "basedOn")) in raw and base not in chain:
            if base in done:
                break
            chain.append(str(base))
        for current in reversed(chain):
            if current not in done:
                parent = done.get(_child_value(raw[current], "basedOn") or "", Style())
                done[current] = _resolve(raw[current], parent)
    return done


def _child_value(element: Any, name: str) -> str | None:
    return next((attribute(c, "val") for c in element if local(c) == name), None)


def _resolve(element: Any, parent: Style) -> Style:
    name = _child_value(element, "name") or ""
    properties: dict[str, Any] = next(({local(c): c for c in p} for p in element if local(p) == "pPr"), {})
    style = parent.with_direct(properties)
    heading = _HEADING.match(name)
    if heading:
        return replace(style, level=int(heading.group(1)), title=False, listed=False)
    return replace(
        style,
        title=parent.title or name.casefold() == "title",
        listed=style.listed or bool(_LIST.search(name)),
        code=parent.code or bool(_CODE.search(name)),
    )

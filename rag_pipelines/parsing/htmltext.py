"""Writes the blocks of a web page as elements: headings, paragraphs, list items, tables, code."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rag_pipelines.core.types import ElementKind
from rag_pipelines.parsing.builder import DocumentBuilder, one_line
from rag_pipelines.parsing.htmltree import BREAK, VERBATIM, Box, walk

_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_ITEMS = frozenset({"li", "dt", "dd"})
_LONG_CODE = 4000
_COLUMNS = re.compile(r"\s{3,}|[|{};]")


def write(builder: DocumentBuilder, root: Box, *, title: str | None) -> None:
    """Append everything below `root` in reading order; a first heading that repeats `title` is left out."""
    frames: list[tuple[Iterator[Box | str], ElementKind]] = [
        (iter(root.items), _kind_of(root, ElementKind.PARAGRAPH))
    ]
    buffer: list[str] = []
    repeated = title.casefold() if title else None
    while frames:
        items, kind = frames[-1]
        item = next(items, None)
        if isinstance(item, str):
            buffer.append(item)
            continue
        _flush(builder, buffer, kind)
        if item is None:
            frames.pop()
        elif item.tag in _HEADINGS:
            text = one_line(item.text())
            if repeated is not None and text.casefold() == repeated:
                repeated = None
            else:
                builder.add(ElementKind.HEADING, text, level=_HEADINGS[item.tag])
        elif item.tag in VERBATIM:
            _write_code(builder, item)
        elif item.tag == "table" and (rows := table_rows(item)):
            for caption in item.boxes():
                if caption.tag == "caption":
                    builder.add(ElementKind.PARAGRAPH, caption.text())
            builder.add(ElementKind.TABLE, "\n".join(rows))
        else:
            frames.append((iter(item.items), _kind_of(item, kind)))


def _kind_of(box: Box, outer: ElementKind) -> ElementKind:
    if box.tag in _ITEMS:
        return ElementKind.LIST_ITEM
    return ElementKind.PARAGRAPH if box.tag in {"td", "th", "blockquote", "figure"} else outer


def _flush(builder: DocumentBuilder, buffer: list[str], kind: ElementKind) -> None:
    """Add what was gathered: `<br>` is a line end, two of them a paragraph's."""
    if not buffer:
        return
    text = "".join(buffer)
    buffer.clear()
    if kind is ElementKind.LIST_ITEM:
        builder.add(kind, text.replace(BREAK, " "))
        return
    paragraph: list[str] = []
    for line in text.split(BREAK):
        normal = one_line(line)
        if normal:
            paragraph.append(normal)
        elif paragraph:
            builder.add(kind, "\n".join(paragraph), keep_lines=True)
            paragraph = []
    if paragraph:
        builder.add(kind, "\n".join(paragraph), keep_lines=True)


def _write_code(builder: DocumentBuilder, box: Box) -> None:
    """One code element; a whole text document set as preformatted is cut at its empty lines."""
    text = _verbatim_text(box)
    if len(text) <= _LONG_CODE or any(part.holds_code for part in walk(box)):
        builder.add(ElementKind.CODE, text)
        return
    block: list[str] = []
    for line in (*text.splitlines(), ""):
        if line.strip():
            block.append(line)
        elif block:
            aligned = any(_COLUMNS.search(part.strip()) for part in block)
            kind = ElementKind.CODE if aligned else ElementKind.PARAGRAPH
            builder.add(kind, "\n".join(block), keep_lines=True)
            block = []


def _verbatim_text(box: Box) -> str:
    parts: list[str] = []
    stack: list[Box | str] = list(reversed(box.items))
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            parts.append(item)
            continue
        if parts and not parts[-1].endswith("\n"):
            parts.append("\n")
        stack.append("\n")
        stack.extend(reversed(item.items))
    return "".join(parts).replace(BREAK, "\n")


def table_rows(table: Box) -> list[str]:
    """The rows of a data table as `a | b`; none where the table only lays out the page.

    Layout is: says so, holds a table, a heading or several paragraphs in a cell, or is one column wide.
    """
    if (table.attributes.get("role") or "").lower() in {"presentation", "none"}:
        return []
    rows: list[list[str]] = []
    has_header = False
    for row in walk(table)[1:]:
        if row.tag == "table":
            return []
        if row.tag != "tr":
            continue
        cells = [cell for cell in row.boxes() if cell.tag in {"td", "th"}]
        has_header = has_header or any(cell.tag == "th" for cell in cells)
        if any(_is_laid_out(cell, has_header) for cell in cells):
            return []
        texts = [one_line(cell.text().replace(BREAK, " ")) for cell in cells]
        if any(texts):
            rows.append(texts)
    if max((sum(1 for text in row if text) for row in rows), default=0) < 2:
        return []
    if len(rows) == 1 and not has_header and max(map(len, rows[0])) > 200:
        return []
    return [" | ".join(row) for row in rows]


def _is_laid_out(cell: Box, has_header: bool) -> bool:
    inside = walk(cell)[1:]
    if any(box.tag in VERBATIM and "\n" in _verbatim_text(box).strip() for box in inside):
        return True
    if has_header:
        return False
    tags = [box.tag for box in inside]
    return any(tag in _HEADINGS for tag in tags) or tags.count("p") > 2 or cell.chars > 1000

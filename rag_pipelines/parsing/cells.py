"""What the office parsers share: rows of cells as text, one line a row, cells parted by ` | `; typed bullets."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

BULLET = re.compile("\\s*[•◦▪●○‣\uf0b7\uf0a7](?:\\s+|$)")
BLOCK_ROWS = 40
BLOCK_CHARS = 2000
MAX_HEADER_ROWS = 3


def table_text(rows: Iterable[Sequence[str]]) -> str:
    """Lines without the columns and rows that are empty throughout."""
    kept = [[" ".join(cell.split()) for cell in row] for row in rows]
    kept = [row for row in kept if any(row)]
    width = max((len(row) for row in kept), default=0)
    used = [i for i in range(width) if any(i < len(row) and row[i] for row in kept)]
    return "\n".join(" | ".join(row[i] if i < len(row) else "" for i in used) for row in kept)


def blocks(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """A long table as several, each beginning with the header rows, so that each can be read alone."""
    count = _header_rows(rows)
    header = list(rows[:count])
    block: list[Sequence[str]] = []
    size = 0
    for row in rows[count:]:
        length = sum(len(cell) + 3 for cell in row if cell)
        if block and (len(block) >= BLOCK_ROWS or size + length > BLOCK_CHARS):
            yield table_text([*header, *block])
            block, size = [], 0
        block.append(row)
        size += length
    if block:
        yield table_text([*header, *block])


def _header_rows(rows: Sequence[Sequence[str]]) -> int:
    """Up to three leading rows of labels above numbers; the first row of labels where there are no numbers."""
    labels = 0
    while labels < min(len(rows), MAX_HEADER_ROWS + 1) and is_label_row(rows[labels]):
        labels += 1
    if labels == 0 or len(rows) < 2:
        return 0
    return labels if labels <= MAX_HEADER_ROWS and labels < len(rows) else 1


def is_label_row(row: Sequence[str]) -> bool:
    """At least two cells with text, and none that is a number."""
    filled = [cell for cell in row if cell]
    return len(filled) >= 2 and not any(is_number(cell) for cell in filled)


def is_number(text: str) -> bool:
    """Digits with sign, point, comma or percent."""
    return text.lstrip("-+").replace(".", "").replace(",", "").replace("%", "").isdigit()

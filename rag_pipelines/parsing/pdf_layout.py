"""From segments with places to lines and tables in reading order. Pure geometry, no pdfium.

Columns of prose are read one after the other, columns of a table row by row. What tells them apart: the
cells of a table's row are drawn one after the other, and they are short.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from statistics import median

import msgspec

from rag_pipelines.parsing.pdf_words import Segment

MARKER = re.compile(
    r"(?:[•◦▪▫■□●○‣⁃∙·➢➤✓❖\uf0b7\uf0a7]|[-–—*]|\(?(?:\d{1,3}|[a-zA-Z]|[ivx]{1,5})[.)]|\(\d{1,3}\))$"
)
_NUMBERING = re.compile(r"(?:[A-Z]|\d{1,3})(?:\.\d{1,3})*\.?$")
_PROSE_WORDS = 3
_CJK = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")

Row = list[Segment]


class Line(msgspec.Struct, frozen=True, gc=False):
    """One line of running text."""

    text: str
    x0: float
    x1: float
    top: float
    bottom: float
    size: float
    bold: bool
    mono: bool


class Table(msgspec.Struct, frozen=True):
    """Rows of cells, every row equally long."""

    rows: tuple[tuple[str, ...], ...]


def rows_of(segments: Sequence[Segment]) -> list[Row]:
    """Segments side by side as rows, top to bottom, each left to right."""
    rows: list[Row] = []
    for segment in sorted(segments, key=lambda s: (s.top, s.x0)):
        if rows and _overlap(rows[-1][0], segment) > 0.5:
            rows[-1].append(segment)
        else:
            rows.append([segment])
    for row in rows:
        row.sort(key=lambda s: s.x0)
    return rows


def _overlap(a: Segment, b: Segment) -> float:
    shared = min(a.bottom, b.bottom) - max(a.top, b.top)
    return shared / max(min(a.bottom - a.top, b.bottom - b.top), 0.1)


def regions(segments: list[Segment], depth: int = 0) -> list[list[Segment]]:
    """The page cut into parts to be read one after the other; columns of prose are parts of their own."""
    gutter = _gutter(segments) if depth < 3 and len(segments) >= 6 else None
    if gutter is None:
        return [segments]
    parts: list[list[Segment]] = []
    whole: list[Segment] = []
    left: list[Segment] = []
    right: list[Segment] = []

    def close_band() -> None:
        nonlocal whole, left, right
        if _side_by_side(left, right, gutter):
            if whole:
                parts.append(whole)
            parts.extend(regions(left, depth + 1))
            parts.extend(regions(right, depth + 1))
            whole = []
        else:
            whole += left + right
        left, right = [], []

    for segment in sorted(segments, key=lambda s: s.top):
        if segment.x1 <= gutter + 2:
            left.append(segment)
        elif segment.x0 >= gutter - 2:
            right.append(segment)
        else:
            close_band()
            whole.append(segment)
    close_band()
    if whole:
        parts.append(whole)
    return parts


def _is_prose(segment: Segment) -> bool:
    return segment.text.count(" ") + 1 >= _PROSE_WORDS or (
        len(segment.text) >= 10 and bool(_CJK.search(segment.text))
    )


def _gutter(segments: list[Segment]) -> float | None:
    """The x that leaves most lines of prose on both sides and cuts fewest, or None."""
    prose = [s for s in segments if _is_prose(s)]
    if len(prose) < 4:
        return None
    starts, ends = sorted(s.x0 for s in prose), sorted(s.x1 for s in prose)
    left_edge, right_edge = starts[0], ends[-1]
    step = (right_edge - left_edge) / 200
    if step <= 0:
        return None
    best_score, best = 0.0, []
    for i in range(20, 181):
        x = left_edge + i * step
        before = bisect_right(ends, x)
        after = len(prose) - bisect_left(starts, x)
        score = min(before, after) - 0.3 * (len(prose) - before - after)
        if score > best_score:
            best_score, best = score, [x]
        elif score == best_score:
            best.append(x)
    return median(best) if best_score >= 1 else None


def _side_by_side(left: list[Segment], right: list[Segment], gutter: float) -> bool:
    """Whether the two sides are columns of prose rather than cells of the same rows."""
    left_prose, right_prose = [s for s in left if _is_prose(s)], [s for s in right if _is_prose(s)]
    if len(left_prose) < 2 or len(right_prose) < 2:
        return False
    top = max(min(s.top for s in left), min(s.top for s in right))
    bottom = min(max(s.bottom for s in left), max(s.bottom for s in right))
    shorter = min(max(s.bottom for s in side) - min(s.top for s in side) for side in (left, right))
    if bottom - top < 0.3 * shorter:
        return False
    lines = {s.line for s in left}
    linked = sum(s.line in lines for s in right) / min(len(left), len(right))
    left_share, right_share = _letters(left_prose) / _letters(left), _letters(right_prose) / _letters(right)
    if linked <= 0.3:
        return max(left_share, right_share) >= 0.6 and min(left_share, right_share) >= 0.2
    width = min(gutter - min(s.x0 for s in left), max(s.x1 for s in right) - gutter)
    filled = min(median(s.x1 - s.x0 for s in left_prose), median(s.x1 - s.x0 for s in right_prose))
    return min(left_share, right_share) >= 0.8 and filled >= 0.7 * width and min(len(left), len(right)) >= 5


def _letters(segments: Sequence[Segment]) -> int:
    return sum(len(s.text) for s in segments)


def lines_and_tables(segments: Sequence[Segment]) -> list[Line | Table]:
    """The lines of one region, with runs of aligned rows made into tables."""
    rows = [_joined_marker(row) for row in rows_of(segments)]
    out: list[Line | Table] = []
    i = 0
    while i < len(rows):
        end = _table_end(rows, i)
        if end > i:
            out.append(_table(rows[i:end]))
            i = end
        else:
            out.append(_line(rows[i]))
            i += 1
    return out


def _joined_marker(row: Row) -> Row:
    """A bullet or a number before its text is one cell with it, not a column."""
    first = row[0].text
    if len(row) < 2:
        return row
    numbered = len(row) == 2 and _NUMBERING.match(first) and row[1].text[0].isalpha()
    if not numbered and not MARKER.match(first):
        return row
    merged = msgspec.structs.replace(
        row[1], text=f"{first} {row[1].text}", x0=row[0].x0, bold=row[0].bold and row[1].bold
    )
    return [merged, *row[2:]]


def _line(row: Row) -> Line:
    weight = sum(len(s.text) for s in row)
    return Line(
        text=" ".join(s.text for s in row),
        x0=row[0].x0,
        x1=max(s.x1 for s in row),
        top=min(s.top for s in row),
        bottom=max(s.bottom for s in row),
        size=max(row, key=lambda s: len(s.text)).size,
        bold=2 * sum(len(s.text) for s in row if s.bold) > weight,
        mono=all(s.mono for s in row),
    )


def _table_end(rows: list[Row], start: int) -> int:
    """Index after the table that begins at `start`, or `start` where none does.

    A table has rows of several cells whose columns stay apart; a row of one cell belongs to it where it
    goes on below a cell of the row before.
    """
    if len(rows[start]) < 2:
        return start
    columns = [(s.x0, s.x1) for s in rows[start]]
    end, full, widest = start + 1, 1, len(rows[start])
    for i in range(start + 1, len(rows)):
        row, before = rows[i], rows[i - 1]
        height = median(s.bottom - s.top for s in before)
        if row[0].top - before[0].bottom > 2.5 * height:
            break
        merged = _merged(columns, row)
        if len(merged) < 2 or len(merged) < max(2, 0.6 * widest):
            break
        if len(row) == 1 and not _continues_cell(row[0], before, rows[i + 1] if i + 1 < len(rows) else None):
            break
        columns = merged
        widest = max(widest, len(merged))
        full += len(row) >= 2
        end = i + 1
    while end > start and len(rows[end - 1]) < 2 and rows[end - 1][0].x0 <= columns[0][1]:
        end -= 1
    lengths = [len(s.text) for row in rows[start:end] for s in row]
    enough = full >= 3 or (
        full == 2 and len(columns) >= 3 and len(rows[start]) == len(columns) and max(lengths) <= 40
    )
    if not enough or sum(length > 100 for length in lengths) > 0.3 * len(lengths):
        return start
    return end


def _continues_cell(segment: Segment, before: Row, after: Row | None) -> bool:
    """A lone cell inside a table: the wrapped text of a cell above it, or a row with one filled cell."""
    below = any(segment.x0 < s.x1 and segment.x1 > s.x0 for s in before)
    close = segment.top - before[0].bottom < 0.8 * (segment.bottom - segment.top)
    return (below and close) or (after is not None and len(after) >= 2)


def _merged(columns: list[tuple[float, float]], row: Row) -> list[tuple[float, float]]:
    """Column extents after the row's cells are laid over them; cells that bridge columns join them."""
    spans = sorted([*columns, *((s.x0, s.x1) for s in row)])
    out = [spans[0]]
    for x0, x1 in spans[1:]:
        if x0 <= out[-1][1] + 0.5:
            out[-1] = (out[-1][0], max(out[-1][1], x1))
        else:
            out.append((x0, x1))
    return out


def _table(rows: list[Row]) -> Table:
    columns: list[tuple[float, float]] = []
    for row in rows:
        columns = _merged(columns, row) if columns else [(s.x0, s.x1) for s in row]
    bounds = [x1 for _, x1 in columns]
    cells: list[list[str]] = []
    last: Row = []
    for row in rows:
        texts = [""] * len(columns)
        for segment in row:
            place = min(bisect_left(bounds, segment.x0 + 0.1), len(columns) - 1)
            texts[place] = f"{texts[place]} {segment.text}".strip()
        wrapped = bool(cells) and not texts[0] and row[0].top - last[0].bottom < 0.5 * row[0].size
        if wrapped and all(cells[-1][i] for i, text in enumerate(texts) if text):
            cells[-1] = [f"{a} {b}".strip() for a, b in zip(cells[-1], texts, strict=True)]
        else:
            cells.append(texts)
        last = row
    return Table(tuple(tuple(row) for row in cells))

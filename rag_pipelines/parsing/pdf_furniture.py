"""Finds what stands at the edge of page after page: headers, footers and page numbers. Pure."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from statistics import median

from rag_pipelines.parsing.pdf_layout import Row, rows_of
from rag_pipelines.parsing.pdf_words import Segment

_EDGE_ROWS = 3
_MAX_NUMBERED = 100
_LARGE = 1.12  # of the usual size at the edges: chapter openings, no running heads
_NUMBER = re.compile(r"\d+|\b[ivxlc]{1,7}\b", re.IGNORECASE)
_PAGE_NUMBER = re.compile(r"^\D{0,9}?(\d{1,5})\b|\b(\d{1,5})\W*$")

Edges = tuple[list[Row], list[Row]]


def without_running_heads(pages: Sequence[list[Segment]]) -> list[list[Segment]]:
    """Pages without what repeats at their upper and lower edge.

    Numbers count as equal; a text must be on most pages, or on three at the same height (chapter names),
    or carry the page's own number. Documents of one or two pages keep everything.
    """
    edges = [_edges(rows_of(page)) for page in pages]
    full = sum(1 for page in pages if page)
    usual = median([row[0].size for sides in edges for rows in sides for row in rows] or [0.0])
    running = _repeated(edges, full, usual)
    offset = _numbering(edges, full, usual)
    out = []
    for index, (page, sides) in enumerate(zip(pages, edges, strict=True)):
        drop: set[int] = set()
        for side, rows in enumerate(sides):
            for row in rows:
                if (side, _key(row, usual)) not in running and offset not in _offsets(row, index, usual):
                    break
                drop.update(id(segment) for segment in row)
        out.append([s for s in page if id(s) not in drop])
    return out


def _edges(rows: list[Row]) -> Edges:
    """Outermost rows first, of the upper and of the lower half, which never share one."""
    count = min(_EDGE_ROWS, (len(rows) + 1) // 2)
    return rows[:count], rows[::-1][: min(count, len(rows) - count)]


def _text(row: Row) -> str:
    return " ".join(segment.text for segment in row)


def _key(row: Row, usual: float) -> str:
    """Text with numbers made equal, but not those of large rows, which are "Chapter 1", "Chapter 2"."""
    if row[0].size > _LARGE * usual:
        return _text(row)
    return " ".join(_NUMBER.sub("#", _text(row)).casefold().split())


def _repeated(edges: Sequence[Edges], pages: int, usual: float) -> set[tuple[int, str]]:
    places: dict[tuple[int, str], list[Segment]] = defaultdict(list)
    for sides in edges:
        for side, rows in enumerate(sides):
            for key, first in {_key(row, usual): row[0] for row in rows}.items():
                places[side, key].append(first)
    return {key for key, found in places.items() if _runs(found, pages)}


def _runs(places: list[Segment], pages: int) -> bool:
    if len(places) < 3:
        return False
    middle = median(place.bottom for place in places)
    same_height = sum(abs(place.bottom - middle) < 2 for place in places)
    return len(places) >= 0.5 * pages or same_height >= max(3, 0.8 * len(places))


def _offsets(row: Row, index: int, usual: float) -> set[int]:
    """Numbers at the ends of a short row, less the page's index: equal on all pages for page numbers."""
    text = _text(row)
    if len(text) > _MAX_NUMBERED or (row[0].size > _LARGE * usual and any(c.isalpha() for c in text)):
        return set()
    return {int(a or b) - index for a, b in _PAGE_NUMBER.findall(text)}


def _numbering(edges: Sequence[Edges], pages: int, usual: float) -> int | None:
    """The offset that the outermost rows of most pages share, or None."""
    votes: Counter[int] = Counter()
    for index, sides in enumerate(edges):
        found: set[int] = set()
        for rows in sides:
            found |= _offsets(rows[0], index, usual) if rows else set()
        votes.update(found)
    if not votes:
        return None
    offset, count = votes.most_common(1)[0]
    return offset if count >= max(3, 0.5 * pages) else None

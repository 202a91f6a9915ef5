"""Cuts elements into atoms: whole where they fit, else at sentences, rows, lines, words, and last inside a word."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rag_pipelines.chunking.cuts import Atom
from rag_pipelines.chunking.ruler import Ints, Ruler
from rag_pipelines.core.sentences import line_starts, sentence_starts
from rag_pipelines.core.types import Element, ElementKind

SECTION, BLOCK, JOINED, LINE, SENTENCE, WORD = range(6)
HEADINGS = frozenset((ElementKind.TITLE, ElementKind.HEADING))
SOLID = frozenset((ElementKind.TABLE, ElementKind.CODE))


def normalized(ruler: Ruler, elements: Sequence[Element]) -> list[Element]:
    """The elements trimmed and in order, empty ones left out, text that none covers added as paragraphs."""
    found: list[Element] = []
    position = 0
    for element in elements:
        start, end = ruler.trim(max(element.start, position), element.end)
        if start == end:
            continue
        _add_uncovered(ruler, position, start, element.page, found)
        found.append(Element(element.kind, start, end, element.level, element.page))
        position = end
    _add_uncovered(ruler, position, len(ruler.text), found[-1].page if found else None, found)
    return found


def _add_uncovered(ruler: Ruler, low: int, high: int, page: int | None, found: list[Element]) -> None:
    start, end = ruler.trim(low, high)
    if start < end:
        found.append(Element(ElementKind.PARAGRAPH, start, end, None, page))


def split(
    ruler: Ruler, element: Element, limit: int, first: int | None = None, grade: int = BLOCK
) -> list[Atom]:
    """The element in atoms of at most `limit` units, the first of at most `first`; `grade` is of the first."""
    start, end = element.start, element.end
    if element.kind in SOLID:
        starts = line_starts(ruler.text, start, end)
        bounds = [start, *(at for at, _ in starts)]
        grades = [grade, *(JOINED if blank else LINE for _, blank in starts)]
    else:
        bounds = [start, *sentence_starts(ruler.text, start, end)]
        grades = [grade] + [SENTENCE] * (len(bounds) - 1)
    return _fitting(ruler, _atoms(ruler, bounds, grades, end), limit, limit if first is None else first)


def _atoms(ruler: Ruler, bounds: list[int], grades: list[int], end: int) -> list[Atom]:
    spans = [ruler.trim(a, b) for a, b in zip(bounds, [*bounds[1:], end], strict=True)]
    units = ruler.bounds(spans)
    return [Atom(a, b, c, d, g) for (a, b), (c, d), g in zip(spans, units, grades, strict=True) if a < b]


def _fitting(ruler: Ruler, atoms: list[Atom], limit: int, first: int) -> list[Atom]:
    found: list[Atom] = []
    for atom in atoms:
        room = limit if found else first
        if atom.cost <= room:
            found.append(atom)
            continue
        lines = line_starts(ruler.text, atom.start, atom.end)
        bounds = [atom.start, *(at for at, _ in lines)]
        for line in _atoms(ruler, bounds, [atom.grade] + [SENTENCE] * len(lines), atom.end):
            room = limit if found else first
            found.extend([line] if line.cost <= room else split_words(ruler, line, limit, room))
    return found


def split_words(ruler: Ruler, atom: Atom, limit: int, first: int) -> list[Atom]:
    """Between words, at places chosen by content within the last half of the room; inside a word as last resort."""
    units = ruler.units[atom.low : atom.high]
    keys = ruler.keys(units)
    words = ruler.word_units(atom.low, atom.high) - atom.low
    letters = np.flatnonzero(np.diff(units)) + 1
    cuts, at, room = [0], 0, first
    while len(units) - at > room:
        word = _best_cut(words, keys, at, room)
        at = word or _best_cut(letters, keys, at, room) or _after(letters, at, len(units))
        cuts.append(at)
        room = limit
    bounds = [atom.start, *(int(units[cut]) for cut in cuts[1:] if cut < len(units))]
    return _atoms(ruler, bounds, [atom.grade] + [WORD] * (len(bounds) - 1), atom.end)


def _best_cut(places: Ints, keys: npt.NDArray[np.uint64], at: int, room: int) -> int | None:
    """Of the places in the last half of the room the one with the lowest key, else the last one before that."""
    a, b = places.searchsorted((at + max(1, room // 2), at + room + 1))
    if a < b:
        return int(places[a + keys[places[a:b]].argmin()])
    return int(places[a - 1]) if a and places[a - 1] > at else None


def _after(places: Ints, at: int, end: int) -> int:
    """The next place, though it be beyond the room: one letter can be several tokens."""
    index = int(places.searchsorted(at + 1))
    return int(places[index]) if index < len(places) else end

"""The heading-aware strategy, and parents and children built with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from rag_pipelines.chunking.atoms import BLOCK, HEADINGS, JOINED, SECTION, SOLID, split
from rag_pipelines.chunking.cuts import Atom, pack
from rag_pipelines.chunking.ruler import Ruler
from rag_pipelines.config.models import ChunkingRule
from rag_pipelines.core.types import Element, ElementKind

DEEPEST = 6


@dataclass(frozen=True, slots=True)
class Span:
    """Where a chunk lies, and its parent where it has one."""

    start: int
    end: int
    parent: tuple[int, int] | None = None


@dataclass(slots=True)
class _Section:
    """A heading's section: its own atoms first, then the sections below it."""

    level: int
    atoms: list[Atom] = field(default_factory=list)
    below: list[_Section] = field(default_factory=list)

    def first(self) -> Atom:
        return self.atoms[0] if self.atoms else self.below[0].first()

    def last(self) -> Atom:
        return self.below[-1].last() if self.below else self.atoms[-1]

    def whole(self) -> Atom:
        first, last = self.first(), self.last()
        return Atom(first.start, last.end, first.low, last.high, SECTION)


def by_headings(ruler: Ruler, elements: Sequence[Element], rule: ChunkingRule) -> list[Span]:
    """Whole sections where they fit, small siblings together; larger ones packed block by block."""
    return [Span(start, end) for start, end in _chunk(ruler, elements, rule.max_tokens)]


def by_parents(ruler: Ruler, elements: Sequence[Element], rule: ChunkingRule) -> list[Span]:
    """Sections of up to `parent_tokens`, each cut again into chunks of up to `max_tokens`."""
    found: list[Span] = []
    first = 0
    for low, high in _chunk(ruler, elements, rule.parent_tokens):
        while elements[first].end <= low:
            first += 1
        last = first
        inside: list[Element] = []
        while last < len(elements) and elements[last].start < high:
            inside.append(_clip(elements[last], low, high))
            last += 1
        found.extend(Span(a, b, (low, high)) for a, b in _chunk(ruler, inside, rule.max_tokens))
        first = max(first, last - 1)
    return found


def _clip(element: Element, low: int, high: int) -> Element:
    if low <= element.start and element.end <= high:
        return element
    start, end = max(element.start, low), min(element.end, high)
    return Element(element.kind, start, end, element.level, element.page)


def _chunk(ruler: Ruler, elements: Sequence[Element], limit: int) -> list[tuple[int, int]]:
    if not elements:
        return []
    if ruler.count(elements[0].start, elements[-1].end) <= limit:
        return [(elements[0].start, elements[-1].end)]
    return list(_spans(ruler.text, _tree(ruler, elements, limit), limit))


def level_of(element: Element) -> int:
    """0 for a title, 1 to 6 for a heading; one without a level counts as the innermost."""
    if element.kind == ElementKind.TITLE:
        return 0
    return DEEPEST if element.level is None else min(max(element.level, 1), DEEPEST)


def _tree(ruler: Ruler, elements: Sequence[Element], limit: int) -> _Section:
    root = _Section(-1)
    path = [root]
    units = ruler.bounds([(element.start, element.end) for element in elements])
    waiting: list[Atom] = []  # headings that go with what follows them
    for at, (element, (low, high)) in enumerate(zip(elements, units, strict=True)):
        atom = Atom(element.start, element.end, low, high, _grade(ruler.text, elements, at))
        if element.kind in HEADINGS:
            level = level_of(element)
            while path[-1].level >= level:
                path.pop()
            section = _Section(level)
            path[-1].below.append(section)
            path.append(section)
            if atom.cost <= limit and _has_content(elements, at, level):
                waiting.append(atom)
                continue
        path[-1].atoms.extend(_join(ruler, waiting, element, atom, limit))
        waiting = []
    return root


def _has_content(elements: Sequence[Element], at: int, level: int) -> bool:
    """Whether something follows a heading in its own section."""
    if at + 1 == len(elements):
        return False
    following = elements[at + 1]
    return following.kind not in HEADINGS or level_of(following) > level


def _grade(text: str, elements: Sequence[Element], at: int) -> int:
    """Items of one list hold together, and so does what a colon announces."""
    if at == 0:
        return BLOCK
    before, item = elements[at - 1], ElementKind.LIST_ITEM
    same_list = elements[at].kind == item and before.kind == item
    return JOINED if same_list or text[before.end - 1] in ":：" else BLOCK


def _join(ruler: Ruler, waiting: list[Atom], element: Element, atom: Atom, limit: int) -> list[Atom]:
    """The element's atoms, the headings before it joined to the first one.

    A table or code block that fits only without its heading stays whole, and the heading stands alone.
    """
    alone: list[Atom] = []
    while waiting and atom.low - waiting[0].low >= limit:
        alone.append(waiting.pop(0))
    head = waiting[0] if waiting else atom
    if atom.high - head.low <= limit:
        return [*alone, _merge(head, atom)]
    above = [_merge(head, waiting[-1])] if waiting else []
    if element.kind in SOLID and atom.cost <= limit:
        return [*alone, *above, atom]
    first, *others = split(ruler, element, limit, limit - (atom.low - head.low), atom.grade)
    if first.high - head.low > limit:
        return [*alone, *above, first, *others]
    return [*alone, _merge(head, first), *others]


def _merge(first: Atom, last: Atom) -> Atom:
    return Atom(first.start, last.end, first.low, last.high, first.grade)


def _spans(text: str, section: _Section, limit: int) -> Iterator[tuple[int, int]]:
    run = list(section.atoms)
    for below in section.below:
        whole = below.whole()
        if whole.cost <= limit:
            run.append(whole)
            continue
        yield from pack(text, run, limit)
        run = []
        yield from _spans(text, below, limit)
    yield from pack(text, run, limit)

"""Documents of which some passages are withheld: one point for each that still shows any, and what its text leaves out.

A document is there where one of its passages may be shown. Its first one stands for it, unless that is withheld: then
the first that is not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from rag_pipelines.core.filters import All, AnyOf, Condition, HasId, Match, MatchAny, Range
from rag_pipelines.index.points import DOC_ID, ORDINAL
from rag_pipelines.retrieval.kept import Kept
from rag_pipelines.retrieval.locations import Reach

FIRST = Match(ORDINAL, 0)
"""One point of each document of a version: its first chunk."""

KEPT = 2_000_000
"""Points in memory that stand for their documents in place of the first one."""

BATCH = 500
"""Documents whose points are read together."""

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class StandIns:
    """Of one index: the points that stand for documents whose first is withheld, for each scope of readers."""

    _kept: Kept[tuple[str, ...]] = field(default_factory=lambda: Kept(KEPT, lambda points: 1 + len(points)))

    def each_document(self, reach: Reach) -> Condition:
        """Holds, among what may be read, for one point of each document.

        It costs nothing where the policy withholds nothing in the index; elsewhere documents whose first passage is
        withheld are read once for all who may read the same, until the version or a right changes.
        """
        withheld = reach.withheld
        if withheld is None:
            return FIRST
        points = self._kept.get(reach.scope(), lambda: _stand_ins(reach, withheld))
        return AnyOf((FIRST, HasId(points))) if points else FIRST


@dataclass(frozen=True, slots=True)
class Gap:
    """A span of a document's text that is left out, and how many withheld passages have text in it."""

    start: int
    end: int
    passages: int


def gaps(shown: Iterable[Span], withheld: Sequence[Span], length: int) -> tuple[Gap, ...]:
    """What no shown passage covers, wherever a withheld one has text there.

    That goes from the shown passage before to the next one: headings above a withheld passage lie in no span.
    """
    found = []
    position = 0
    for start, end in sorted((*shown, (length, length))):
        count = sum(other < start and position < until for other, until in withheld)
        if count and position < start:
            found.append(Gap(position, start, count))
        position = max(position, end)
    return tuple(found)


def blanked(text: str, left_out: Iterable[Gap]) -> str:
    """The text with a space for each character that is left out, so that every span still slices it."""
    for gap in left_out:
        text = text[: gap.start] + " " * (gap.end - gap.start) + text[gap.end :]
    return text


def _stand_ins(reach: Reach, withheld: Condition) -> tuple[str, ...]:
    found: list[str] = []
    batch: list[str] = []
    for point in reach.reader.scroll(All((withheld, FIRST)), batch=BATCH):
        batch.append(str(point.payload[DOC_ID]))
        if len(batch) == BATCH:
            found += _first_shown(reach, batch)
            batch = []
    return (*found, *_first_shown(reach, batch))


def _first_shown(reach: Reach, doc_ids: Sequence[str]) -> list[str]:
    """The point of the first passage that may be shown, of each document that has one.

    Mostly it is the second: few passages are read of a long document.
    """
    rest = reach.having(reach.readable, doc_ids)
    chosen: list[str] = []
    for low in (2**power for power in range(32)):
        if not rest:
            break
        near = (reach.readable, MatchAny(DOC_ID, tuple(sorted(rest))), Range(ORDINAL, gte=low, lt=2 * low))
        first: dict[str, tuple[int, str]] = {}
        for point in reach.reader.scroll(All(near)):
            doc_id, place = str(point.payload[DOC_ID]), (int(point.payload[ORDINAL]), point.point_id)
            first[doc_id] = min(first.get(doc_id, place), place)
        chosen += [point_id for _, point_id in first.values()]
        rest -= first.keys()
    return chosen

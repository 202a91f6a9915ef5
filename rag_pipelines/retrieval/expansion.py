"""A found chunk with what stands around it: its parent section, and the chunks before and after.

The text is the stored one that the found point was cut from (`parsed_hash`), so a later edit cannot leak into an
earlier version. It is shown only where readable points of the version cover it: nothing that a search could not
find is ever shown beside what it found.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rag_pipelines.config.retrieval import ContextConfig
from rag_pipelines.core.errors import BlobError
from rag_pipelines.core.filters import All, AnyOf, Condition, Match, Range
from rag_pipelines.core.types import Hit
from rag_pipelines.governance.injection_policy import strongest_flag
from rag_pipelines.index.points import (
    DOC_ID,
    END,
    INJECTION,
    ORDINAL,
    PAGE,
    PARENT_END,
    PARENT_START,
    PARSED_HASH,
    START,
    TEXT,
)
from rag_pipelines.retrieval.grouping import Group
from rag_pipelines.retrieval.locations import Reach

logger = logging.getLogger(__name__)
Payload = Mapping[str, Any]
TextOf = Callable[[str], str]
"""The stored text with this parsed hash. Raises BlobError."""


@dataclass(frozen=True, slots=True)
class Section:
    """What an answer shows of one document: a span of its text, and the hits in it, best first.

    `flag` is of the most suspect passage that it shows any of.
    """

    group: Group
    hits: tuple[Hit, ...]
    start: int
    end: int
    text: str
    page: int | None
    flag: Payload | None = None

    @property
    def doc_id(self) -> str:
        """The document."""
        return str(self.group.best.payload[DOC_ID])

    @property
    def expanded(self) -> bool:
        """Whether more is shown than the best hit."""
        best = self.group.best.payload
        return (self.start, self.end) != (best[START], best[END]) or len(self.hits) > 1

    def overlaps(self, other: Section) -> bool:
        """Whether the two share characters."""
        return self.doc_id == other.doc_id and self.start < other.end and other.start < self.end


def plain(group: Group) -> Section:
    """The best hit alone."""
    own = group.best.payload
    return Section(group, (group.best,), own[START], own[END], own[TEXT], own.get(PAGE), own.get(INJECTION))


def expand(groups: Sequence[Group], reach: Reach, settings: ContextConfig, text_of: TextOf) -> list[Section]:
    """A section for each group; the hit alone where its text is not stored any more, or not covered."""
    spans = [_span(group.best.payload, parents=settings.parents) for group in groups]
    parts = _pieces(groups, spans, reach, settings.neighbours)
    return [
        _section(group, span, pieces, text_of)
        for group, span, pieces in zip(groups, spans, parts, strict=True)
    ]


def folded(sections: Iterable[Section]) -> list[Section]:
    """Sections of one document that overlap, as one, in the place of the best of them."""
    found: list[Section] = []
    for section in sections:
        touching = [known for known in found if known.overlaps(section)]
        if not touching:
            found.append(section)
            continue
        whole = touching[0]
        for other in (section, *touching[1:]):
            whole = _joined(whole, other)
        hits = tuple(hit for known in (*touching, section) for hit in known.hits)
        whole = replace(whole, hits=hits)
        joined = set(map(id, touching[1:]))
        found = [whole if known is touching[0] else known for known in found if id(known) not in joined]
    return found


def stitched(start: int, text: str, other_start: int, other: str) -> tuple[int, str]:
    """Start and text of two spans of one text that overlap or touch, taken together."""
    if other_start < start:
        start, text, other_start, other = other_start, other, start, text
    return start, text + other[max(0, start + len(text) - other_start) :]


def _joined(one: Section, other: Section) -> Section:
    start, text = stitched(one.start, one.text, other.start, other.text)
    page = one.page if one.start <= other.start else other.page
    flag = strongest_flag([one.flag, other.flag])
    return replace(one, start=start, end=start + len(text), text=text, page=page, flag=flag)


def _span(own: Payload, *, parents: bool) -> tuple[int, int]:
    if parents and own.get(PARENT_START) is not None and own.get(PARENT_END) is not None:
        return own[PARENT_START], own[PARENT_END]
    return own[START], own[END]


def _pieces(
    groups: Sequence[Group], spans: Sequence[tuple[int, int]], reach: Reach, neighbours: int
) -> list[list[Payload]]:
    """For each group the points that its section consists of, in the order of the text."""
    payloads = [group.best.payload for group in groups]
    parents = [
        (own, span) for own, span in zip(payloads, spans, strict=True) if span != (own[START], own[END])
    ]
    inside = _read(reach, [_within(own, *span) for own, span in parents])
    held = [
        [own] if span == (own[START], own[END]) else _starting(inside[own[DOC_ID]], *span)
        for own, span in zip(payloads, spans, strict=True)
    ]
    if not neighbours:
        return held
    ranges = [_around(own, pieces, neighbours) for own, pieces in zip(payloads, held, strict=True)]
    beside = _read(
        reach,
        [
            All((Match(DOC_ID, own[DOC_ID]), Range(ORDINAL, gte=low, lte=high)))
            for own, (low, high) in zip(payloads, ranges, strict=True)
        ],
    )
    return [
        [piece for piece in beside[own[DOC_ID]] if low <= piece[ORDINAL] <= high]
        for own, (low, high) in zip(payloads, ranges, strict=True)
    ]


def _within(own: Payload, start: int, end: int) -> Condition:
    return All((Match(DOC_ID, own[DOC_ID]), Range(START, gte=start, lt=end)))


def _starting(pieces: Sequence[Payload], start: int, end: int) -> list[Payload]:
    return [piece for piece in pieces if start <= piece[START] < end]


def _around(own: Payload, pieces: Sequence[Payload], neighbours: int) -> tuple[int, int]:
    ordinals = [piece[ORDINAL] for piece in (own, *pieces)]
    return min(ordinals) - neighbours, max(ordinals) + neighbours


def _read(reach: Reach, conditions: Sequence[Condition]) -> dict[str, list[Payload]]:
    """Document -> readable points of the version that match any condition, in the order of the text."""
    found: dict[str, list[Payload]] = defaultdict(list)
    if conditions:
        for point in reach.reader.scroll(All((reach.readable, AnyOf(tuple(conditions))))):
            found[point.payload[DOC_ID]].append(point.payload)
    for pieces in found.values():
        pieces.sort(key=lambda piece: (piece[START], piece[END]))
    return found


def _section(group: Group, span: tuple[int, int], pieces: Sequence[Payload], text_of: TextOf) -> Section:
    own = group.best.payload
    start = min([span[0], *(piece[START] for piece in pieces)])
    end = max([span[1], *(piece[END] for piece in pieces)])
    if (start, end) == (own[START], own[END]):
        return plain(group)
    try:
        text = text_of(own[PARSED_HASH])
    except BlobError as error:
        logger.warning("passage not expanded: doc_id=%s reason=%s", own[DOC_ID], error)
        return plain(group)
    if not _covered(text, start, end, own[PARSED_HASH], pieces):
        logger.warning("passage not expanded: doc_id=%s reason=not covered by its points", own[DOC_ID])
        return plain(group)
    flag = strongest_flag([piece.get(INJECTION) for piece in pieces])
    return Section(group, (group.best,), start, end, text[start:end], pieces[0].get(PAGE), flag)


def _covered(text: str, start: int, end: int, parsed_hash: str, pieces: Sequence[Payload]) -> bool:
    """Whether the points are of this text and leave nothing of the span but white space."""
    position = start
    for piece in pieces:
        of_text = piece[PARSED_HASH] == parsed_hash and text[piece[START] : piece[END]] == piece[TEXT]
        if not of_text or text[position : piece[START]].strip():
            return False
        position = max(position, piece[END])
    return not text[position:end].strip()

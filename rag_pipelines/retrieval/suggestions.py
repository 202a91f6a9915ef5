"""Titles and headings that begin with what somebody types, of documents that they may read.

They are read once for all who may read the same, and kept until the version or a right changes.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Literal

from rag_pipelines.core.types import Principal
from rag_pipelines.index.points import DOC_ID, HEADING_PATH, SOURCE, TITLE, URI
from rag_pipelines.retrieval.kept import Kept
from rag_pipelines.retrieval.search import Searcher

SCANNED = 100_000
"""Points whose headings are read at most; of a larger version the suggestions are not complete, and say so."""

KEPT = 500_000
"""Suggestions in memory, of the scopes used last."""

LAST = "\U0010ffff"
Kind = Literal["title", "heading"]


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A title, or a heading that is no title, in how many documents it stands, and the first of them by place."""

    text: str
    kind: Kind
    documents: int
    doc_id: str
    source: str
    uri: str


@dataclass(frozen=True, slots=True)
class Suggested:
    """Of one version, most documents first; `complete` is whether all of its points were read."""

    version: int
    suggestions: tuple[Suggestion, ...]
    complete: bool


@dataclass(frozen=True, slots=True)
class Headings:
    """Everything that can be suggested, in the order of `folded`, which is how it is compared."""

    folded: tuple[str, ...]
    suggestions: tuple[Suggestion, ...]
    complete: bool = True

    def __len__(self) -> int:
        return len(self.folded)

    def begin(self, prefix: str, limit: int) -> list[Suggestion]:
        """The best of those that begin with the prefix: titles first, then what most documents have."""
        start = fold(prefix)
        low, high = bisect_left(self.folded, start), bisect_left(self.folded, start + LAST)
        places = heapq.nsmallest(
            limit,
            range(low, high),
            key=lambda place: (
                self.suggestions[place].kind != "title",
                -self.suggestions[place].documents,
                place,
            ),
        )
        return [self.suggestions[place] for place in places]


class Suggestions:
    """Of all indexes; safe to use from several threads."""

    def __init__(self) -> None:
        self._kept: Kept[Headings] = Kept(KEPT, len)

    def find(
        self,
        searcher: Searcher,
        principal: Principal,
        prefix: str,
        limit: int = 10,
        version: int | None = None,
    ) -> Suggested:
        """At most `limit` suggestions, compared without regard to case and spaces. Raises as a search does."""
        with searcher.reach(principal, version) as (number, reach):
            scope = reach.scope()

            def read() -> Headings:
                points = reach.reader.scroll(scope[1])
                found = headings(point.payload for point in islice(points, SCANNED))
                return replace(found, complete=next(points, None) is None)

            found = self._kept.get((searcher.config.index, scope), read)
        return Suggested(number, tuple(found.begin(prefix, limit)), found.complete)


def fold(text: str) -> str:
    """As they are compared."""
    return " ".join(text.split()).casefold()


@dataclass(slots=True)
class _Entry:
    """One text while points are read: as it stands in the first document by place, and all that have it."""

    place: tuple[str, str, str]
    text: str
    is_title: bool
    documents: set[str]


def headings(payloads: Iterable[Mapping[str, Any]]) -> Headings:
    """What can be suggested of these points."""
    entries: dict[str, _Entry] = {}
    for payload in payloads:
        place = (str(payload[SOURCE]), str(payload[URI]), str(payload[DOC_ID]))
        title = payload.get(TITLE)
        for text in (title, *(payload.get(HEADING_PATH) or ())):
            folded = fold(text or "")
            if not folded:
                continue
            entry = entries.setdefault(folded, _Entry(place, text, False, set()))
            entry.place, entry.text = min((entry.place, entry.text), (place, text))
            entry.documents.add(place[2])
            entry.is_title = entry.is_title or text is title
    order = sorted(entries)
    return Headings(tuple(order), tuple(_suggestion(entries[folded]) for folded in order))


def _suggestion(entry: _Entry) -> Suggestion:
    source, uri, doc_id = entry.place
    kind: Kind = "title" if entry.is_title else "heading"
    text = " ".join(entry.text.split())
    return Suggestion(text, kind, len(entry.documents), doc_id, source, uri)

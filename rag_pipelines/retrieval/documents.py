"""The documents of a version, for somebody: a list in pages, and one of them with its text.

All of it is read from the points that a search would search, under the same condition: what is hidden from a
search is hidden here, and takes no more work than what is not there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from rag_pipelines.core.errors import ConfigError, NotFound
from rag_pipelines.core.filters import All, Condition, Match, MatchAny
from rag_pipelines.core.types import Principal
from rag_pipelines.index.points import (
    CLASSIFICATION,
    DOC_ID,
    END,
    LINK,
    META,
    ORDINAL,
    SOURCE,
    START,
    TITLE,
    URI,
)
from rag_pipelines.retrieval.filters import Wanted, filter_condition
from rag_pipelines.retrieval.locations import Reach
from rag_pipelines.retrieval.search import Searcher
from rag_pipelines.retrieval.withheld import Gap, Span, blanked, gaps

SCANNED = 5000
"""Documents looked at for one page; a prefix that few uris have is looked for over several pages."""

BATCH = 500
"""Of which so many are read at once."""

FACTS = ("revision", "modified_at", "media_type", "language", "parser", "parsed_hash")
_CURSOR = re.compile(r"([1-9]\d{0,9})-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Listed:
    """One document of a version; `chunks` are its points there, less those that are withheld."""

    doc_id: str
    source: str
    uri: str
    title: str | None
    link: str | None
    classification: str
    chunks: int


@dataclass(frozen=True, slots=True)
class Page:
    """Some documents of one version; `next` is where the following page begins, None after the last one."""

    version: int
    documents: tuple[Listed, ...]
    next: str | None


@dataclass(frozen=True, slots=True)
class Stored:
    """A document with its text, which the `start` and `end` of citations of that version slice.

    What is `withheld` of it is blank there.
    """

    version: int
    listed: Listed
    facts: Mapping[str, Any]
    metadata: Mapping[str, Any]
    text: str
    withheld: tuple[Gap, ...] = ()


@dataclass(frozen=True, slots=True)
class Totals:
    """How much of a version somebody may read."""

    documents: int
    chunks: int


def count_readable(searcher: Searcher, principal: Principal, version: int | None = None) -> Totals:
    """Documents and chunks of a version that the principal may read. Raises as a search does."""
    with searcher.reach(principal, version) as (_, reach):
        each = searcher.stand_ins.each_document(reach)
        return Totals(
            documents=reach.reader.count(All((reach.readable, each))),
            chunks=reach.reader.count(reach.readable),
        )


def list_documents(
    searcher: Searcher,
    principal: Principal,
    filters: Mapping[str, Wanted],
    prefix: str = "",
    limit: int = 50,
    cursor: str | None = None,
    version: int | None = None,
) -> Page:
    """At most `limit` documents in the order of the points that stand for them, which means nothing and never changes.

    `cursor` is the `next` of the page before and carries its version, so that pages are of one. A page may hold
    fewer documents than asked for, even none, and be followed by others where few uris have the prefix.
    Raises ConfigError for a cursor that no page gave, and as a search does.
    """
    asked = filter_condition(filters, searcher.config)
    number, after = _place(cursor, version)
    with searcher.reach(principal, number) as (found_version, reach):
        each = searcher.stand_ins.each_document(reach)
        points = reach.reader.scroll(
            All((reach.readable, asked, each)), batch=BATCH if prefix else limit + 1, after=after
        )
        chosen: list[Mapping[str, Any]] = []
        last = None
        for point in islice(points, SCANNED):
            last = point.point_id
            if str(point.payload[URI]).startswith(prefix):
                chosen.append(point.payload)
            if len(chosen) == limit:
                break
        more = last is not None and next(points, None) is not None
        documents = _listed(reach, chosen)
    return Page(found_version, documents, f"{found_version}-{last}" if more else None)


def read_document(
    searcher: Searcher, principal: Principal, doc_id: str, version: int | None = None
) -> Stored:
    """One document. Raises NotFound for one that is not there and, in the same words, for one that is hidden.

    Raises BlobError where its text is not stored any more, and as a search does.
    """
    with searcher.reach(principal, version) as (number, reach):
        shown = _points(reach, reach.readable, doc_id)
        if not shown:
            raise NotFound(f"version {number} of index {searcher.config.index!r} has no document {doc_id!r}")
        withheld = _points(reach, reach.withheld, doc_id) if reach.withheld is not None else []
    first = min(shown, key=lambda payload: int(payload[ORDINAL]))
    text = searcher.parts.text_of(first["parsed_hash"])
    left_out = gaps(map(_span, shown), [_span(payload) for payload in withheld], len(text))
    return Stored(
        number,
        _of_point(first, len(shown)),
        {name: first.get(name) for name in FACTS},
        first.get(META) or {},
        blanked(text, left_out),
        left_out,
    )


def _points(reach: Reach, condition: Condition, doc_id: str) -> list[Mapping[str, Any]]:
    return [point.payload for point in reach.reader.scroll(All((condition, Match(DOC_ID, doc_id))))]


def _span(payload: Mapping[str, Any]) -> Span:
    return payload[START], payload[END]


def _place(cursor: str | None, version: int | None) -> tuple[int | None, str | None]:
    if cursor is None:
        return version, None
    match = _CURSOR.fullmatch(cursor)
    if match is None or (version is not None and int(match[1]) != version):
        raise ConfigError(
            "cursor: is not what a page of this list gave as `next`; ask for the first page without it"
        )
    return int(match[1]), match[2]


def _listed(reach: Reach, payloads: Sequence[Mapping[str, Any]]) -> tuple[Listed, ...]:
    ids = tuple(str(payload[DOC_ID]) for payload in payloads)
    if not ids:
        return ()
    chunks = dict(reach.reader.facet(DOC_ID, All((reach.readable, MatchAny(DOC_ID, ids))), len(ids)))
    return tuple(_of_point(payload, chunks[payload[DOC_ID]]) for payload in payloads)


def _of_point(payload: Mapping[str, Any], chunks: int) -> Listed:
    return Listed(
        doc_id=payload[DOC_ID],
        source=payload[SOURCE],
        uri=payload[URI],
        title=payload.get(TITLE),
        link=payload.get(LINK),
        classification=payload[CLASSIFICATION],
        chunks=chunks,
    )

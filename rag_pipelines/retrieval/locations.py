"""The other documents in which a passage stands, as far as whoever asks may read them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from rag_pipelines.catalog.documents import access_of
from rag_pipelines.catalog.duplicates import asked, members_by_document, standing_with
from rag_pipelines.catalog.signatures import pairs_among
from rag_pipelines.catalog.store import Catalog, Row
from rag_pipelines.core.filters import All, Condition, Match, MatchAny
from rag_pipelines.core.places import Location
from rag_pipelines.core.ports import CollectionReader
from rag_pipelines.core.types import Classification, Principal
from rag_pipelines.dedup import components
from rag_pipelines.governance.access import access_condition, grants, may_read, own_entry
from rag_pipelines.governance.injection_policy import OFF, InjectionPolicy
from rag_pipelines.index.points import ACL, DOC_ID, PARSED_HASH, TEXT_HASH
from rag_pipelines.retrieval.grouping import Group

Payload = Mapping[str, Any]
Scope = tuple[int, Condition]
"""The generation of the pointer, which moves with every change of rights, and what may be read."""

PAGE = 500
"""Points read for all passages of an answer together."""

SHARE = 200
"""Points read for each passage where `PAGE` is too few for all: of more places, the first by point id."""


def _unjudged() -> InjectionPolicy:
    return InjectionPolicy(OFF, "")


@dataclass(frozen=True, slots=True)
class Reach:
    """Where somebody's passages and their locations are looked for: `shown` is what the version holds.

    Filters of the question do not bound locations: that a passage stands elsewhere too is worth knowing
    there as well. Of one search: what was read from the catalog is kept. `comparison` is the fingerprint of the
    settings by which texts were compared.
    """

    catalog: Catalog
    index: str
    reader: CollectionReader
    shown: Condition
    hidden: Collection[str]
    principal: Principal
    policy: InjectionPolicy = field(default_factory=_unjudged)
    generation: int = 0
    comparison: str = ""
    _pairs: dict[frozenset[str], list[tuple[str, str]]] = field(default_factory=dict)
    _members: dict[str, Row | None] = field(default_factory=dict)

    @property
    def readable(self) -> Condition:
        """Points of the version that the principal may read, less those that are withheld from everybody."""
        return All((self.shown, access_condition(self.principal), self.policy.shown()))

    @property
    def withheld(self) -> Condition | None:
        """Points that the principal could read, were they not withheld; None where the policy withholds none."""
        withheld = self.policy.withheld()
        return None if withheld is None else All((self.shown, access_condition(self.principal), withheld))

    def scope(self) -> Scope:
        """Names what may be read by a moment and a condition, the same for all who may read the same by their groups.

        What is made of its points can be kept and shared: whoever has it may read all of them.
        """
        if self.principal.unrestricted:
            return self.generation, self.readable
        by_name = All((self.readable, Match(ACL, own_entry(self.principal))))
        if self.reader.count(by_name):
            return self.generation, self.readable
        general = access_condition(self.principal, by_name=False)
        return self.generation, All((self.shown, general, self.policy.shown()))

    def having(self, condition: Condition, doc_ids: Collection[str]) -> set[str]:
        """Those of the documents that have a point for which the condition holds."""
        if not doc_ids:
            return set()
        of_these = All((condition, MatchAny(DOC_ID, tuple(sorted(doc_ids)))))
        return {str(doc_id) for doc_id, _ in self.reader.facet(DOC_ID, of_these, len(doc_ids))}

    def showing_nothing(self, doc_ids: Collection[str]) -> set[str]:
        """Those of the documents of which every passage is withheld; one without passages is none of them."""
        if self.withheld is None:
            return set()
        return self.having(self.withheld, doc_ids) - self.having(self.readable, doc_ids)

    def clusters(self, doc_ids: Collection[str]) -> dict[str, str]:
        """Document -> the first of those that it is connected with through near-duplicates among them.

        The cluster in the catalog says only which of them to compare: it may hang together by documents that are
        hidden, and what those connect would tell of them.
        """
        rows = self.members(doc_ids)
        sizes = Counter(row["cluster"] for row in rows)
        holders: dict[tuple[str, str], list[str]] = {}
        for row in rows:
            if sizes[row["cluster"]] > 1:
                holders.setdefault((row["scope"], row["parsed_hash"]), []).append(row["doc_id"])
        edges = [(doc_ids[0], other) for doc_ids in holders.values() for other in doc_ids[1:]]
        texts = frozenset(text for _, text in holders)
        for low, high in self._near(texts) if len(texts) > 1 else ():
            edges += [
                (doc_ids[0], holders[scope, high][0])
                for (scope, text), doc_ids in holders.items()
                if text == low and (scope, high) in holders
            ]
        return {doc_id: found[0] for found in components(edges) for doc_id in found}

    def _near(self, texts: frozenset[str]) -> list[tuple[str, str]]:
        if texts not in self._pairs:
            self._pairs[texts] = asked(self.catalog, lambda tx: pairs_among(tx, self.comparison, texts), [])
        return self._pairs[texts]

    def members(self, doc_ids: Collection[str]) -> list[Row]:
        """What the catalog knows of documents that are compared with others."""
        new = set(doc_ids) - self._members.keys()
        if new:
            rows: dict[str, Row] = asked(
                self.catalog, lambda tx: members_by_document(tx, self.index, new), {}
            )
            self._members.update({doc_id: rows.get(doc_id) for doc_id in new})
        return [row for doc_id in doc_ids if (row := self._members[doc_id]) is not None]


def find_locations(groups: Sequence[Group], reach: Reach, limit: int) -> list[tuple[Location, ...]]:
    """For each group up to `limit` locations of its best hit: most similar first, then by source and uri.

    Passages with the same text come from the snapshot that was searched, and so do their rights.
    Near-duplicates of those documents, collapsed ones among them, come from the catalog with the rights of
    now, and with the similarity that their documents have.
    """
    if not groups or not limit:
        return [() for _ in groups]
    same = _same_texts({group.best.payload[TEXT_HASH] for group in groups}, reach)
    found = [_Places(group, same[group.best.payload[TEXT_HASH]]) for group in groups]
    near = _near_documents(
        [payload for places in found for payload, _ in places.anchors(limit)], reach, limit
    )
    for places in found:
        for payload, similarity in list(places.anchors(limit)):
            for row, of_document in near.get(payload[DOC_ID], ()):
                places.add(_of_row(row, min(similarity, of_document)))
    return [places.sorted()[:limit] for places in found]


class _Places:
    """Locations of one passage, one a document."""

    def __init__(self, group: Group, same: Sequence[Payload]) -> None:
        self._best = group.best.payload
        self._by_document: dict[str, Location] = {}
        self._payloads: dict[str, Payload] = {}
        for payload in sorted(same, key=lambda payload: payload["start"]):
            self._add_passage(payload, 1.0)
        for hit, similarity in group.others:
            self._add_passage(hit.payload, similarity)

    def add(self, location: Location) -> None:
        """Take it unless it is in the passage's own document, or in one of which as much is known already."""
        known = self._by_document.get(location.doc_id)
        better = known is None or (known.start is None and known.similarity < location.similarity)
        if better and location.doc_id != self._best[DOC_ID]:
            self._by_document[location.doc_id] = location

    def anchors(self, limit: int) -> Iterator[tuple[Payload, float]]:
        """The passage's own document, and the first others in which it stands: theirs are near to it as well."""
        yield self._best, 1.0
        for location in self.sorted()[:limit]:
            if location.doc_id in self._payloads:
                yield self._payloads[location.doc_id], location.similarity

    def sorted(self) -> tuple[Location, ...]:
        """Most similar first."""
        return tuple(
            sorted(self._by_document.values(), key=lambda place: (-place.similarity, place.source, place.uri))
        )

    def _add_passage(self, payload: Payload, similarity: float) -> None:
        self._payloads.setdefault(payload[DOC_ID], payload)
        self.add(_of_passage(payload, similarity))


def _same_texts(texts: Collection[str], reach: Reach) -> dict[str, list[Payload]]:
    """Text hash -> payloads of the points that have it, of documents that may be read."""
    ordered = tuple(sorted(texts))
    points = _read(MatchAny(TEXT_HASH, ordered), PAGE, reach)
    if len(points) == PAGE:
        points = [payload for text in ordered for payload in _read(Match(TEXT_HASH, text), SHARE, reach)]
    found: dict[str, list[Payload]] = {text: [] for text in ordered}
    for payload in points:
        found[payload[TEXT_HASH]].append(payload)
    return found


def _read(of_texts: Condition, count: int, reach: Reach) -> list[Payload]:
    points = reach.reader.scroll(All((reach.readable, of_texts)), batch=count)
    return [point.payload for point in islice(points, count)]


def _near_documents(
    anchors: Sequence[Payload], reach: Reach, limit: int
) -> dict[str, list[tuple[Row, float]]]:
    """Document -> the readable ones that share its representative, with their similarity.

    None for a document whose text is another by now than the one that was searched.
    """
    parsed = {payload[DOC_ID]: payload[PARSED_HASH] for payload in anchors}
    known = [row for row in reach.members(parsed) if row["parsed_hash"] == parsed[row["doc_id"]]]
    if not known:
        return {}
    who, most = reach.principal, 2 * limit + len(reach.hidden)
    tiers = None if who.unrestricted else [tier for tier in Classification if tier.rank <= who.clearance.rank]
    granted = None if who.unrestricted else grants(who)
    together: dict[str, list[Row]] = asked(
        reach.catalog, lambda tx: standing_with(tx, reach.index, known, most, tiers, granted), {}
    )
    untold = reach.showing_nothing({row["doc_id"] for rows in together.values() for row in rows})
    found: dict[str, list[tuple[Row, float]]] = {}
    for own in known:
        for row in together.get(own["representative"], ()):
            unseen = (
                row["doc_id"] in reach.hidden or row["doc_id"] in untold or not may_read(who, access_of(row))
            )
            if row["doc_id"] != own["doc_id"] and not unseen:
                found.setdefault(own["doc_id"], []).append((row, _similarity(own, row)))
    return found


def _similarity(own: Row, other: Row) -> float:
    """Of two documents with one representative: exact wherever one of them has its text.

    Otherwise the lesser of what both have in common with it, which is what the catalog knows.
    """
    if own["parsed_hash"] == other["parsed_hash"]:
        return 1.0
    return float(min(own["similarity"], other["similarity"]))


def _of_passage(payload: Payload, similarity: float) -> Location:
    return Location(
        source=payload["source"],
        uri=payload["uri"],
        title=payload.get("title"),
        link=payload.get("link"),
        doc_id=payload[DOC_ID],
        start=payload["start"],
        end=payload["end"],
        similarity=round(similarity, 6),
    )


def _of_row(row: Row, similarity: float) -> Location:
    return Location(
        source=row["source"],
        uri=row["uri"],
        title=row["title"],
        link=row["link"],
        doc_id=row["doc_id"],
        start=None,
        end=None,
        similarity=round(similarity, 6),
    )

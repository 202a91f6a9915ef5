"""What changed between two versions of an index, by documents and by chunks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rag_pipelines.catalog import differences, versions
from rag_pipelines.catalog.differences import Place
from rag_pipelines.catalog.store import Row, Transaction, reading
from rag_pipelines.core.errors import NotFound
from rag_pipelines.pipeline.workspace import Workspace

KINDS = ("added", "removed", "changed")
DETAILS = "details"
LIMIT = 1000


@dataclass(frozen=True, slots=True)
class DocumentChange:
    """`change` is added, removed, changed (other chunks) or details (the same chunks, with another place,
    title or metadata); `chunks` counts its chunks by added, removed and changed.
    """

    change: str
    source: str
    uri: str
    doc_id: str
    chunks: Counter[str]

    def as_json(self) -> dict[str, Any]:
        """The fields by name."""
        return {
            "change": self.change,
            "source": self.source,
            "uri": self.uri,
            "doc_id": self.doc_id,
            "chunks": {kind: self.chunks[kind] for kind in KINDS},
        }


@dataclass(frozen=True, slots=True)
class ChunkChange:
    """`change` is added, removed or changed: the same text with another payload; place is the newer one's."""

    change: str
    source: str
    uri: str
    doc_id: str
    chunk_id: str
    start: int | None
    end: int | None
    heading_path: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """The fields by name."""
        return {
            "change": self.change,
            "source": self.source,
            "uri": self.uri,
            "doc_id": self.doc_id,
            "chunk_id": self.chunk_id,
            "start": self.start,
            "end": self.end,
            "heading_path": list(self.heading_path),
        }


@dataclass(frozen=True, slots=True)
class VersionDiff:
    """Counts are of everything, the lists are cut at the limit; sorted by source, uri and place.

    `other_space`: the versions lie in different collections, so every vector may differ.
    """

    index: str
    older: int
    newer: int
    other_space: bool
    documents: Counter[str]
    chunks: Counter[str]
    listed: tuple[DocumentChange, ...]
    listed_chunks: tuple[ChunkChange, ...]

    def as_json(self) -> dict[str, Any]:
        """The object that `diff --json` prints."""
        return {
            "index": self.index,
            "older": self.older,
            "newer": self.newer,
            "other_space": self.other_space,
            "documents": {kind: self.documents[kind] for kind in (*KINDS, DETAILS)},
            "chunks": {kind: self.chunks[kind] for kind in KINDS},
            "listed": [change.as_json() for change in self.listed],
            "listed_chunks": [change.as_json() for change in self.listed_chunks],
        }


def diff(workspace: Workspace, index: str, older: int, newer: int, *, limit: int = LIMIT) -> VersionDiff:
    """Compare what two versions show, the candidate among them; hidden documents are in neither.

    Within one collection the cost follows the change. Needs no lock. Raises NotFound for a version that
    was never there or is no longer stored.
    """
    workspace.configuration.index_named(index)
    places = [_place(workspace, index, number) for number in (older, newer)]
    hidden = frozenset(versions.hidden_documents(workspace.catalog, index))
    with reading(workspace.catalog.engine) as tx:
        gone = _by_chunk(differences.shown_by_one(tx, places[0], places[1]), hidden)
        came = _by_chunk(differences.shown_by_one(tx, places[1], places[0]), hidden)
        kinds = dict(_kinds(gone, came))
        by_document: dict[str, Counter[str]] = {}
        for chunk, kind in kinds.items():
            by_document.setdefault(_document(chunk, gone, came), Counter())[kind] += 1
        before = differences.documents_shown(tx, places[0], by_document)
        after = differences.documents_shown(tx, places[1], by_document)
        where = differences.document_places(tx, by_document)
        documents = sorted(
            (
                DocumentChange(
                    _change(doc_id, counts, before, after), *where.get(doc_id, ("", "")), doc_id, counts
                )
                for doc_id, counts in by_document.items()
            ),
            key=lambda change: (change.source, change.uri),
        )
        chunks = _listed_chunks(tx, places, kinds, gone, came, where, limit)
    return VersionDiff(
        index,
        older,
        newer,
        places[0].collection != places[1].collection,
        Counter(change.change for change in documents),
        Counter(kinds.values()),
        tuple(documents[:limit]),
        tuple(chunks),
    )


def _place(workspace: Workspace, index: str, number: int) -> Place:
    with workspace.catalog.begin() as tx:
        row = versions.version_row(tx, index, number)
    if row is not None and row["status"] != "vacuumed":
        return Place(row["collection"], number)
    if row is not None:
        raise NotFound(f"version {number} of index {index!r} is no longer stored")
    there = ", ".join(
        str(known["number"])
        for known in versions.versions_of(workspace.catalog, index)
        if known["status"] != "vacuumed"
    )
    raise NotFound(f"index {index!r} has no version {number}; there are {there or 'none'}")


def _by_chunk(rows: Sequence[Row], hidden: Collection[str]) -> dict[str, Row]:
    return {row["chunk_id"]: row for row in rows if row["doc_id"] not in hidden}


def _kinds(gone: Mapping[str, Row], came: Mapping[str, Row]) -> Iterator[tuple[str, str]]:
    """A chunk that left and came back as it was differs in neither."""
    for chunk, row in gone.items():
        if chunk not in came:
            yield chunk, "removed"
        elif came[chunk]["payload_hash"] != row["payload_hash"]:
            yield chunk, "changed"
    for chunk in came.keys() - gone.keys():
        yield chunk, "added"


def _document(chunk: str, gone: Mapping[str, Row], came: Mapping[str, Row]) -> str:
    return str((came.get(chunk) or gone[chunk])["doc_id"])


def _change(doc_id: str, counts: Counter[str], before: Collection[str], after: Collection[str]) -> str:
    if doc_id not in before:
        return "added"
    if doc_id not in after:
        return "removed"
    return "changed" if counts["added"] or counts["removed"] else DETAILS


def _listed_chunks(
    tx: Transaction,
    places: Sequence[Place],
    kinds: Mapping[str, str],
    gone: Mapping[str, Row],
    came: Mapping[str, Row],
    where: Mapping[str, tuple[str, str]],
    limit: int,
) -> list[ChunkChange]:
    """The first of the changed chunks by source, uri and place in the document."""
    doc_of = {chunk: _document(chunk, gone, came) for chunk in kinds}
    chosen = sorted(kinds, key=lambda chunk: (where.get(doc_of[chunk], ("", "")), doc_of[chunk]))
    # Places are read only as far as the list may go: all of a document's, so that its order is right.
    last = doc_of[chosen[limit - 1]] if 0 < limit < len(chosen) else None
    end = len(chosen) if limit else 0
    if last is not None:
        end = max(position for position, chunk in enumerate(chosen) if doc_of[chunk] == last) + 1
    records: dict[str, Row] = {}
    for place, rows in zip(places, (gone, came), strict=True):
        ids = {rows[chunk]["point_id"]: chunk for chunk in chosen[:end] if chunk in rows}
        found = differences.chunk_records(tx, place.collection, list(ids))
        records |= {ids[point]: record for point, record in found.items()}
    made = [
        ChunkChange(
            kinds[chunk],
            *where.get(doc_of[chunk], ("", "")),
            doc_of[chunk],
            chunk,
            records.get(chunk, {}).get("start"),
            records.get(chunk, {}).get("end"),
            tuple(records.get(chunk, {}).get("heading_path") or ()),
        )
        for chunk in chosen[:end]
    ]
    return sorted(made, key=lambda change: (change.source, change.uri, change.start or 0))[:limit]

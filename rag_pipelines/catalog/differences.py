"""What two versions of an index hold differently: points that one of them shows and the other does not."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from rag_pipelines.catalog.store import Row, Transaction, batches, rows_of
from rag_pipelines.catalog.tables import documents, points


@dataclass(frozen=True, slots=True)
class Place:
    """A version and the collection that holds it."""

    collection: str
    version: int


def shown_by_one(tx: Transaction, here: Place, there: Place) -> list[Row]:
    """Points (`point_id`, `chunk_id`, `doc_id`, `payload_hash`) that `here` shows and `there` does not.

    Within a collection the cost follows what changed between the two; across collections every point
    of `here` is looked at, and one that `there` shows with the same payload is not among them.
    """
    own = points.c
    wanted = sa.select(own.point_id, own.chunk_id, own.doc_id, own.payload_hash).where(
        own.collection == here.collection, own.added <= here.version, own.removed > here.version
    )
    if here.collection != there.collection:
        other = points.alias("other")
        same = sa.select(other.c.point_id).where(
            other.c.doc_id == own.doc_id,
            other.c.collection == there.collection,
            other.c.chunk_id == own.chunk_id,
            other.c.payload_hash == own.payload_hash,
            other.c.added <= there.version,
            other.c.removed > there.version,
        )
        wanted = wanted.where(~same.exists())
    elif here.version > there.version:
        wanted = wanted.where(own.added > there.version)
    else:
        wanted = wanted.where(own.removed <= there.version)
    return rows_of(tx.execute(wanted))


def documents_shown(tx: Transaction, place: Place, doc_ids: Collection[str]) -> set[str]:
    """Those of the documents that have a point in the version."""
    own = points.c
    return {
        row[0]
        for batch in batches(sorted(doc_ids))
        for row in tx.execute(
            sa.select(own.doc_id)
            .where(
                own.doc_id.in_(batch),
                own.collection == place.collection,
                own.added <= place.version,
                own.removed > place.version,
            )
            .distinct()
        )
    }


def document_places(tx: Transaction, doc_ids: Collection[str]) -> dict[str, tuple[str, str]]:
    """Document -> source and uri."""
    own = documents.c
    return {
        row[0]: (row[1], row[2])
        for batch in batches(sorted(doc_ids))
        for row in tx.execute(sa.select(own.doc_id, own.source, own.uri).where(own.doc_id.in_(batch)))
    }


def chunk_records(tx: Transaction, collection: str, ids: Sequence[str]) -> dict[str, Row]:
    """Point -> where its chunk lies in the document's text."""
    own = points.c
    return {
        row[0]: row[1] or {}
        for batch in batches(ids)
        for row in tx.execute(
            sa.select(own.point_id, own.chunk).where(own.collection == collection, own.point_id.in_(batch))
        )
    }

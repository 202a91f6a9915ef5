"""Rows that the engine is compared with and rebuilt from: points of every version, and what they were made of."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from rag_pipelines.catalog.marks import next_tick, touch
from rag_pipelines.catalog.points import count_points
from rag_pipelines.catalog.store import Catalog, Row, Transaction, batches, reading, rows_of
from rag_pipelines.catalog.tables import (
    chunks,
    collection_totals,
    collections,
    documents,
    point_documents,
    points,
)
from rag_pipelines.core.faults import fault_point

PAGE = 1000


def count_rows(catalog: Catalog, collection: str) -> int:
    """Points of every version that the catalog has of a collection."""
    with reading(catalog.engine) as tx:
        return tx.execute(sa.select(sa.func.count()).where(points.c.collection == collection)).scalar_one()


def points_in_order(catalog: Catalog, collection: str) -> Iterator[Row]:
    """Every point of the collection by id, with what the engine should say of it; `known` where its document is.

    Read in pages, a transaction each, so that others can write in between.
    """
    doc = documents.c
    after = ""
    columns = ("point_id", "doc_id", "added", "removed", "payload_hash", "dirty")
    wanted = (
        sa.select(
            *(points.c[name] for name in columns),
            doc.tenant,
            doc.classification,
            doc.acl,
            doc.doc_id.is_not(None).label("known"),
        )
        .select_from(points.outerjoin(documents, doc.doc_id == points.c.doc_id))
        .where(points.c.collection == collection)
        .order_by(points.c.point_id)
        .limit(PAGE)
    )
    while True:
        with reading(catalog.engine) as tx:
            page = rows_of(tx.execute(wanted.where(points.c.point_id > after)))
        yield from page
        if len(page) < PAGE:
            return
        after = page[-1]["point_id"]


def points_by_document(catalog: Catalog, collection: str) -> Iterator[Row]:
    """(`point_id`, `doc_id`, `added`, `dirty`) of every point of the collection, document by document."""
    after = ""
    while True:
        with reading(catalog.engine) as tx:
            following = sa.select(points.c.doc_id).where(points.c.doc_id > after).distinct()
            ids = [row[0] for row in tx.execute(following.order_by(points.c.doc_id).limit(PAGE // 5))]
            if not ids:
                return
            page = rows_of(
                tx.execute(
                    sa.select(points.c.point_id, points.c.doc_id, points.c.added, points.c.dirty)
                    .where(points.c.doc_id.in_(ids), points.c.collection == collection)
                    .order_by(points.c.doc_id)
                )
            )
        yield from page
        after = ids[-1]


def whole_points(tx: Transaction, collection: str, ids: Sequence[str]) -> list[Row]:
    """Every column of these points, with the rights of their documents (`known` where there is one)."""
    doc = documents.c
    wanted = sa.select(
        points, doc.tenant, doc.classification, doc.acl, doc.doc_id.is_not(None).label("known")
    ).select_from(points.outerjoin(documents, doc.doc_id == points.c.doc_id))
    return [
        row
        for batch in batches(ids)
        for row in rows_of(
            tx.execute(wanted.where(points.c.collection == collection, points.c.point_id.in_(batch)))
        )
    ]


def shared_payloads(tx: Transaction, keys: Collection[str]) -> dict[str, Mapping[str, Any]]:
    """What the points of a document share, by its key."""
    own = point_documents.c
    return {
        row[0]: row[1]
        for batch in batches(sorted(set(keys)))
        for row in tx.execute(sa.select(own.document_key, own.payload).where(own.document_key.in_(batch)))
    }


def chunk_texts(tx: Transaction, index: str, chunk_ids: Collection[str]) -> dict[str, str]:
    """The text of chunks of the newest revisions."""
    own = chunks.c
    return {
        row[0]: row[1]
        for batch in batches(sorted(set(chunk_ids)))
        for row in tx.execute(
            sa.select(own.chunk_id, own.text).where(own.index_name == index, own.chunk_id.in_(batch))
        )
    }


def only_snapshot(tx: Transaction, collection: str, snapshot: str) -> None:
    """The collection's earlier snapshots are lost. A new one may have a lost one's number."""
    tx.execute(
        sa.update(collections).where(collections.c.collection == collection).values(snapshots=[snapshot])
    )


def wrong_totals(catalog: Catalog, index: str) -> list[tuple[str, str]]:
    """(collection, source) whose remembered totals are not what a count gives; not where staging was cut short."""
    own = collection_totals.c
    known = (
        sa.select(collection_totals)
        .join(collections, collections.c.collection == own.collection)
        .where(collections.c.index_name == index)
    )
    with reading(catalog.engine) as tx:
        return [
            (row["collection"], row["source"])
            for row in rows_of(tx.execute(known))
            if not _has_dirty(tx, row["collection"], row["source"])
            and count_points(tx, row["collection"], row["source"]) != (row["documents"], row["chunks"])
        ]


def _has_dirty(tx: Transaction, collection: str, source: str) -> bool:
    dirty = sa.select(points.c.point_id).where(
        points.c.collection == collection, points.c.source == source, points.c.dirty
    )
    return tx.execute(dirty.limit(1)).first() is not None


def parsed_documents(catalog: Catalog) -> Iterator[str]:
    """Names of the parsed artifacts that live documents refer to; one may come more than once."""
    with reading(catalog.engine) as tx:
        for row in tx.execute(
            sa.select(documents.c.parsed_hash).where(documents.c.live, documents.c.parsed_hash.is_not(None))
        ):
            yield row[0]


def fetch_again(catalog: Catalog, lost: Collection[str]) -> int:
    """Forget the parse of every document with these artifacts; the next sync fetches the live ones. Returns those.

    Gone ones forget it too: their rows would vouch for an artifact that is not there.
    """
    found: dict[str, list[str]] = {}
    with catalog.begin() as tx:
        for batch in batches(sorted(lost)):
            mine = documents.c.parsed_hash.in_(batch)
            rows = tx.execute(sa.select(documents.c.doc_id, documents.c.source).where(mine, documents.c.live))
            for doc_id, source in rows:
                found.setdefault(source, []).append(doc_id)
            tx.execute(sa.update(documents).where(mine).values(raw_hash=None, parse_fp=None))
        for source, ids in found.items():
            touch(tx, ids, next_tick(tx, source))
    fault_point("reconcile.forgotten")
    return sum(len(ids) for ids in found.values())

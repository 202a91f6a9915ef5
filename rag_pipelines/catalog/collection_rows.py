"""Rows of collections: their vector space, their snapshots, and how much is current in them."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from rag_pipelines.catalog.points import count_points
from rag_pipelines.catalog.store import Catalog, Row, Transaction, batches, reading, rows_of, upsert
from rag_pipelines.catalog.tables import collection_totals, collections, points
from rag_pipelines.core.types import CURRENT


def collection_of(tx: Transaction, index: str, space_fp: str) -> Row | None:
    """The collection of the index that holds this vector space."""
    found = rows_of(
        tx.execute(
            sa.select(collections).where(
                collections.c.index_name == index, collections.c.space_fp == space_fp
            )
        )
    )
    return found[0] if found else None


def save_collection(tx: Transaction, row: Row) -> None:
    """Remember a collection before the engine creates it."""
    upsert(tx, collections, [row], update=())


def collection_row(tx: Transaction, collection: str) -> Row | None:
    """One collection."""
    found = rows_of(tx.execute(sa.select(collections).where(collections.c.collection == collection)))
    return found[0] if found else None


def collections_of(catalog: Catalog, index: str) -> list[Row]:
    """Every collection of the index, oldest first."""
    with reading(catalog.engine) as tx:
        return rows_of(
            tx.execute(
                sa.select(collections)
                .where(collections.c.index_name == index)
                .order_by(collections.c.created_at)
            )
        )


def remember_snapshot(tx: Transaction, collection: str, snapshot: str) -> None:
    """The newest snapshot of a collection, after the one that readers may still be leaving."""
    row = collection_row(tx, collection)
    if row is not None and row["snapshots"][-1:] != [snapshot]:
        kept = [*(known for known in row["snapshots"] if known != snapshot), snapshot][-2:]
        tx.execute(
            sa.update(collections).where(collections.c.collection == collection).values(snapshots=kept)
        )


def drop_collection(tx: Transaction, collection: str) -> None:
    """Forget the collection and every point of it."""
    for table in (points, collection_totals, collections):
        tx.execute(sa.delete(table).where(table.c.collection == collection))


def add_totals(tx: Transaction, collection: str, source: str, documents: int, chunks: int) -> None:
    """The source has so many more current documents and chunks; nothing happens where they were never counted."""
    if documents or chunks:
        tx.execute(
            sa.update(collection_totals)
            .where(collection_totals.c.collection == collection, collection_totals.c.source == source)
            .values(
                documents=collection_totals.c.documents + documents,
                chunks=collection_totals.c.chunks + chunks,
            )
        )


def take_from_totals(tx: Transaction, collection: str, doc_ids: Sequence[str]) -> None:
    """The current points of these documents are about to leave the collection."""
    for batch in batches(doc_ids):
        leaving = (
            sa.select(
                points.c.source, sa.func.count(sa.distinct(points.c.doc_id)), sa.func.count(points.c.point_id)
            )
            .where(
                points.c.collection == collection,
                points.c.doc_id.in_(batch),
                points.c.removed == CURRENT,
            )
            .group_by(points.c.source)
        )
        for source, documents, chunks in tx.execute(leaving).all():
            add_totals(tx, collection, source, -documents, -chunks)


def forget_totals(tx: Transaction, collection: str, source: str | None = None) -> None:
    """The totals have to be counted again."""
    chosen = collection_totals.c.collection == collection
    if source is not None:
        chosen &= collection_totals.c.source == source
    tx.execute(sa.delete(collection_totals).where(chosen))


def totals(tx: Transaction, collection: str, sources: list[str]) -> dict[str, tuple[int, int]]:
    """Source -> current documents and chunks; counts, and remembers, those that are not known yet."""
    known = {
        row["source"]: (row["documents"], row["chunks"])
        for row in rows_of(
            tx.execute(sa.select(collection_totals).where(collection_totals.c.collection == collection))
        )
    }
    for source in sources:
        if source not in known:
            known[source] = count_points(tx, collection, source)
            documents, chunks = known[source]
            row = {
                "collection": collection,
                "source": source,
                "documents": documents,
                "chunks": chunks,
            }
            upsert(tx, collection_totals, [row])
    return known

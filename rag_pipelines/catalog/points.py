"""Rows of points: what the engine holds, or is about to hold, of every version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from rag_pipelines.catalog.store import Catalog, Row, Transaction, batches, reading, rows_of, upsert
from rag_pipelines.catalog.tables import index_versions, points
from rag_pipelines.core.types import CURRENT


def current_points(tx: Transaction, collection: str, doc_ids: Sequence[str]) -> dict[str, list[Row]]:
    """Point rows of the documents that are current or not certainly in the engine, by document."""
    found: dict[str, list[Row]] = {doc_id: [] for doc_id in doc_ids}
    for batch in batches(doc_ids):
        statement = sa.select(points).where(
            points.c.collection == collection,
            points.c.doc_id.in_(batch),
            sa.or_(points.c.removed == CURRENT, points.c.dirty),
        )
        for row in rows_of(tx.execute(statement)):
            found[row["doc_id"]].append(row)
    return found


def dirty_documents(catalog: Catalog, collection: str, source: str) -> set[str]:
    """Documents with points that may differ in the engine, after an interrupted staging."""
    with reading(catalog.engine) as tx:
        rows = tx.execute(
            sa.select(points.c.doc_id)
            .where(points.c.collection == collection, points.c.source == source, points.c.dirty)
            .distinct()
        )
        return {row[0] for row in rows}


def all_point_ids(tx: Transaction, doc_id: str) -> dict[str, list[str]]:
    """Ids of every point of the document in every version, by collection."""
    found: dict[str, list[str]] = {}
    for row in tx.execute(sa.select(points.c.collection, points.c.point_id).where(points.c.doc_id == doc_id)):
        found.setdefault(row[0], []).append(row[1])
    return found


def intend_points(
    tx: Transaction, added: Sequence[Row], removed: Sequence[tuple[str, str]], version: int
) -> None:
    """Before the engine is touched: these points are to be written, these (collection, id) taken out."""
    upsert(tx, points, [{**row, "removed": CURRENT, "dirty": True} for row in added])
    by_collection: dict[str, list[str]] = {}
    for collection, point in removed:
        by_collection.setdefault(collection, []).append(point)
    for collection, ids in by_collection.items():
        for batch in batches(ids):
            tx.execute(
                sa.update(points)
                .where(points.c.collection == collection, points.c.point_id.in_(batch))
                .values(removed=version, dirty=True)
            )


def confirm_points(tx: Transaction, collection: str, doc_ids: Sequence[str]) -> None:
    """After the engine's flush: the rows of these documents are in the engine as they stand."""
    for batch in batches(doc_ids):
        mine = (points.c.collection == collection) & points.c.doc_id.in_(batch) & points.c.dirty
        tx.execute(sa.delete(points).where(mine, points.c.added >= points.c.removed))
        tx.execute(sa.update(points).where(mine).values(dirty=False))


def parsed_at(catalog: Catalog, doc_id: str, index: str, version: int) -> str | None:
    """The parsed artifact that the document's citations at a version refer to."""
    holds = sa.and_(
        index_versions.c.collection == points.c.collection,
        index_versions.c.index_name == index,
        index_versions.c.number == version,
    )
    with reading(catalog.engine) as tx:
        return tx.execute(
            sa.select(points.c.parsed_hash)
            .join(index_versions, holds)
            .where(points.c.doc_id == doc_id, points.c.added <= version, points.c.removed > version)
            .limit(1)
        ).scalar()


def count_points(tx: Transaction, collection: str) -> Mapping[str, tuple[int, int]]:
    """Per source: documents and chunks that the newest staged state holds."""
    rows = tx.execute(
        sa.select(
            points.c.source, sa.func.count(sa.distinct(points.c.doc_id)), sa.func.count(points.c.point_id)
        )
        .where(points.c.collection == collection, points.c.removed == CURRENT)
        .group_by(points.c.source)
    )
    return {row[0]: (row[1], row[2]) for row in rows}

"""Rows of points: what the engine holds, or is about to hold, of every version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from rag_pipelines.catalog.store import Catalog, Row, Transaction, batches, reading, rows_of, upsert
from rag_pipelines.catalog.tables import (
    collections,
    documents,
    index_versions,
    point_documents,
    points,
)
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


def point_ids(tx: Transaction, index: str, doc_ids: Sequence[str]) -> dict[str, dict[str, list[str]]]:
    """Collection of the index -> document -> ids of its points of every version."""
    found: dict[str, dict[str, list[str]]] = {}
    of_index = sa.select(collections.c.collection).where(collections.c.index_name == index)
    for batch in batches(doc_ids):
        statement = sa.select(points.c.collection, points.c.doc_id, points.c.point_id).where(
            points.c.doc_id.in_(batch), points.c.collection.in_(of_index)
        )
        for collection, doc_id, point in tx.execute(statement):
            found.setdefault(collection, {}).setdefault(doc_id, []).append(point)
    return found


def lingering_points(
    tx: Transaction, index: str, collection: str, doc_ids: Sequence[str]
) -> dict[str, list[str]]:
    """Points of the documents that are current in other collections of the index, or may be in the engine."""
    found: dict[str, list[str]] = {}
    others = sa.select(collections.c.collection).where(
        collections.c.index_name == index, collections.c.collection != collection
    )
    for batch in batches(doc_ids):
        statement = sa.select(points.c.collection, points.c.point_id).where(
            points.c.doc_id.in_(batch),
            sa.or_(points.c.removed == CURRENT, points.c.dirty),
            points.c.collection.in_(others),
        )
        for name, point in tx.execute(statement):
            found.setdefault(name, []).append(point)
    return found


def gone_but_visible(tx: Transaction, index: str, version: int) -> list[str]:
    """Documents that their sources no longer have and that this version still shows."""
    shown = (
        sa.select(points.c.point_id)
        .join(
            index_versions,
            sa.and_(
                index_versions.c.collection == points.c.collection,
                index_versions.c.index_name == index,
                index_versions.c.number == version,
            ),
        )
        .where(points.c.doc_id == documents.c.doc_id, points.c.added <= version, points.c.removed > version)
        .exists()
    )
    return [row[0] for row in tx.execute(sa.select(documents.c.doc_id).where(~documents.c.live, shown))]


def retire_points(tx: Transaction, collection: str, ids: Sequence[str], version: int) -> None:
    """The engine has taken these out with the version."""
    for batch in batches(ids):
        tx.execute(
            sa.update(points)
            .where(points.c.collection == collection, points.c.point_id.in_(batch))
            .values(removed=version)
        )


def delete_points(tx: Transaction, collection: str, ids: Sequence[str]) -> None:
    """The engine no longer holds these."""
    for batch in batches(ids):
        tx.execute(sa.delete(points).where(points.c.collection == collection, points.c.point_id.in_(batch)))


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


def count_points(tx: Transaction, collection: str, source: str) -> tuple[int, int]:
    """Documents and chunks of a source that the newest staged state holds."""
    documents_, chunks = tx.execute(
        sa.select(sa.func.count(sa.distinct(points.c.doc_id)), sa.func.count(points.c.point_id)).where(
            points.c.collection == collection, points.c.source == source, points.c.removed == CURRENT
        )
    ).one()
    return documents_, chunks


def save_point_documents(tx: Transaction, payloads: Mapping[str, Mapping[str, Any]]) -> None:
    """Remember what the points of a document share, by its hash."""
    rows = [{"document_key": key, "payload": dict(payload)} for key, payload in payloads.items()]
    upsert(tx, point_documents, rows, update=())

"""What the catalog knows of the rights in the engine and of what a version takes out, to hold the engine to it."""

from __future__ import annotations

import random

import sqlalchemy as sa

from rag_pipelines.catalog.store import Catalog, reading
from rag_pipelines.catalog.tables import documents, index_documents, points
from rag_pipelines.core.types import CURRENT


def sample_rights(
    catalog: Catalog, index: str, collection: str, number: int, size: int, seed: int = 0
) -> dict[str, tuple[str | None, str]]:
    """Current point -> (access key that the index has applied to its document, `source/uri`).

    At most half of them were written for this version, the others come from anywhere in the collection.
    """
    joined = points.join(
        index_documents,
        (index_documents.c.doc_id == points.c.doc_id) & (index_documents.c.index_name == index),
    ).join(documents, documents.c.doc_id == points.c.doc_id)
    current = (
        sa.select(points.c.point_id, index_documents.c.access_key, documents.c.source, documents.c.uri)
        .select_from(joined)
        .where(points.c.collection == collection, points.c.removed == CURRENT, points.c.dirty.is_(False))
    )
    start = random.Random(seed).randbytes(16).hex()
    anywhere = current.order_by(points.c.point_id)
    with reading(catalog.engine) as tx:
        rows = list(tx.execute(current.where(points.c.added == number).limit(size // 2)).all())
        rows += tx.execute(anywhere.where(points.c.point_id >= start).limit(size - len(rows))).all()
        rows += tx.execute(anywhere.limit(size - len(rows))).all()
    return {row.point_id: (row.access_key, f"{row.source}/{row.uri}") for row in rows}


def removed_points(catalog: Catalog, collection: str, number: int, limit: int) -> list[str]:
    """Points that this version takes out."""
    statement = (
        sa.select(points.c.point_id)
        .where(points.c.collection == collection, points.c.removed == number)
        .order_by(points.c.point_id)
        .limit(limit)
    )
    with reading(catalog.engine) as tx:
        return [str(row[0]) for row in tx.execute(statement)]

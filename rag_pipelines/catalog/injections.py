"""Passages that may hold instructions for whoever reads them by machine, as they were judged when they were staged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import sqlalchemy as sa

from rag_pipelines.catalog.store import Catalog, Row, reading, rows_of
from rag_pipelines.catalog.tables import documents, points
from rag_pipelines.core.types import CURRENT


def suspects(catalog: Catalog, collection: str, version: int | None = None) -> list[Row]:
    """Suspect passages of a version, or of what is staged last: the highest score first.

    Rows have source, uri, doc_id, classification, chunk_id, start, end, page, score and reasons; no text.
    """
    own, doc = points.c, documents.c
    shown = (
        own.removed == CURRENT if version is None else sa.and_(own.added <= version, own.removed > version)
    )
    statement = (
        sa.select(own.source, doc.uri, own.doc_id, doc.classification, own.chunk_id, own.chunk, own.injection)
        .select_from(points.join(documents, doc.doc_id == own.doc_id))
        .where(own.collection == collection, own.injection.is_not(None), shown)
        .order_by(own.injection.desc(), own.source, doc.uri, own.point_id)
    )
    with reading(catalog.engine) as tx:
        rows = rows_of(tx.execute(statement))
    return [_told(row) for row in rows]


def by_reason(rows: Sequence[Row]) -> dict[str, int]:
    """How many of the passages each rule found something in, the most first."""
    counts = Counter(reason for row in rows for reason in row["reasons"])
    return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))


def _told(row: Row) -> Row:
    chunk = row["chunk"]
    return {
        **{name: row[name] for name in ("source", "uri", "doc_id", "classification", "chunk_id")},
        **{name: chunk[name] for name in ("start", "end", "page")},
        "score": row["injection"],
        "reasons": chunk["injection"]["reasons"],
    }

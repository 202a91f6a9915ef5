"""What people ask of the catalog: counts, quarantine, exclusions, and the tally of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from rag_pipelines.catalog.store import Catalog, Row, Transaction, now, reading, rows_of, upsert
from rag_pipelines.catalog.tables import documents, exclusions, index_documents, quarantine, sync_counts


def add_counts(tx: Transaction, run_id: str, source: str, counts: Mapping[str, int]) -> None:
    """Add to the tally of a run; a stage may report several times."""
    rows = [
        {"run_id": run_id, "source": source, "name": name, "value": value, "at": now()}
        for name, value in counts.items()
    ]
    upsert(tx, sync_counts, rows, update=("at",), add=("value",))


def run_counts_in(tx: Transaction, run_id: str) -> dict[str, dict[str, int]]:
    """source -> name -> value of a run."""
    found: dict[str, dict[str, int]] = {}
    for row in tx.execute(sa.select(sync_counts).where(sync_counts.c.run_id == run_id)):
        found.setdefault(row.source, {})[row.name] = row.value
    return found


def run_counts(catalog: Catalog, run_id: str) -> dict[str, dict[str, int]]:
    """As `run_counts_in`, in a transaction of its own."""
    with reading(catalog.engine) as tx:
        return run_counts_in(tx, run_id)


def quarantined(catalog: Catalog, source: str | None = None) -> list[Row]:
    """Quarantined documents, newest first."""
    statement = sa.select(quarantine).order_by(quarantine.c.since.desc(), quarantine.c.uri)
    if source is not None:
        statement = statement.where(quarantine.c.source == source)
    with reading(catalog.engine) as tx:
        return rows_of(tx.execute(statement))


def excluded(catalog: Catalog, source: str) -> list[Row]:
    """Excluded rows of the source's last listing."""
    with reading(catalog.engine) as tx:
        return rows_of(
            tx.execute(sa.select(exclusions).where(exclusions.c.source == source).order_by(exclusions.c.uri))
        )


def source_totals(catalog: Catalog, source: str) -> dict[str, Any]:
    """Live documents, those parsed, quarantined and excluded, now."""
    doc = documents.c
    with reading(catalog.engine) as tx:
        live, parsed, size = tx.execute(
            sa.select(
                sa.func.count(), sa.func.count(doc.parsed_hash), sa.func.coalesce(sa.func.sum(doc.size), 0)
            ).where(doc.source == source, doc.live)
        ).one()
        refused = tx.execute(
            sa.select(sa.func.count(sa.distinct(quarantine.c.doc_id))).where(quarantine.c.source == source)
        ).scalar_one()
        left_out = tx.execute(sa.select(sa.func.count()).where(exclusions.c.source == source)).scalar_one()
        types = tx.execute(
            sa.select(doc.media_type, sa.func.count())
            .where(doc.source == source, doc.live, doc.parsed_hash.is_not(None))
            .group_by(doc.media_type)
            .order_by(sa.func.count().desc())
        ).all()
    return {
        "documents": live,
        "parsed": parsed,
        "bytes": int(size),
        "quarantined": refused,
        "excluded": left_out,
        "media_types": {str(name): count for name, count in types},
    }


def index_totals(catalog: Catalog, index: str, source: str | None = None) -> dict[str, int]:
    """Documents with chunks, and chunks, of the newest desired state of an index."""
    own = index_documents.c
    condition = own.index_name == index
    if source is not None:
        condition &= own.source == source
    with reading(catalog.engine) as tx:
        with_chunks, count = tx.execute(
            sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(own.chunk_count), 0)).where(
                condition, own.chunk_count > 0
            )
        ).one()
    return {"documents": with_chunks, "chunks": int(count)}


def sample_documents(catalog: Catalog, source: str, limit: int = 8) -> list[Row]:
    """The most recently revised documents of a source."""
    doc = documents.c
    with reading(catalog.engine) as tx:
        return rows_of(
            tx.execute(
                sa.select(doc.uri, doc.title, doc.media_type, doc.language, doc.revised_at)
                .where(doc.source == source, doc.live, doc.parsed_hash.is_not(None))
                .order_by(doc.revised_at.desc(), doc.uri)
                .limit(limit)
            )
        )


def documents_by_shard(catalog: Catalog) -> dict[tuple[str, int], int]:
    """(source, shard) -> documents with parsed text."""
    doc = documents.c
    statement = (
        sa.select(doc.source, doc.shard, sa.func.count())
        .where(doc.live, doc.parsed_hash.is_not(None))
        .group_by(doc.source, doc.shard)
    )
    with reading(catalog.engine) as tx:
        return {(row[0], row[1]): row[2] for row in tx.execute(statement)}


def chunks_by_shard(catalog: Catalog, index: str) -> dict[tuple[str, int], int]:
    """(source, shard) -> chunks in the newest desired state of an index."""
    own = index_documents.c
    statement = (
        sa.select(own.source, own.shard, sa.func.sum(own.chunk_count))
        .where(own.index_name == index)
        .group_by(own.source, own.shard)
    )
    with reading(catalog.engine) as tx:
        return {(row[0], row[1]): int(row[2]) for row in tx.execute(statement)}

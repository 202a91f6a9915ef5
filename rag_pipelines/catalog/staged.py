"""Rows of documents in an index: what was staged of each, and which sources are staged in part only."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import sqlalchemy as sa

from rag_pipelines.catalog.documents import columns_for
from rag_pipelines.catalog.marks import restricted, stage_marks
from rag_pipelines.catalog.store import (
    Catalog,
    Row,
    Transaction,
    batches,
    now,
    reading,
    rows_of,
    update_rows,
    upsert,
)
from rag_pipelines.catalog.tables import documents, index_documents, staging


def begin_staging(tx: Transaction, index: str, source: str) -> None:
    """From now on until `end_staging` the candidate holds only part of the source's change."""
    upsert(tx, staging, [{"index_name": index, "source": source, "since": now()}], update=())


def end_staging(tx: Transaction, index: str, source: str) -> None:
    """The source's change is staged as a whole."""
    tx.execute(sa.delete(staging).where(staging.c.index_name == index, staging.c.source == source))


def unfinished_sources(catalog: Catalog, index: str) -> list[str]:
    """Sources whose staging was interrupted."""
    with reading(catalog.engine) as tx:
        rows = tx.execute(sa.select(staging.c.source).where(staging.c.index_name == index))
        return sorted(row[0] for row in rows)


def stage_state(
    catalog: Catalog,
    index: str,
    source: str,
    shards: Collection[int],
    only: Sequence[str] | None = None,
    tenant: str | None = None,
) -> list[Row]:
    """Documents (`only`, or all of the shards) with their place in the index: document columns and `i_` columns.

    For an index of one `tenant` documents of others are not `live`.
    """
    own = index_documents.c
    statement = (
        sa.select(
            *columns_for(tenant),
            own.chunked_from.label("i_chunked_from"),
            own.chunk_fp.label("i_chunk_fp"),
            own.chunk_count.label("i_chunk_count"),
            own.collection.label("i_collection"),
            own.staged_key.label("i_staged_key"),
            own.access_key.label("i_access_key"),
            own.point_count.label("i_point_count"),
        )
        .select_from(index_documents.join(documents, own.doc_id == documents.c.doc_id))
        .where(own.index_name == index, own.source == source, own.shard.in_(shards))
    )
    with reading(catalog.engine) as tx:
        rows = [row for part in restricted(statement, own.doc_id, only) for row in rows_of(tx.execute(part))]
    return sorted(rows, key=lambda row: str(row["doc_id"]))


def unstaged_documents(
    catalog: Catalog, index: str, source: str, shards: Collection[int], only: Sequence[str] | None = None
) -> list[Row]:
    """Live documents without a place in the index: nobody could read them yet, or again since they came back."""
    own, doc = index_documents.c, documents.c
    placed = sa.select(own.doc_id).where(own.index_name == index, own.doc_id == doc.doc_id).exists()
    statement = sa.select(*doc, sa.null().label("i_access_key")).where(
        doc.source == source, doc.shard.in_(shards), doc.live, ~placed
    )
    with reading(catalog.engine) as tx:
        return [row for part in restricted(statement, doc.doc_id, only) for row in rows_of(tx.execute(part))]


def save_staged(tx: Transaction, index: str, rows: Sequence[Row]) -> None:
    """Record (`doc_id`, `collection`, `staged_key`, `access_key`, `point_count`) for staged documents."""
    update_rows(tx, index_documents, rows, index_documents.c.index_name == index)


def forget_documents(tx: Transaction, index: str, doc_ids: Sequence[str]) -> None:
    """Gone documents whose points were taken out need no row in the index any more."""
    for batch in batches(doc_ids):
        tx.execute(
            sa.delete(index_documents).where(
                index_documents.c.index_name == index, index_documents.c.doc_id.in_(batch)
            )
        )


def restage(tx: Transaction, index: str, doc_ids: Sequence[str]) -> None:
    """Nothing of these documents is in any collection: they have to be staged again, if they are live."""
    for batch in batches(doc_ids):
        tx.execute(
            sa.update(index_documents)
            .where(index_documents.c.index_name == index, index_documents.c.doc_id.in_(batch))
            .values(staged_key=None, point_count=0)
        )


def sources_elsewhere(tx: Transaction, index: str, space_fp: str) -> list[str]:
    """Sources with chunks that were never staged as a whole into the collection of this vector space."""
    chunked, done = stage_marks(tx, "chunk", index), stage_marks(tx, "stage", index)
    return sorted(
        source
        for source, shards in chunked.items()
        if any(not done.get(source, {}).get(shard, ("", 0))[0].startswith(f"{space_fp}:") for shard in shards)
    )

"""Spreads the documents of a source anew when its number of shards changes."""

from __future__ import annotations

import sqlalchemy as sa

from rag_pipelines.catalog.marks import forget_marks
from rag_pipelines.catalog.store import Transaction, batches, upsert
from rag_pipelines.catalog.tables import chunks, documents, index_documents, quarantine, sources
from rag_pipelines.core.ids import shard_of


def register_source(tx: Transaction, source: str, shards: int) -> bool:
    """Remember the source; where it had another number of shards, move its rows. Returns whether it did.

    A run names partitions, and partitions select rows by shard: a row left in a shard that no partition
    names would never be looked at again.
    """
    upsert(tx, sources, [{"source": source, "shards": shards}], update=())
    known = tx.execute(sa.select(sources.c.shards).where(sources.c.source == source)).scalar_one()
    if known == shards:
        return False
    ids = [row[0] for row in tx.execute(sa.select(documents.c.doc_id).where(documents.c.source == source))]
    move = (
        sa.update(documents)
        .where(documents.c.doc_id == sa.bindparam("document"))
        .values(shard=sa.bindparam("place"))
    )
    for batch in batches(ids):
        tx.execute(move, [{"document": name, "place": shard_of(name, shards)} for name in batch])
    for table in (index_documents, chunks, quarantine):
        place = sa.select(documents.c.shard).where(documents.c.doc_id == table.c.doc_id).scalar_subquery()
        tx.execute(sa.update(table).where(table.c.source == source).values(shard=place))
    tx.execute(sa.update(sources).where(sources.c.source == source).values(shards=shards))
    forget_marks(tx, source)
    return True

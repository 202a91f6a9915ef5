"""Forgets stage results on request, so that the stages do their work again."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from rag_pipelines.catalog.store import Transaction, batches
from rag_pipelines.catalog.tables import documents, index_documents, quarantine


def documents_under(tx: Transaction, source: str, uri_prefix: str) -> list[str]:
    """Live documents of the source whose uri begins with the prefix."""
    chosen = sa.and_(documents.c.source == source, documents.c.live)
    if uri_prefix:
        chosen &= sa.func.substr(documents.c.uri, 1, len(uri_prefix)) == uri_prefix
    return [row[0] for row in tx.execute(sa.select(documents.c.doc_id).where(chosen))]


def retry_refused(tx: Transaction, doc_ids: Sequence[str]) -> None:
    """Quarantined ones among the documents are due again; they stay listed until they pass."""
    for batch in batches(doc_ids):
        tx.execute(sa.update(quarantine).where(quarantine.c.doc_id.in_(batch)).values(input=""))


def forget_results(tx: Transaction, doc_ids: Sequence[str]) -> None:
    """Fetch, parse and cut these again; what they were stays in force until then."""
    for batch in batches(doc_ids):
        tx.execute(
            sa.update(documents).where(documents.c.doc_id.in_(batch)).values(raw_hash=None, parse_fp=None)
        )
        tx.execute(
            sa.update(index_documents).where(index_documents.c.doc_id.in_(batch)).values(chunk_fp=None)
        )

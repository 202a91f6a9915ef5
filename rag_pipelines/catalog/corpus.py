"""What the documents of some sources say, as one hash."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import sqlalchemy as sa

from rag_pipelines.catalog.store import Catalog, reading
from rag_pipelines.catalog.tables import documents


def corpus_of(catalog: Catalog, sources: Sequence[str]) -> tuple[str, int]:
    """A hash over texts, metadata and rights of the live documents that have a text, and their number.

    It stays the same where documents are listed again, in another order or by another process.
    """
    digest, count = hashlib.sha256(), 0
    own = documents.c
    statement = (
        sa.select(own.doc_id, own.parsed_hash, own.row_hash)
        .where(own.source.in_(sorted(sources)), own.live, own.parsed_hash.is_not(None))
        .order_by(own.doc_id)
    )
    with reading(catalog.engine) as tx:
        for row in tx.execute(statement):
            digest.update(f"{row[0]} {row[1]} {row[2]}\n".encode())
            count += 1
    return digest.hexdigest(), count

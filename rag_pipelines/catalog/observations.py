"""What each shard of a source holds, as the last listing left it."""

from __future__ import annotations

import sqlalchemy as sa

from rag_pipelines.catalog.store import Catalog, reading
from rag_pipelines.catalog.tables import documents


def live_by_shard(catalog: Catalog, source: str) -> dict[int, int]:
    """Shard -> live documents; shards without any are left out."""
    doc = documents.c
    statement = (
        sa.select(doc.shard, sa.func.count()).where(doc.source == source, doc.live).group_by(doc.shard)
    )
    with reading(catalog.engine) as tx:
        return {row[0]: row[1] for row in tx.execute(statement)}

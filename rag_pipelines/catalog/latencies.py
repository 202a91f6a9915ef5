"""How long changes took to arrive: edit to searchable, delete to invisible, revoke to invisible.

An event is written when a listing finds a change, and completed when readers see it. `earliest_at` is the
first moment at which the change can have happened: the time that the source states for it, else the
start of the listing before. So a figure is never better than what a reader lived through.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

import sqlalchemy as sa

from rag_pipelines.catalog.control_tables import latencies
from rag_pipelines.catalog.documents import access_of
from rag_pipelines.catalog.store import Catalog, Row, Transaction, batches, now, reading, upsert
from rag_pipelines.catalog.tables import documents, quarantine
from rag_pipelines.core.types import Access

EDIT, DELETE, REVOKE = "edit", "delete", "revoke"
FIGURES = {"edit_to_searchable": EDIT, "delete_to_invisible": DELETE, "revoke_to_invisible": REVOKE}
RIGHTS = ("tenant", "classification", "acl")
WINDOW = 10_000
"""Figures are of the newest so many events."""


def expect(tx: Transaction, rows: Sequence[Row]) -> None:
    """Changes that a listing found; rows carry every column but `effective_at`."""
    upsert(tx, latencies, rows, update=())


def arrived(tx: Transaction, index: str, source: str, tick: int) -> None:
    """Edits and deletions up to the tick are live now; what is quarantined is not."""
    refused = sa.select(quarantine.c.doc_id).where(quarantine.c.doc_id == latencies.c.doc_id).exists()
    tx.execute(
        sa.update(latencies)
        .where(
            latencies.c.index_name == index,
            latencies.c.source == source,
            latencies.c.effective_at.is_(None),
            latencies.c.kind != REVOKE,
            latencies.c.tick <= tick,
            ~refused,
        )
        .values(effective_at=now())
    )


def arrived_for(tx: Transaction, index: str, doc_ids: Sequence[str], kind: str) -> None:
    """What was expected of these documents is in force now."""
    for batch in batches(doc_ids):
        tx.execute(
            sa.update(latencies)
            .where(
                latencies.c.index_name == index,
                latencies.c.doc_id.in_(batch),
                latencies.c.kind == kind,
                latencies.c.effective_at.is_(None),
            )
            .values(effective_at=now())
        )


def latency_summary(
    catalog: Catalog, source: str, may_read: Callable[[Access], bool] | None = None
) -> dict[str, dict[str, float]]:
    """For each figure that was measured: p50 and p95 in seconds, and over how many events.

    With `may_read` only events of documents whose rights pass it count.
    """
    found: dict[str, dict[str, float]] = {}
    with reading(catalog.engine) as tx:
        for name, kind in FIGURES.items():
            rows = list(islice(_measured(tx, source, kind, may_read), WINDOW))
            if rows:
                whole = sorted(_seconds(earliest, effective) for earliest, _, effective in rows)
                own = sorted(_seconds(detected, effective) for _, detected, effective in rows)
                found[name] = {
                    "p50": nearest_rank(whole, 0.50),
                    "p95": nearest_rank(whole, 0.95),
                    "pipeline_p50": nearest_rank(own, 0.50),
                    "pipeline_p95": nearest_rank(own, 0.95),
                    "count": len(rows),
                }
    return found


def _measured(
    tx: Transaction, source: str, kind: str, may_read: Callable[[Access], bool] | None
) -> Iterator[tuple[str, str, str]]:
    """When it happened, was found and was seen, the newest first."""
    own = latencies.c
    statement = (
        sa.select(own.earliest_at, own.detected_at, own.effective_at)
        .where(own.source == source, own.kind == kind, own.effective_at.is_not(None))
        .order_by(own.effective_at.desc())
    )
    if may_read is None:
        for row in tx.execute(statement.limit(WINDOW)):
            yield row[0], row[1], row[2]
        return
    rights = statement.add_columns(*(documents.c[column] for column in RIGHTS))
    for row in tx.execute(rights.join(documents, documents.c.doc_id == own.doc_id)):
        if may_read(access_of(dict(row._mapping))):
            yield row[0], row[1], row[2]


def forget_before(tx: Transaction, moment: str) -> None:
    """Drop completed events older than the moment."""
    tx.execute(sa.delete(latencies).where(latencies.c.effective_at < moment))


def event(index: str, row: Mapping[str, Any], kind: str, earliest_at: str, detected_at: str) -> Row:
    """One expected change of a document row with `doc_id`, `source` and `touched`."""
    return {
        "index_name": index,
        "doc_id": row["doc_id"],
        "kind": kind,
        "tick": row["touched"],
        "source": row["source"],
        "earliest_at": earliest_at,
        "detected_at": detected_at,
    }


def nearest_rank(ordered: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of the ordered values do not exceed."""
    return round(ordered[max(0, -(-len(ordered) * int(share * 100) // 100) - 1)], 3)


def _seconds(start: str, end: str) -> float:
    return max((datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds(), 0.0)

"""Tells SQLite how large the tables are going to be, before there is anything in them.

Without statistics SQLite takes a condition on any indexed column to leave ten rows, so with a list of more
than ten ids it goes through all rows of the source instead of asking for each id. ANALYZE at some later time
would mend that too late: the first sync of a large source would read whole tables once a batch.
What is told is a large catalog of one source and one index; on small ones every plan is fast. Postgres keeps
statistics of its own.
"""

from __future__ import annotations

import sqlalchemy as sa

EACH = 0
"""Every row has a value of its own."""

SIZES: dict[str, tuple[int, dict[str, int]]] = {
    "documents": (
        1_000_000,
        {
            "doc_id": EACH,
            "source": 1,
            "shard": 16,
            "live": 2,
            "touched": 10_000,
            "raw_hash": EACH,
            "parsed_hash": EACH,
        },
    ),
    "exclusions": (10_000, {"doc_id": EACH, "source": 1}),
    "quarantine": (10_000, {"doc_id": EACH, "stage": 3, "index_name": 1, "source": 1, "shard": 16}),
    "index_documents": (1_000_000, {"doc_id": EACH, "index_name": 1, "source": 1, "shard": 16}),
    "chunks": (
        10_000_000,
        {
            "chunk_id": EACH,
            "doc_id": 1_000_000,
            "embed_hash": EACH,
            "index_name": 1,
            "source": 1,
            "shard": 16,
        },
    ),
    "embeddings": (10_000_000, {"embed_hash": EACH, "model_fp": 2}),
    "points": (
        10_000_000,
        {
            "point_id": EACH,
            "doc_id": 1_000_000,
            "collection": 1,
            "source": 1,
            "added": 1_000,
            "removed": 1_000,
            "injection": 500,
        },
    ),
    "point_documents": (1_000_000, {"document_key": EACH}),
    "latencies": (
        100_000,
        {"doc_id": EACH, "index_name": 1, "source": 1, "kind": 3, "tick": 10_000, "effective_at": 10_000},
    ),
    "signatures": (1_000_000, {"dedup_fp": 2, "parsed_hash": EACH}),
    "bands": (16_000_000, {"dedup_fp": 2, "band": 16, "key": 8_000_000, "parsed_hash": 1_000_000}),
    "pairs": (1_000_000, {"dedup_fp": 2, "low": 500_000, "high": 500_000}),
    "members": (
        1_000_000,
        {"doc_id": EACH, "index_name": 1, "source": 1, "parsed_hash": EACH, "cluster": 500_000},
    ),
    "approval_documents": (10_000, {"doc_id": EACH, "approval_id": 1}),
    "sync_counts": (10_000, {"run_id": 1_000, "source": 1, "name": 10}),
    "sources": (10, {"source": EACH}),
    "indexes": (1, {"index_name": EACH}),
    "index_versions": (100, {"index_name": 1, "number": EACH}),
    "collections": (2, {"collection": EACH, "index_name": 1, "space_fp": EACH}),
    "collection_totals": (10, {"collection": 1, "source": EACH}),
    "marks": (100, {"stage": 5, "index_name": 2, "source": 1, "shard": 16}),
    "staging": (1, {"index_name": 1, "source": EACH}),
    "tombstones": (100, {"index_name": 1, "doc_id": EACH}),
    "approvals": (10, {"source": 1, "status": 3}),
    "reindex_requests": (100, {"status": 4}),
    "evaluations": (1_000, {"run": EACH, "suite": 10, "index_name": 2}),
    "verdicts": (100, {"index_name": 1, "number": EACH}),
    "gate_overrides": (10, {"index_name": 1, "number": EACH}),
    "audit_lines": (10_000_000, {"at": EACH}),
    "searches": (1_000_000, {"request": EACH, "at": EACH, "person": 1_000}),
    "feedback": (100_000, {"request": EACH, "citation": EACH, "at": EACH, "person": 1_000}),
    "api_keys": (1_000, {"id": EACH}),
    "memberships": (100_000, {"tenant": 10, "member": 10_000, "group_name": EACH}),
}
"""Table -> rows, and how many different values each indexed column has."""

PARTIAL_ROWS = 1_000
"""Rows in an index over part of a table."""


def tell_sizes(tx: sa.Connection) -> None:
    """Write the planner's statistics of every index of a SQLite catalog, in place of all there are."""
    # Creates the table of statistics, which an application may write (https://www.sqlite.org/optoverview.html).
    tx.exec_driver_sql("ANALYZE alembic_version")
    tx.exec_driver_sql("DELETE FROM sqlite_stat1")
    for table, (rows, values) in SIZES.items():
        for _, index, _, _, partial in tx.exec_driver_sql(f'PRAGMA index_list("{table}")').all():
            columns = [row[2] for row in tx.exec_driver_sql(f'PRAGMA index_info("{index}")')]
            told = _rows_a_prefix(PARTIAL_ROWS if partial else rows, [values[name] for name in columns])
            tx.exec_driver_sql("INSERT INTO sqlite_stat1 VALUES (?, ?, ?)", (table, index, told))
    tx.exec_driver_sql("ANALYZE sqlite_schema")


def _rows_a_prefix(rows: int, different: list[int]) -> str:
    """Rows of the index, then how many share the values of its first column, of its first two, and so on."""
    alike, found = rows, [rows]
    for count in different:
        alike = 1 if count == EACH else max(alike // count, 1)
        found.append(alike)
    return " ".join(map(str, found))

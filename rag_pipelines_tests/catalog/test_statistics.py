"""What SQLite is told about the sizes of the tables: of every index, and in time for the first sync."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from rag_pipelines.catalog.statistics import SIZES
from rag_pipelines.catalog.store import Catalog, open_catalog, reading
from rag_pipelines.catalog.tables import (
    chunks,
    documents,
    index_documents,
    metadata,
    points,
    quarantine,
)

MANY = [f"id{number}" for number in range(500)]


def details(catalog: Catalog, statement: sa.sql.ClauseElement) -> list[str]:
    """The plan of a statement, a line a table."""
    compiled = statement.compile(catalog.engine, compile_kwargs={"literal_binds": True})
    with reading(catalog.engine) as tx:
        return [row[3] for row in tx.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}")]


@pytest.fixture
def fresh(empty_sqlite: Path) -> Catalog:
    """A catalog as it is made, without a row."""
    return open_catalog(f"sqlite:///{empty_sqlite}")


def test_sqlite_is_told_about_every_index(fresh: Catalog) -> None:
    with reading(fresh.engine) as tx:
        told = {tuple(row) for row in tx.exec_driver_sql("SELECT tbl, idx FROM sqlite_stat1")}
        known = {
            (table.name, row[1])
            for table in metadata.sorted_tables
            for row in tx.exec_driver_sql(f'PRAGMA index_list("{table.name}")')
        }
    assert told == known
    assert SIZES.keys() == {table for table, _ in told}


def test_a_wide_choice_counts_rows_and_a_narrow_one_does_not(fresh: Catalog) -> None:
    with reading(fresh.engine) as tx:
        told = dict(tuple(row) for row in tx.exec_driver_sql("SELECT idx, stat FROM sqlite_stat1"))
    assert told["ix_documents_source_shard_live"] == "1000000 1000000 62500 31250"
    assert told["sqlite_autoindex_documents_1"] == "1000000 1"
    assert told["ix_points_doc_id"] == "10000000 10"
    assert told["ix_points_dirty"] == "1000 1000 1000"


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        (
            sa.select(documents).where(
                documents.c.source == "docs",
                documents.c.shard.in_(range(16)),
                documents.c.live,
                documents.c.doc_id.in_(MANY),
            ),
            "sqlite_autoindex_documents_1 (doc_id=?)",
        ),
        (
            sa.update(points)
            .where(points.c.collection == "k", points.c.doc_id.in_(MANY), points.c.removed == 2**31 - 1)
            .values(removed=7),
            "ix_points_doc_id (doc_id=?)",
        ),
        (
            sa.select(points).where(points.c.collection == "k", points.c.point_id.in_(MANY)),
            "sqlite_autoindex_points_1 (collection=? AND point_id=?)",
        ),
        (
            sa.select(chunks.c.text).where(chunks.c.index_name == "k", chunks.c.embed_hash.in_(MANY)),
            "ix_chunks_embed_hash (embed_hash=?)",
        ),
        (
            sa.delete(index_documents).where(
                index_documents.c.index_name == "k", index_documents.c.doc_id.in_(MANY)
            ),
            "sqlite_autoindex_index_documents_1 (index_name=? AND doc_id=?)",
        ),
        (
            sa.select(points.c.doc_id)
            .where(points.c.collection == "k", points.c.source == "docs", points.c.dirty)
            .distinct(),
            "ix_points_dirty (collection=? AND source=?)",
        ),
        (
            sa.select(quarantine.c.doc_id).where(quarantine.c.source == "docs", quarantine.c.input == ""),
            "ix_quarantine_retry (source=?)",
        ),
    ],
)
def test_a_long_list_of_ids_is_asked_for_and_not_looked_for_in_all_rows(
    fresh: Catalog, statement: sa.sql.ClauseElement, index: str
) -> None:
    assert any(line.startswith("SEARCH") and index in line for line in details(fresh, statement))

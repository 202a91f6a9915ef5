"""Table of stored runs of suites."""

from __future__ import annotations

import sqlalchemy as sa

from rag_pipelines.catalog.dedup_tables import metadata
from rag_pipelines.catalog.tables import SMALL
from rag_pipelines.catalog.values import CleanJson, CleanText

__all__ = ["evaluations", "metadata"]

evaluations = sa.Table(
    "evaluations",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("run", SMALL, nullable=False),
    sa.Column("suite", SMALL, nullable=False),
    sa.Column("suite_hash", sa.String(64), nullable=False),
    sa.Column("index_name", SMALL, nullable=False),
    sa.Column("version", sa.Integer),
    sa.Column("fingerprint", sa.String(64), nullable=False),
    sa.Column("started_at", sa.String(40), nullable=False),
    sa.Column("principal", CleanText, nullable=False),
    sa.Column("queries", sa.Integer, nullable=False),
    sa.Column("measures", CleanJson, nullable=False),
    sa.Column("latency", CleanJson, nullable=False),
    sa.Column("cost", CleanJson, nullable=False),
    sa.Index("ix_evaluations_run", "run", unique=True),
    sa.Index("ix_evaluations_suite_index_name", "suite", "index_name"),
)

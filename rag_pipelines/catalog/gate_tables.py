"""Tables of release gates."""

from __future__ import annotations

import sqlalchemy as sa

from rag_pipelines.catalog.tables import SMALL, metadata
from rag_pipelines.catalog.values import CleanJson, CleanText

__all__ = ["gate_overrides", "metadata", "verdicts"]

verdicts = sa.Table(
    "verdicts",
    metadata,
    sa.Column("index_name", SMALL, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("passed", sa.Boolean, nullable=False),
    sa.Column("reason", CleanText, nullable=False),
    sa.Column("fingerprint", sa.String(64), nullable=False),
    sa.Column("at", sa.String(40), nullable=False),
    sa.Column("seconds", sa.Float, nullable=False),
    sa.Column("checks", CleanJson, nullable=False),
)

gate_overrides = sa.Table(
    "gate_overrides",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("index_name", SMALL, nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("at", sa.String(40), nullable=False),
    sa.Column("by", CleanText, nullable=False),
    sa.Column("reason", CleanText, nullable=False),
    sa.Column("refused", CleanText, nullable=False),
    sa.Index("ix_gate_overrides_index_name_number", "index_name", "number"),
)

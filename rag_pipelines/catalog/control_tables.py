"""Tables of what steers the pipeline: marks, approvals, tombstones, and how long changes took."""

from __future__ import annotations

import sqlalchemy as sa

from rag_pipelines.catalog.tables import SMALL, metadata
from rag_pipelines.catalog.values import CleanText

__all__ = [
    "approval_documents",
    "approvals",
    "latencies",
    "marks",
    "metadata",
    "reindex_requests",
    "tombstones",
]

tombstones = sa.Table(
    "tombstones",
    metadata,
    sa.Column("index_name", SMALL, primary_key=True),
    sa.Column("doc_id", sa.String(36), primary_key=True),
    sa.Column("since", sa.String(40), nullable=False),
)

marks = sa.Table(
    "marks",
    metadata,
    sa.Column("stage", sa.String(20), primary_key=True),
    sa.Column("index_name", SMALL, primary_key=True),
    sa.Column("source", SMALL, primary_key=True),
    sa.Column("shard", sa.Integer, primary_key=True),
    sa.Column("fingerprint", sa.String(64), nullable=False),
    sa.Column("tick", sa.Integer, nullable=False),
)

approvals = sa.Table(
    "approvals",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("source", SMALL, nullable=False),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("status", sa.String(20), nullable=False),
    sa.Column("reason", CleanText, nullable=False),
    sa.Column("requested_at", sa.String(40), nullable=False),
    sa.Column("decided_at", sa.String(40)),
    sa.Column("decided_by", CleanText),
    sa.Index("ix_approvals_source_status", "source", "status"),
)

approval_documents = sa.Table(
    "approval_documents",
    metadata,
    sa.Column("approval_id", sa.Integer, primary_key=True),
    sa.Column("doc_id", sa.String(36), primary_key=True),
    sa.Column("uri", CleanText, nullable=False),
)

reindex_requests = sa.Table(
    "reindex_requests",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("source", SMALL, nullable=False),
    sa.Column("uri_prefix", CleanText, nullable=False),
    sa.Column("force", sa.Boolean, nullable=False),
    sa.Column("requested_by", CleanText, nullable=False),
    sa.Column("requested_at", sa.String(40), nullable=False),
    sa.Column("status", sa.String(20), nullable=False),
    sa.Column("updated_at", sa.String(40), nullable=False),
    sa.Column("detail", CleanText, nullable=False),
    sa.Index("ix_reindex_requests_status", "status"),
)

latencies = sa.Table(
    "latencies",
    metadata,
    sa.Column("index_name", SMALL, primary_key=True),
    sa.Column("doc_id", sa.String(36), primary_key=True),
    sa.Column("kind", sa.String(10), primary_key=True),
    sa.Column("tick", sa.Integer, primary_key=True),
    sa.Column("source", SMALL, nullable=False),
    sa.Column("earliest_at", sa.String(40), nullable=False),
    sa.Column("detected_at", sa.String(40), nullable=False),
    sa.Column("effective_at", sa.String(40)),
    sa.Index("ix_latencies_source_kind_effective_at", "source", "kind", "effective_at"),
)
sa.Index(
    "ix_latencies_pending",
    latencies.c.index_name,
    latencies.c.source,
    sqlite_where=sa.text("effective_at IS NULL"),
    postgresql_where=sa.text("effective_at IS NULL"),
)

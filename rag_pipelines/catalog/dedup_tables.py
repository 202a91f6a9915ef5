"""Tables of near-duplicate detection. Texts are named by the hash of their stored parsed document."""

from __future__ import annotations

import sqlalchemy as sa

from rag_pipelines.catalog.control_tables import metadata
from rag_pipelines.catalog.tables import SMALL

__all__ = ["bands", "members", "metadata", "pairs", "signatures"]

signatures = sa.Table(
    "signatures",
    metadata,
    sa.Column("dedup_fp", sa.String(16), primary_key=True),
    sa.Column("parsed_hash", sa.String(64), primary_key=True),
    sa.Column("signature", sa.LargeBinary),
)

bands = sa.Table(
    "bands",
    metadata,
    sa.Column("dedup_fp", sa.String(16), primary_key=True),
    sa.Column("band", sa.SmallInteger, primary_key=True),
    sa.Column("key", sa.BigInteger, primary_key=True),
    sa.Column("parsed_hash", sa.String(64), primary_key=True),
    sqlite_with_rowid=False,
)

pairs = sa.Table(
    "pairs",
    metadata,
    sa.Column("dedup_fp", sa.String(16), primary_key=True),
    sa.Column("low", sa.String(64), primary_key=True),
    sa.Column("high", sa.String(64), primary_key=True),
    sa.Column("similarity", sa.Float, nullable=False),
    sa.Index("ix_pairs_dedup_fp_high", "dedup_fp", "high"),
    sqlite_with_rowid=False,
)

members = sa.Table(
    "members",
    metadata,
    sa.Column("index_name", SMALL, primary_key=True),
    sa.Column("doc_id", sa.String(36), primary_key=True),
    sa.Column("source", SMALL, nullable=False),
    sa.Column("parsed_hash", sa.String(64), nullable=False),
    sa.Column("scope", sa.String(64), nullable=False),
    sa.Column("policy", sa.String(10), nullable=False),
    sa.Column("cluster", sa.String(36), nullable=False),
    sa.Column("representative", sa.String(36), nullable=False),
    sa.Column("similarity", sa.Float, nullable=False),
    sa.Index("ix_members_index_name_parsed_hash", "index_name", "parsed_hash"),
    sa.Index("ix_members_index_name_cluster", "index_name", "cluster"),
)
sa.Index(
    "ix_members_duplicates",
    members.c.index_name,
    members.c.source,
    sqlite_where=sa.text("representative <> doc_id"),
    postgresql_where=sa.text("representative <> doc_id"),
)

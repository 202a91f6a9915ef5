"""Signatures, bands and pairs of texts; members of clusters of duplicates."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Bring the schema to this revision."""
    op.create_table(
        "bands",
        sa.Column("dedup_fp", sa.String(length=16), nullable=False),
        sa.Column("band", sa.SmallInteger(), nullable=False),
        sa.Column("key", sa.BigInteger(), nullable=False),
        sa.Column("parsed_hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("dedup_fp", "band", "key", "parsed_hash", name=op.f("pk_bands")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "members",
        sa.Column("index_name", sa.String(length=255), nullable=False),
        sa.Column("doc_id", sa.String(length=36), nullable=False),
        sa.Column("source", sa.String(length=255), nullable=False),
        sa.Column("parsed_hash", sa.String(length=64), nullable=False),
        sa.Column("scope", sa.String(length=64), nullable=False),
        sa.Column("policy", sa.String(length=10), nullable=False),
        sa.Column("cluster", sa.String(length=36), nullable=False),
        sa.Column("representative", sa.String(length=36), nullable=False),
        sa.Column("similarity", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("index_name", "doc_id", name=op.f("pk_members")),
    )
    with op.batch_alter_table("members", schema=None) as batch_op:
        batch_op.create_index("ix_members_index_name_cluster", ["index_name", "cluster"], unique=False)
        batch_op.create_index(
            "ix_members_index_name_parsed_hash", ["index_name", "parsed_hash"], unique=False
        )
        batch_op.create_index(
            "ix_members_duplicates",
            ["index_name", "source"],
            unique=False,
            sqlite_where=sa.text("representative <> doc_id"),
            postgresql_where=sa.text("representative <> doc_id"),
        )

    op.create_table(
        "pairs",
        sa.Column("dedup_fp", sa.String(length=16), nullable=False),
        sa.Column("low", sa.String(length=64), nullable=False),
        sa.Column("high", sa.String(length=64), nullable=False),
        sa.Column("similarity", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("dedup_fp", "low", "high", name=op.f("pk_pairs")),
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("pairs", schema=None) as batch_op:
        batch_op.create_index("ix_pairs_dedup_fp_high", ["dedup_fp", "high"], unique=False)

    op.create_table(
        "signatures",
        sa.Column("dedup_fp", sa.String(length=16), nullable=False),
        sa.Column("parsed_hash", sa.String(length=64), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("dedup_fp", "parsed_hash", name=op.f("pk_signatures")),
    )
    with op.batch_alter_table("documents", schema=None) as batch_op:
        batch_op.create_index("ix_documents_parsed_hash", ["parsed_hash"], unique=False)


def downgrade() -> None:
    """Take it back."""
    with op.batch_alter_table("documents", schema=None) as batch_op:
        batch_op.drop_index("ix_documents_parsed_hash")
    for table in ("signatures", "pairs", "members", "bands"):
        op.drop_table(table)

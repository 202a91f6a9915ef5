"""Marks, approvals, tombstones, latencies; points that can be rebuilt."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Bring the schema to this revision."""
    op.create_table(
        "approval_documents",
        sa.Column("approval_id", sa.Integer(), nullable=False),
        sa.Column("doc_id", sa.String(length=36), nullable=False),
        sa.Column("uri", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("approval_id", "doc_id", name=op.f("pk_approval_documents")),
    )
    op.create_table(
        "approvals",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("source", sa.String(length=255), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("requested_at", sa.String(length=40), nullable=False),
        sa.Column("decided_at", sa.String(length=40), nullable=True),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_approvals")),
    )
    with op.batch_alter_table("approvals", schema=None) as batch_op:
        batch_op.create_index("ix_approvals_source_status", ["source", "status"], unique=False)

    op.create_table(
        "reindex_requests",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("source", sa.String(length=255), nullable=False),
        sa.Column("uri_prefix", sa.Text(), nullable=False),
        sa.Column("force", sa.Boolean(), nullable=False),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column("requested_at", sa.String(length=40), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("updated_at", sa.String(length=40), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reindex_requests")),
    )
    with op.batch_alter_table("reindex_requests", schema=None) as batch_op:
        batch_op.create_index("ix_reindex_requests_status", ["status"], unique=False)

    op.create_table(
        "collection_totals",
        sa.Column("collection", sa.String(length=255), nullable=False),
        sa.Column("source", sa.String(length=255), nullable=False),
        sa.Column("documents", sa.BigInteger(), nullable=False),
        sa.Column("chunks", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("collection", "source", name=op.f("pk_collection_totals")),
    )
    op.create_table(
        "latencies",
        sa.Column("index_name", sa.String(length=255), nullable=False),
        sa.Column("doc_id", sa.String(length=36), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("tick", sa.Integer(), nullable=False),
        sa.Column("source", sa.String(length=255), nullable=False),
        sa.Column("earliest_at", sa.String(length=40), nullable=False),
        sa.Column("detected_at", sa.String(length=40), nullable=False),
        sa.Column("effective_at", sa.String(length=40), nullable=True),
        sa.PrimaryKeyConstraint("index_name", "doc_id", "kind", "tick", name=op.f("pk_latencies")),
    )
    with op.batch_alter_table("latencies", schema=None) as batch_op:
        batch_op.create_index(
            "ix_latencies_pending",
            ["index_name", "source"],
            unique=False,
            sqlite_where=sa.text("effective_at IS NULL"),
            postgresql_where=sa.text("effective_at IS NULL"),
        )
        batch_op.create_index(
            "ix_latencies_source_kind_effective_at", ["source", "kind", "effective_at"], unique=False
        )

    op.create_table(
        "marks",
        sa.Column("stage", sa.String(length=20), nullable=False),
        sa.Column("index_name", sa.String(length=255), nullable=False),
        sa.Column("source", sa.String(length=255), nullable=False),
        sa.Column("shard", sa.Integer(), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("tick", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("stage", "index_name", "source", "shard", name=op.f("pk_marks")),
    )
    op.create_table(
        "point_documents",
        sa.Column("document_key", sa.String(length=64), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("document_key", name=op.f("pk_point_documents")),
    )
    op.create_table(
        "tombstones",
        sa.Column("index_name", sa.String(length=255), nullable=False),
        sa.Column("doc_id", sa.String(length=36), nullable=False),
        sa.Column("since", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("index_name", "doc_id", name=op.f("pk_tombstones")),
    )
    with op.batch_alter_table("documents", schema=None) as batch_op:
        batch_op.add_column(sa.Column("touched", sa.Integer(), server_default="0", nullable=False))
        batch_op.create_index(
            "ix_documents_gone",
            ["doc_id"],
            unique=False,
            sqlite_where=sa.text("live = 0"),
            postgresql_where=sa.text("NOT live"),
        )
        batch_op.create_index("ix_documents_source_touched", ["source", "touched"], unique=False)

    with op.batch_alter_table("index_documents", schema=None) as batch_op:
        batch_op.add_column(sa.Column("point_count", sa.Integer(), server_default="0", nullable=False))

    with op.batch_alter_table("indexes", schema=None) as batch_op:
        batch_op.add_column(sa.Column("pinned", sa.Integer(), nullable=True))

    with op.batch_alter_table("points", schema=None) as batch_op:
        batch_op.add_column(sa.Column("chunk", sa.JSON(), nullable=True))
        batch_op.add_column(sa.Column("embed_hash", sa.String(length=64), nullable=True))
        batch_op.add_column(sa.Column("document_key", sa.String(length=64), nullable=True))
        batch_op.create_index("ix_points_collection_added", ["collection", "added"], unique=False)
        batch_op.create_index("ix_points_collection_removed", ["collection", "removed"], unique=False)
        batch_op.create_index(
            "ix_points_dirty",
            ["collection", "source"],
            unique=False,
            sqlite_where=sa.text("dirty = 1"),
            postgresql_where=sa.text("dirty"),
        )

    with op.batch_alter_table("quarantine", schema=None) as batch_op:
        batch_op.create_index(
            "ix_quarantine_retry",
            ["source"],
            unique=False,
            sqlite_where=sa.text("input = ''"),
            postgresql_where=sa.text("input = ''"),
        )

    with op.batch_alter_table("sources", schema=None) as batch_op:
        batch_op.add_column(sa.Column("tick", sa.Integer(), server_default="0", nullable=False))

    # Points written before cannot be rebuilt without the engine: the next sync stages them anew.
    op.execute("UPDATE index_documents SET staged_key = NULL")


def downgrade() -> None:
    """Take it back."""
    with op.batch_alter_table("sources", schema=None) as batch_op:
        batch_op.drop_column("tick")
    with op.batch_alter_table("quarantine", schema=None) as batch_op:
        batch_op.drop_index("ix_quarantine_retry")
    with op.batch_alter_table("points", schema=None) as batch_op:
        batch_op.drop_index("ix_points_dirty")
        batch_op.drop_index("ix_points_collection_removed")
        batch_op.drop_index("ix_points_collection_added")
        batch_op.drop_column("document_key")
        batch_op.drop_column("embed_hash")
        batch_op.drop_column("chunk")
    with op.batch_alter_table("indexes", schema=None) as batch_op:
        batch_op.drop_column("pinned")
    with op.batch_alter_table("index_documents", schema=None) as batch_op:
        batch_op.drop_column("point_count")
    with op.batch_alter_table("documents", schema=None) as batch_op:
        batch_op.drop_index("ix_documents_source_touched")
        batch_op.drop_index("ix_documents_gone")
        batch_op.drop_column("touched")
    for table in (
        "tombstones",
        "point_documents",
        "marks",
        "latencies",
        "collection_totals",
        "approvals",
        "approval_documents",
        "reindex_requests",
    ):
        op.drop_table(table)

"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Bring the schema to this revision."""
    op.create_table(
        "chunks",
        sa.Column("index_name", sa.String(length=255), nullable=False),
        sa.Column("chunk_id", sa.String(length=36), nullable=False),
        sa.Column("doc_id", sa.String(length=36), nullable=False),
        sa.Column("source", sa.String(length=255), nullable=False),
        sa.Column("shard", sa.Integer(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("start", sa.Integer(), nullable=False),
        sa.Column("end", sa.Integer(), nullable=False),
        sa.Column("text_hash", sa.String(length=64), nullable=False),
        sa.Column("embed_hash", sa.String(length=64), nullable=False),
        sa.Column("tokens", sa.Integer(), nullable=False),
        sa.Column("page", sa.Integer(), nullable=True),
        sa.Column("heading_path", sa.JSON(), nullable=False),
        sa.Column("header", sa.Text(), nullable=False),
        sa.Column("parent_start", sa.Integer(), nullable=True),
        sa.Column("parent_end", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("index_name", "chunk_id", name=op.f("pk_chunks")),
    )
    with op.batch_alter_table("chunks", schema=None) as batch_op:
        batch_op.create_index("ix_chunks_embed_hash", ["embed_hash"], unique=False)
        batch_op.create_index("ix_chunks_index_name_doc_id", ["index_name", "doc_id"], unique=False)
        batch_op.create_index(
            "ix_chunks_index_name_source_shard", ["index_name", "source", "shard"], unique=False
        )

    op.create_table(
        "collections",
        sa.Column("collection", sa.String(length=255), nullable=False),
        sa.Column("index_name", sa.String(length=255), nullable=False),
        sa.Column("space_fp", sa.String(length=16), nullable=False),
        sa.Column("average_length", sa.Float(), nullable=False),
        sa.Column("vectors", sa.JSON(), nullable=False),
        sa.Column("snapshots", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("collection", name=op.f("pk_collections")),
    )
    with op.batch_alter_table("collections", schema=None) as batch_op:
        batch_op.create_index("ix_collections_index_name_space_fp", ["index_name", "space_fp"], unique=False)

    op.create_table(
        "documents",
        sa.Column("doc_id", sa.String(length=36), nullable=False),
        sa.Column("source", sa.String(length=255), nullable=False),
        sa.Column("shard", sa.Integer(), nullable=False),
        sa.Column("uri", sa.Text(), nullable=False),
        sa.Column("live", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.Column("modified_at", sa.String(length=40), nullable=True),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("classification", sa.String(length=20), nullable=False),
        sa.Column("acl", sa.JSON(), nullable=False),
        sa.Column("row_hash", sa.String(length=64), nullable=False),
        sa.Column("seen_at", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=255), nullable=True),
        sa.Column("raw_version", sa.Text(), nullable=True),
        sa.Column("raw_hash", sa.String(length=64), nullable=True),
        sa.Column("parse_fp", sa.String(length=16), nullable=True),
        sa.Column("parsed_hash", sa.String(length=64), nullable=True),
        sa.Column("parser", sa.String(length=255), nullable=True),
        sa.Column("media_type", sa.String(length=255), nullable=True),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("language", sa.String(length=16), nullable=True),
        sa.Column("link", sa.Text(), nullable=True),
        sa.Column("revision", sa.Text(), nullable=True),
        sa.Column("revised_at", sa.String(length=40), nullable=True),
        sa.PrimaryKeyConstraint("doc_id", name=op.f("pk_documents")),
    )
    with op.batch_alter_table("documents", schema=None) as batch_op:
        batch_op.create_index("ix_documents_raw_hash", ["raw_hash"], unique=False)
        batch_op.create_index("ix_documents_source_shard_live", ["source", "shard", "live"], unique=False)

    op.create_table(
        "embeddings",
        sa.Column("embed_hash", sa.String(length=64), nullable=False),
        sa.Column("model_fp", sa.String(length=16), nullable=False),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("embed_hash", "model_fp", name=op.f("pk_embeddings")),
    )
    op.create_table(
        "exclusions",
        sa.Column("doc_id", sa.String(length=36), nullable=False),
        sa.Column("source", sa.String(length=255), nullable=False),
        sa.Column("uri", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("since", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("doc_id", name=op.f("pk_exclusions")),
    )
    with op.batch_alter_table("exclusions", schema=None) as batch_op:
        batch_op.create_index("ix_exclusions_source", ["source"], unique=False)

    op.create_table(
        "index_documents",
        sa.Column("index_name", sa.String(length=255), nullable=False),
        sa.Column("doc_id", sa.String(length=36), nullable=False),
        sa.Column("source", sa.String(length=255), nullable=False),
        sa.Column("shard", sa.Integer(), nullable=False),
        sa.Column("chunked_from", sa.String(length=64), nullable=True),
        sa.Column("chunk_fp", sa.String(length=16), nullable=True),
        sa.Column("chunk_count", sa.Integer(), nullable=False),
        sa.Column("collection", sa.String(length=255), nullable=True),
        sa.Column("staged_key", sa.String(length=64), nullable=True),
        sa.Column("access_key", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("index_name", "doc_id", name=op.f("pk_index_documents")),
    )
    with op.batch_alter_table("index_documents", schema=None) as batch_op:
        batch_op.create_index(
            "ix_index_documents_index_name_source_shard", ["index_name", "source", "shard"], unique=False
        )

    op.create_table(
        "index_versions",
        sa.Column("index_name", sa.String(length=255), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("collection", sa.String(length=255), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("parent", sa.Integer(), nullable=True),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.String(length=40), nullable=False),
        sa.Column("published_at", sa.String(length=40), nullable=True),
        sa.Column("stats", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("index_name", "number", name=op.f("pk_index_versions")),
    )
    op.create_table(
        "indexes",
        sa.Column("index_name", sa.String(length=255), nullable=False),
        sa.Column("published", sa.Integer(), nullable=False),
        sa.Column("collection", sa.String(length=255), nullable=False),
        sa.Column("snapshot", sa.String(length=255), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("refresh", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("updated_at", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("index_name", name=op.f("pk_indexes")),
    )
    op.create_table(
        "points",
        sa.Column("collection", sa.String(length=255), nullable=False),
        sa.Column("point_id", sa.String(length=36), nullable=False),
        sa.Column("chunk_id", sa.String(length=36), nullable=False),
        sa.Column("doc_id", sa.String(length=36), nullable=False),
        sa.Column("source", sa.String(length=255), nullable=False),
        sa.Column("added", sa.Integer(), nullable=False),
        sa.Column("removed", sa.Integer(), server_default="2147483647", nullable=False),
        sa.Column("payload_hash", sa.String(length=64), nullable=False),
        sa.Column("parsed_hash", sa.String(length=64), nullable=False),
        sa.Column("dirty", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("collection", "point_id", name=op.f("pk_points")),
    )
    with op.batch_alter_table("points", schema=None) as batch_op:
        batch_op.create_index(
            "ix_points_collection_source_removed", ["collection", "source", "removed"], unique=False
        )
        batch_op.create_index("ix_points_doc_id", ["doc_id"], unique=False)

    op.create_table(
        "quarantine",
        sa.Column("doc_id", sa.String(length=36), nullable=False),
        sa.Column("stage", sa.String(length=20), nullable=False),
        sa.Column("index_name", sa.String(length=255), nullable=False),
        sa.Column("source", sa.String(length=255), nullable=False),
        sa.Column("shard", sa.Integer(), nullable=False),
        sa.Column("uri", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("input", sa.Text(), nullable=False),
        sa.Column("since", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("doc_id", "stage", "index_name", name=op.f("pk_quarantine")),
    )
    with op.batch_alter_table("quarantine", schema=None) as batch_op:
        batch_op.create_index("ix_quarantine_source_shard", ["source", "shard"], unique=False)

    op.create_table(
        "sources",
        sa.Column("source", sa.String(length=255), nullable=False),
        sa.Column("shards", sa.Integer(), nullable=False),
        sa.Column("probe_token", sa.Text(), nullable=True),
        sa.Column("listed_at", sa.String(length=40), nullable=True),
        sa.Column("synced_at", sa.String(length=40), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("source", name=op.f("pk_sources")),
    )
    op.create_table(
        "staging",
        sa.Column("index_name", sa.String(length=255), nullable=False),
        sa.Column("source", sa.String(length=255), nullable=False),
        sa.Column("since", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("index_name", "source", name=op.f("pk_staging")),
    )
    op.create_table(
        "sync_counts",
        sa.Column("run_id", sa.String(length=255), nullable=False),
        sa.Column("source", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "source", "name", name=op.f("pk_sync_counts")),
    )


def downgrade() -> None:
    """Take it back."""
    op.drop_table("sync_counts")
    op.drop_table("staging")
    op.drop_table("sources")
    with op.batch_alter_table("quarantine", schema=None) as batch_op:
        batch_op.drop_index("ix_quarantine_source_shard")

    op.drop_table("quarantine")
    with op.batch_alter_table("points", schema=None) as batch_op:
        batch_op.drop_index("ix_points_doc_id")
        batch_op.drop_index("ix_points_collection_source_removed")

    op.drop_table("points")
    op.drop_table("indexes")
    op.drop_table("index_versions")
    with op.batch_alter_table("index_documents", schema=None) as batch_op:
        batch_op.drop_index("ix_index_documents_index_name_source_shard")

    op.drop_table("index_documents")
    with op.batch_alter_table("exclusions", schema=None) as batch_op:
        batch_op.drop_index("ix_exclusions_source")

    op.drop_table("exclusions")
    op.drop_table("embeddings")
    with op.batch_alter_table("documents", schema=None) as batch_op:
        batch_op.drop_index("ix_documents_source_shard_live")
        batch_op.drop_index("ix_documents_raw_hash")

    op.drop_table("documents")
    with op.batch_alter_table("collections", schema=None) as batch_op:
        batch_op.drop_index("ix_collections_index_name_space_fp")

    op.drop_table("collections")
    with op.batch_alter_table("chunks", schema=None) as batch_op:
        batch_op.drop_index("ix_chunks_index_name_source_shard")
        batch_op.drop_index("ix_chunks_index_name_doc_id")
        batch_op.drop_index("ix_chunks_embed_hash")

    op.drop_table("chunks")

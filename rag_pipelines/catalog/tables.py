"""Tables of the catalog. Times are ISO 8601 in UTC, hashes hex, ids UUID strings.

No key or index holds a uri: Postgres refuses entries above 2,704 bytes, and a uri may be longer.
"""

from __future__ import annotations

import sqlalchemy as sa

from rag_pipelines.catalog.values import CleanJson, CleanText, Label
from rag_pipelines.core.types import CURRENT

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

SMALL = sa.String(255)

sources = sa.Table(
    "sources",
    metadata,
    sa.Column("source", SMALL, primary_key=True),
    sa.Column("shards", sa.Integer, nullable=False),
    sa.Column("probe_token", CleanText),
    sa.Column("listed_at", sa.String(40)),
    sa.Column("synced_at", sa.String(40)),
    sa.Column("error", CleanText),
    sa.Column("tick", sa.Integer, nullable=False, server_default="0"),
)

documents = sa.Table(
    "documents",
    metadata,
    sa.Column("doc_id", sa.String(36), primary_key=True),
    sa.Column("source", SMALL, nullable=False),
    sa.Column("shard", sa.Integer, nullable=False),
    sa.Column("uri", CleanText, nullable=False),
    sa.Column("live", sa.Boolean, nullable=False),
    sa.Column("version", CleanText, nullable=False),
    sa.Column("size", sa.BigInteger),
    sa.Column("modified_at", sa.String(40)),
    sa.Column("metadata", CleanJson, nullable=False),
    sa.Column("tenant", CleanText, nullable=False),
    sa.Column("classification", sa.String(20), nullable=False),
    sa.Column("acl", CleanJson, nullable=False),
    sa.Column("row_hash", sa.String(64), nullable=False),
    sa.Column("seen_at", sa.String(40), nullable=False),
    sa.Column("kind", Label(255)),
    sa.Column("raw_version", CleanText),
    sa.Column("raw_hash", sa.String(64)),
    sa.Column("parse_fp", sa.String(16)),
    sa.Column("parsed_hash", sa.String(64)),
    sa.Column("parser", Label(255)),
    sa.Column("media_type", Label(255)),
    sa.Column("title", CleanText),
    sa.Column("language", Label(16)),
    sa.Column("link", CleanText),
    sa.Column("revision", CleanText),
    sa.Column("revised_at", sa.String(40)),
    sa.Column("touched", sa.Integer, nullable=False, server_default="0"),
    sa.Index("ix_documents_source_shard_live", "source", "shard", "live"),
    sa.Index("ix_documents_source_touched", "source", "touched"),
    sa.Index("ix_documents_raw_hash", "raw_hash"),
    sa.Index("ix_documents_parsed_hash", "parsed_hash"),
)
sa.Index(
    "ix_documents_gone",
    documents.c.doc_id,
    sqlite_where=sa.text("live = 0"),
    postgresql_where=sa.text("NOT live"),
)

exclusions = sa.Table(
    "exclusions",
    metadata,
    sa.Column("doc_id", sa.String(36), primary_key=True),
    sa.Column("source", SMALL, nullable=False),
    sa.Column("uri", CleanText, nullable=False),
    sa.Column("reason", CleanText, nullable=False),
    sa.Column("since", sa.String(40), nullable=False),
    sa.Index("ix_exclusions_source", "source"),
)

quarantine = sa.Table(
    "quarantine",
    metadata,
    sa.Column("doc_id", sa.String(36), primary_key=True),
    sa.Column("stage", sa.String(20), primary_key=True),
    sa.Column("index_name", SMALL, primary_key=True),
    sa.Column("source", SMALL, nullable=False),
    sa.Column("shard", sa.Integer, nullable=False),
    sa.Column("uri", CleanText, nullable=False),
    sa.Column("reason", CleanText, nullable=False),
    sa.Column("input", CleanText, nullable=False),
    sa.Column("since", sa.String(40), nullable=False),
    sa.Index("ix_quarantine_source_shard", "source", "shard"),
)
sa.Index(
    "ix_quarantine_retry",
    quarantine.c.source,
    sqlite_where=sa.text("input = ''"),
    postgresql_where=sa.text("input = ''"),
)

index_documents = sa.Table(
    "index_documents",
    metadata,
    sa.Column("index_name", SMALL, primary_key=True),
    sa.Column("doc_id", sa.String(36), primary_key=True),
    sa.Column("source", SMALL, nullable=False),
    sa.Column("shard", sa.Integer, nullable=False),
    sa.Column("chunked_from", sa.String(64)),
    sa.Column("chunk_fp", sa.String(16)),
    sa.Column("chunk_count", sa.Integer, nullable=False),
    sa.Column("collection", SMALL),
    sa.Column("staged_key", sa.String(64)),
    sa.Column("access_key", sa.String(64)),
    sa.Column("point_count", sa.Integer, nullable=False, server_default="0"),
    sa.Index("ix_index_documents_index_name_source_shard", "index_name", "source", "shard"),
)

chunks = sa.Table(
    "chunks",
    metadata,
    sa.Column("index_name", SMALL, primary_key=True),
    sa.Column("chunk_id", sa.String(36), primary_key=True),
    sa.Column("doc_id", sa.String(36), nullable=False),
    sa.Column("source", SMALL, nullable=False),
    sa.Column("shard", sa.Integer, nullable=False),
    sa.Column("ordinal", sa.Integer, nullable=False),
    sa.Column("text", CleanText, nullable=False),
    sa.Column("start", sa.Integer, nullable=False),
    sa.Column("end", sa.Integer, nullable=False),
    sa.Column("text_hash", sa.String(64), nullable=False),
    sa.Column("embed_hash", sa.String(64), nullable=False),
    sa.Column("tokens", sa.Integer, nullable=False),
    sa.Column("page", sa.Integer),
    sa.Column("heading_path", CleanJson, nullable=False),
    sa.Column("header", CleanText, nullable=False),
    sa.Column("parent_start", sa.Integer),
    sa.Column("parent_end", sa.Integer),
    sa.Index("ix_chunks_index_name_doc_id", "index_name", "doc_id"),
    sa.Index("ix_chunks_index_name_source_shard", "index_name", "source", "shard"),
    sa.Index("ix_chunks_embed_hash", "embed_hash"),
)

embeddings = sa.Table(
    "embeddings",
    metadata,
    sa.Column("embed_hash", sa.String(64), primary_key=True),
    sa.Column("model_fp", sa.String(16), primary_key=True),
    sa.Column("vector", sa.LargeBinary, nullable=False),
)

collections = sa.Table(
    "collections",
    metadata,
    sa.Column("collection", SMALL, primary_key=True),
    sa.Column("index_name", SMALL, nullable=False),
    sa.Column("space_fp", sa.String(16), nullable=False),
    sa.Column("average_length", sa.Float, nullable=False),
    sa.Column("vectors", CleanJson, nullable=False),
    sa.Column("snapshots", CleanJson, nullable=False),
    sa.Column("created_at", sa.String(40), nullable=False),
    sa.Index("ix_collections_index_name_space_fp", "index_name", "space_fp"),
)

points = sa.Table(
    "points",
    metadata,
    sa.Column("collection", SMALL, primary_key=True),
    sa.Column("point_id", sa.String(36), primary_key=True),
    sa.Column("chunk_id", sa.String(36), nullable=False),
    sa.Column("doc_id", sa.String(36), nullable=False),
    sa.Column("source", SMALL, nullable=False),
    sa.Column("added", sa.Integer, nullable=False),
    sa.Column("removed", sa.Integer, nullable=False, server_default=str(CURRENT)),
    sa.Column("payload_hash", sa.String(64), nullable=False),
    sa.Column("parsed_hash", sa.String(64), nullable=False),
    sa.Column("dirty", sa.Boolean, nullable=False),
    sa.Column("chunk", CleanJson),
    sa.Column("embed_hash", sa.String(64)),
    sa.Column("document_key", sa.String(64)),
    sa.Column("injection", sa.Float),
    sa.Index("ix_points_doc_id", "doc_id"),
    sa.Index("ix_points_collection_source_removed", "collection", "source", "removed"),
    sa.Index("ix_points_collection_added", "collection", "added"),
    sa.Index("ix_points_collection_removed", "collection", "removed"),
)
sa.Index(
    "ix_points_dirty",
    points.c.collection,
    points.c.source,
    sqlite_where=sa.text("dirty = 1"),
    postgresql_where=sa.text("dirty"),
)

sa.Index(
    "ix_points_injection",
    points.c.collection,
    points.c.injection,
    sqlite_where=sa.text("injection IS NOT NULL"),
    postgresql_where=sa.text("injection IS NOT NULL"),
)

point_documents = sa.Table(
    "point_documents",
    metadata,
    sa.Column("document_key", sa.String(64), primary_key=True),
    sa.Column("payload", CleanJson, nullable=False),
)

collection_totals = sa.Table(
    "collection_totals",
    metadata,
    sa.Column("collection", SMALL, primary_key=True),
    sa.Column("source", SMALL, primary_key=True),
    sa.Column("documents", sa.BigInteger, nullable=False),
    sa.Column("chunks", sa.BigInteger, nullable=False),
)

index_versions = sa.Table(
    "index_versions",
    metadata,
    sa.Column("index_name", SMALL, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("collection", SMALL, nullable=False),
    sa.Column("status", sa.String(20), nullable=False),
    sa.Column("parent", sa.Integer),
    sa.Column("fingerprint", sa.String(64), nullable=False),
    sa.Column("created_at", sa.String(40), nullable=False),
    sa.Column("published_at", sa.String(40)),
    sa.Column("stats", CleanJson, nullable=False),
)

indexes = sa.Table(
    "indexes",
    metadata,
    sa.Column("index_name", SMALL, primary_key=True),
    sa.Column("published", sa.Integer, nullable=False),
    sa.Column("collection", SMALL, nullable=False),
    sa.Column("snapshot", SMALL, nullable=False),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("refresh", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("updated_at", sa.String(40), nullable=False),
    sa.Column("pinned", sa.Integer),
)

staging = sa.Table(
    "staging",
    metadata,
    sa.Column("index_name", SMALL, primary_key=True),
    sa.Column("source", SMALL, primary_key=True),
    sa.Column("since", sa.String(40), nullable=False),
)

sync_counts = sa.Table(
    "sync_counts",
    metadata,
    sa.Column("run_id", SMALL, primary_key=True),
    sa.Column("source", SMALL, primary_key=True),
    sa.Column("name", sa.String(40), primary_key=True),
    sa.Column("value", sa.BigInteger, nullable=False),
    sa.Column("at", sa.String(40), nullable=False),
)

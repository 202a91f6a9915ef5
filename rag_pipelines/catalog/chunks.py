"""Rows of chunks, their vectors, and how far each document got in each index."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from rag_pipelines.catalog.documents import columns_for, expected_fingerprint, lift_quarantine, there_for
from rag_pipelines.catalog.duplicates import collapsed_condition
from rag_pipelines.catalog.marks import restricted
from rag_pipelines.catalog.store import Catalog, Row, Transaction, batches, reading, rows_of, upsert
from rag_pipelines.catalog.tables import chunks, documents, embeddings, index_documents, quarantine
from rag_pipelines.core.ids import embed_text
from rag_pipelines.core.types import Chunk

COLLAPSED = "collapsed"
"""The fingerprint of the chunks of a document that another one stands for: there are none."""


def chunk_due(
    catalog: Catalog,
    index: str,
    source: str,
    shards: Collection[int],
    fingerprints: Mapping[str, str],
    only: Sequence[str] | None = None,
    tenant: str | None = None,
) -> list[Row]:
    """Parsed documents whose chunks are not of their present text and rule, and those without text (gone, or
    back with bytes that nobody could read yet) that still have any.

    `fingerprints` maps each media type to the chunker's present fingerprint; `only` are the documents to
    look at (None: all of the shards). A document quarantined with the same text and rule is not due again;
    one whose chunks are right after all leaves the quarantine. For an index of one `tenant` documents of others
    are gone.
    """
    rows, fine_again = chunk_pending(catalog, index, source, shards, fingerprints, only, tenant)
    if fine_again:
        with catalog.begin() as tx:
            lift_quarantine(tx, fine_again, ("chunk",), index)
    return rows


def chunk_pending(
    catalog: Catalog,
    index: str,
    source: str,
    shards: Collection[int],
    fingerprints: Mapping[str, str],
    only: Sequence[str] | None = None,
    tenant: str | None = None,
) -> tuple[list[Row], list[str]]:
    """What `chunk_due` returns, and the documents whose quarantine it lifts; writes nothing.

    Rows have the columns of `documents`, and `collapsed`: another document stands for this one.
    """
    doc, own, there = documents.c, index_documents.c, there_for(tenant)
    collapsed = collapsed_condition(index)
    expected = sa.case((collapsed, COLLAPSED), else_=expected_fingerprint(doc.media_type, fingerprints))
    of_chunking = sa.and_(
        quarantine.c.doc_id == doc.doc_id, quarantine.c.stage == "chunk", quarantine.c.index_name == index
    )
    refused = (
        sa.select(quarantine.c.doc_id)
        .where(of_chunking, quarantine.c.input == doc.parsed_hash + " " + expected)
        .exists()
    )
    differs = sa.or_(
        own.chunked_from.is_distinct_from(doc.parsed_hash), own.chunk_fp.is_distinct_from(expected)
    )
    stale = sa.and_(there, doc.parsed_hash.is_not(None), differs, ~refused)
    leftover = sa.and_(sa.or_(~there, doc.parsed_hash.is_(None)), own.chunk_count > 0)
    joined = documents.outerjoin(index_documents, sa.and_(own.doc_id == doc.doc_id, own.index_name == index))
    statement = (
        sa.select(*columns_for(tenant), collapsed.label("collapsed"))
        .select_from(joined)
        .where(doc.source == source, doc.shard.in_(shards), sa.or_(stale, leftover))
    )
    settled = (
        sa.select(doc.doc_id)
        .select_from(joined)
        .join(quarantine, of_chunking)
        .where(doc.source == source, doc.shard.in_(shards), there, ~differs)
    )
    with reading(catalog.engine) as tx:
        rows = [row for part in restricted(statement, doc.doc_id, only) for row in rows_of(tx.execute(part))]
        fine_again = [
            row[0] for part in restricted(settled, quarantine.c.doc_id, only) for row in tx.execute(part)
        ]
    return sorted(rows, key=lambda row: str(row["uri"])), fine_again


def media_types(catalog: Catalog, source: str, only: Sequence[str] | None = None) -> list[str]:
    """The distinct media types among the source's parsed documents, or among these."""
    statement = (
        sa.select(documents.c.media_type)
        .where(documents.c.source == source, documents.c.media_type.is_not(None))
        .distinct()
    )
    with reading(catalog.engine) as tx:
        return sorted(
            {
                str(row[0])
                for part in restricted(statement, documents.c.doc_id, only)
                for row in tx.execute(part)
            }
        )


def replace_chunks(
    tx: Transaction,
    index: str,
    doc: Row,
    new: Sequence[Chunk],
    chunked_from: str | None,
    chunk_fp: str | None,
) -> tuple[int, int]:
    """Make these the document's chunks; returns how many chunk ids came and how many went.

    A gone document remembers no input, so that it is due again should it come back before it is staged.
    """
    if not doc["live"]:
        chunked_from = chunk_fp = None
    old = {
        row[0]
        for row in tx.execute(
            sa.select(chunks.c.chunk_id).where(chunks.c.index_name == index, chunks.c.doc_id == doc["doc_id"])
        )
    }
    tx.execute(sa.delete(chunks).where(chunks.c.index_name == index, chunks.c.doc_id == doc["doc_id"]))
    rows = [chunk_row(index, doc, chunk) for chunk in new]
    for batch in batches(rows):
        tx.execute(sa.insert(chunks), list(batch))
    upsert(
        tx,
        index_documents,
        [
            {
                "index_name": index,
                "doc_id": doc["doc_id"],
                "source": doc["source"],
                "shard": doc["shard"],
                "chunked_from": chunked_from,
                "chunk_fp": chunk_fp,
                "chunk_count": len(new),
            }
        ],
    )
    current = {chunk.chunk_id for chunk in new}
    return len(current - old), len(old - current)


def chunks_of(tx: Transaction, index: str, doc_ids: Sequence[str]) -> dict[str, list[Row]]:
    """The chunk rows of the documents, in order."""
    found: dict[str, list[Row]] = {doc_id: [] for doc_id in doc_ids}
    for batch in batches(doc_ids):
        in_order = (
            sa.select(chunks)
            .where(chunks.c.index_name == index, chunks.c.doc_id.in_(batch))
            .order_by(chunks.c.doc_id, chunks.c.ordinal)
        )
        for row in rows_of(tx.execute(in_order)):
            found[row["doc_id"]].append(row)
    return found


def embedding_due(
    catalog: Catalog,
    index: str,
    source: str,
    shards: Collection[int],
    model_fp: str,
    only: Sequence[str] | None = None,
) -> list[tuple[str, int]]:
    """(embed_hash, tokens) of distinct chunk texts (of `only`, or of all) without a vector of this model."""
    own, vec = chunks.c, embeddings.c
    missing = ~(
        sa.select(vec.embed_hash).where(vec.embed_hash == own.embed_hash, vec.model_fp == model_fp).exists()
    )
    statement = (
        sa.select(own.embed_hash, sa.func.max(own.tokens))
        .where(own.index_name == index, own.source == source, own.shard.in_(shards), missing)
        .group_by(own.embed_hash)
    )
    found: dict[str, int] = {}
    with reading(catalog.engine) as tx:
        for part in restricted(statement, own.doc_id, only):
            for row in tx.execute(part):
                found[row[0]] = max(row[1], found.get(row[0], 0))
    return list(found.items())


def embed_texts(tx: Transaction, index: str, embed_hashes: Sequence[str]) -> dict[str, str]:
    """What to embed for each hash: header, a newline and text, as the chunker hashed it."""
    found: dict[str, str] = {}
    for batch in batches(embed_hashes):
        for row in tx.execute(
            sa.select(chunks.c.embed_hash, chunks.c.header, chunks.c.text).where(
                chunks.c.index_name == index, chunks.c.embed_hash.in_(batch)
            )
        ):
            found[row[0]] = embed_text(row[1], row[2])
    return found


def save_embeddings(tx: Transaction, model_fp: str, vectors: Mapping[str, bytes]) -> None:
    """Store float16 vectors; one that is already there stays."""
    rows = [{"embed_hash": name, "model_fp": model_fp, "vector": vector} for name, vector in vectors.items()]
    upsert(tx, embeddings, rows, update=())


def load_embeddings(tx: Transaction, model_fp: str, embed_hashes: Collection[str]) -> dict[str, bytes]:
    """The stored vectors of these texts; missing ones are not in the answer."""
    found: dict[str, bytes] = {}
    for batch in batches(sorted(set(embed_hashes))):
        for row in tx.execute(
            sa.select(embeddings.c.embed_hash, embeddings.c.vector).where(
                embeddings.c.model_fp == model_fp, embeddings.c.embed_hash.in_(batch)
            )
        ):
            found[row[0]] = row[1]
    return found


def sample_chunk_texts(catalog: Catalog, index: str, limit: int) -> Iterator[str]:
    """Up to `limit` chunk texts spread by id, which is a hash, for corpus statistics."""
    with reading(catalog.engine) as tx:
        for row in tx.execute(
            sa.select(chunks.c.header, chunks.c.text)
            .where(chunks.c.index_name == index)
            .order_by(chunks.c.chunk_id)
            .limit(limit)
        ):
            yield embed_text(row[0], row[1])


def chunk_row(index: str, doc: Row, chunk: Chunk) -> dict[str, Any]:
    """The row of one chunk."""
    return {
        "index_name": index,
        "chunk_id": chunk.chunk_id,
        "doc_id": chunk.doc_id,
        "source": doc["source"],
        "shard": doc["shard"],
        "ordinal": chunk.ordinal,
        "text": chunk.text,
        "start": chunk.start,
        "end": chunk.end,
        "text_hash": chunk.text_hash,
        "embed_hash": chunk.embed_hash,
        "tokens": chunk.tokens,
        "page": chunk.page,
        "heading_path": list(chunk.heading_path),
        "header": chunk.header,
        "parent_start": chunk.parent_start,
        "parent_end": chunk.parent_end,
    }

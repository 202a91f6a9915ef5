"""What planning a sync asks of the catalog; nothing here writes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import sqlalchemy as sa

from rag_pipelines.catalog.marks import restricted
from rag_pipelines.catalog.store import Catalog, Row, Transaction, batches, reading, rows_of
from rag_pipelines.catalog.tables import (
    chunks,
    collections,
    documents,
    embeddings,
    index_documents,
    index_versions,
    indexes,
    quarantine,
    sync_counts,
)

FETCHED_AT_ONCE = 10_000
HISTORY_ROWS = 2_000
NO_PLACE: Row = {
    "i_chunked_from": None,
    "i_chunk_fp": None,
    "i_chunk_count": 0,
    "i_collection": None,
    "i_staged_key": None,
    "i_access_key": None,
    "i_point_count": 0,
}
"""A document that the index has not seen."""


def blank_document() -> Row:
    """A row of `documents` before anything is known."""
    return dict.fromkeys(documents.c.keys())


def documents_of(tx: Transaction, doc_ids: Collection[str]) -> dict[str, Row]:
    """The rows of these documents, live or gone, by id."""
    return {
        row["doc_id"]: row
        for batch in batches(list(doc_ids))
        for row in rows_of(tx.execute(sa.select(documents).where(documents.c.doc_id.in_(batch))))
    }


def places_of(tx: Transaction, index: str, doc_ids: Collection[str]) -> dict[str, Row]:
    """doc_id -> the `i_` columns of `staged.stage_state`, for those that the index has seen."""
    own = index_documents.c
    columns = [own[name.removeprefix("i_")].label(name) for name in NO_PLACE]
    found: dict[str, Row] = {}
    for batch in batches(list(doc_ids)):
        statement = sa.select(own.doc_id, *columns).where(own.index_name == index, own.doc_id.in_(batch))
        for row in rows_of(tx.execute(statement)):
            found[row["doc_id"]] = {name: row[name] for name in NO_PLACE}
    return found


def chunk_keys(tx: Transaction, index: str, doc_ids: Collection[str]) -> dict[str, list[tuple[str, str]]]:
    """doc_id -> (chunk_id, embed_hash) of its chunks."""
    found: dict[str, list[tuple[str, str]]] = {doc_id: [] for doc_id in doc_ids}
    for batch in batches(list(doc_ids)):
        statement = sa.select(chunks.c.doc_id, chunks.c.chunk_id, chunks.c.embed_hash).where(
            chunks.c.index_name == index, chunks.c.doc_id.in_(batch)
        )
        for doc_id, chunk_id, embed_hash in tx.execute(statement):
            found[doc_id].append((chunk_id, embed_hash))
    return found


def texts_with_vector(tx: Transaction, model_fp: str, embed_hashes: Collection[str]) -> set[str]:
    """Those of the texts that have a vector of the model."""
    return {
        row[0]
        for batch in batches(list(embed_hashes))
        for row in tx.execute(
            sa.select(embeddings.c.embed_hash).where(
                embeddings.c.model_fp == model_fp, embeddings.c.embed_hash.in_(batch)
            )
        )
    }


def texts_without_vector(
    catalog: Catalog, index: str, source: str, model_fp: str, only: Sequence[str] | None
) -> Iterator[tuple[str, str]]:
    """(doc_id, embed_hash) of every chunk of the source (of `only`, or of all) without a vector of the model."""
    vec = embeddings.c
    missing = ~(
        sa.select(vec.embed_hash)
        .where(vec.embed_hash == chunks.c.embed_hash, vec.model_fp == model_fp)
        .exists()
    )
    statement = sa.select(chunks.c.doc_id, chunks.c.embed_hash).where(
        chunks.c.index_name == index, chunks.c.source == source, missing
    )
    with reading(catalog.engine) as tx:
        streaming = tx.execution_options(yield_per=FETCHED_AT_ONCE)
        for part in restricted(statement, chunks.c.doc_id, only):
            for row in streaming.execute(part):
                yield row[0], row[1]


def quarantine_inputs(tx: Transaction, source: str) -> dict[tuple[str, str, str], str]:
    """(doc_id, stage, index) -> what was refused, for every quarantined document of the source."""
    columns = quarantine.c
    rows = tx.execute(
        sa.select(columns.doc_id, columns.stage, columns.index_name, columns.input).where(
            columns.source == source
        )
    )
    return {(row[0], row[1], row[2]): row[3] for row in rows}


def standing_collection(tx: Transaction, index: str) -> Row | None:
    """The collection of the waiting version, else of the published one, else of the newest; None before any."""
    own = index_versions.c
    waiting = sa.select(own.collection).where(own.index_name == index, own.status.in_(("staging", "staged")))
    published = sa.select(indexes.c.collection).where(indexes.c.index_name == index)
    newest = sa.select(own.collection).where(own.index_name == index).order_by(own.number.desc()).limit(1)
    for statement in (waiting, published, newest):
        name = tx.execute(statement).scalar()
        if name is not None:
            found = rows_of(tx.execute(sa.select(collections).where(collections.c.collection == name)))
            return found[0] if found else None
    return None


def newest_counts(catalog: Catalog, names: Collection[str]) -> list[dict[str, int]]:
    """The values under these names that the newest runs counted, one mapping a run and source."""
    own = sync_counts.c
    statement = (
        sa.select(own.run_id, own.source, own.name, own.value)
        .where(own.name.in_(sorted(names)))
        .order_by(own.at.desc(), own.run_id)
        .limit(HISTORY_ROWS)
    )
    found: dict[tuple[str, str], dict[str, int]] = {}
    with reading(catalog.engine) as tx:
        for run_id, source, name, value in tx.execute(statement):
            found.setdefault((run_id, source), {})[name] = int(value)
    return list(found.values())

"""Rows of collections, index versions and the published pointer; `points.py` has those of the points."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from rag_pipelines.catalog.points import (
    all_point_ids,
    confirm_points,
    count_points,
    current_points,
    dirty_documents,
    intend_points,
    parsed_at,
)
from rag_pipelines.catalog.store import (
    Catalog,
    Row,
    Transaction,
    batches,
    now,
    reading,
    rows_of,
    update_rows,
    upsert,
)
from rag_pipelines.catalog.tables import (
    collections,
    documents,
    index_documents,
    index_versions,
    indexes,
    staging,
)

__all__ = [
    "Pointer",
    "all_point_ids",
    "begin_staging",
    "candidate",
    "collection_of",
    "collection_row",
    "confirm_points",
    "count_points",
    "current_points",
    "dirty_documents",
    "end_staging",
    "forget_documents",
    "intend_points",
    "move_pointer",
    "open_candidate",
    "parsed_at",
    "pointer",
    "pointer_in",
    "refresh_requested",
    "remember_snapshot",
    "request_refresh",
    "save_collection",
    "save_staged",
    "set_version",
    "sources_elsewhere",
    "stage_state",
    "supersede",
    "unfinished_sources",
    "versions_of",
]


@dataclass(frozen=True, slots=True)
class Pointer:
    """What readers of an index see. `generation` grows whenever they must open `snapshot` anew."""

    index: str
    version: int
    collection: str
    snapshot: str
    generation: int


def pointer(catalog: Catalog, index: str) -> Pointer | None:
    """The published pointer of an index, or None before its first publish."""
    with reading(catalog.engine) as tx:
        return pointer_in(tx, index)


def pointer_in(tx: Transaction, index: str) -> Pointer | None:
    """As `pointer`, inside a transaction."""
    row = tx.execute(sa.select(indexes).where(indexes.c.index_name == index)).first()
    return (
        None if row is None else Pointer(index, row.published, row.collection, row.snapshot, row.generation)
    )


def move_pointer(tx: Transaction, index: str, version: int, collection: str, snapshot: str) -> Pointer:
    """Publish: one row changes."""
    row = {
        "index_name": index,
        "published": version,
        "collection": collection,
        "snapshot": snapshot,
        "generation": 1,
        "refresh": False,
        "updated_at": now(),
    }
    moved = ("published", "collection", "snapshot", "refresh", "updated_at")
    upsert(tx, indexes, [row], update=moved, add=("generation",))
    remember_snapshot(tx, collection, snapshot)
    generation = tx.execute(sa.select(indexes.c.generation).where(indexes.c.index_name == index)).scalar_one()
    return Pointer(index, version, collection, snapshot, generation)


def remember_snapshot(tx: Transaction, collection: str, snapshot: str) -> None:
    """The newest snapshot of a collection, after the one that readers may still be leaving."""
    row = collection_row(tx, collection)
    if row is not None and snapshot not in row["snapshots"]:
        kept = [*row["snapshots"], snapshot][-2:]
        tx.execute(
            sa.update(collections).where(collections.c.collection == collection).values(snapshots=kept)
        )


def collection_of(tx: Transaction, index: str, space_fp: str) -> Row | None:
    """The collection of the index that holds this vector space."""
    found = rows_of(
        tx.execute(
            sa.select(collections).where(
                collections.c.index_name == index, collections.c.space_fp == space_fp
            )
        )
    )
    return found[0] if found else None


def save_collection(tx: Transaction, row: Row) -> None:
    """Remember a collection before the engine creates it."""
    upsert(tx, collections, [row], update=())


def versions_of(catalog: Catalog, index: str) -> list[Row]:
    """Every version of the index, newest first."""
    with reading(catalog.engine) as tx:
        return rows_of(
            tx.execute(
                sa.select(index_versions)
                .where(index_versions.c.index_name == index)
                .order_by(index_versions.c.number.desc())
            )
        )


def candidate(tx: Transaction, index: str) -> Row | None:
    """The version that is being staged, or was staged and waits to be published."""
    found = rows_of(
        tx.execute(
            sa.select(index_versions).where(
                index_versions.c.index_name == index, index_versions.c.status.in_(("staging", "staged"))
            )
        )
    )
    return found[0] if found else None


def open_candidate(tx: Transaction, index: str, collection: str, fingerprint: str) -> int:
    """The number that changes are staged under; opens the next version where none is open."""
    row = candidate(tx, index)
    if row is not None:
        if row["status"] == "staged" or row["collection"] != collection:
            set_version(
                tx, index, row["number"], status="staging", collection=collection, fingerprint=fingerprint
            )
        return int(row["number"])
    newest = tx.execute(
        sa.select(sa.func.max(index_versions.c.number)).where(index_versions.c.index_name == index)
    ).scalar()
    number = int(newest or 0) + 1
    tx.execute(
        sa.insert(index_versions).values(
            index_name=index,
            number=number,
            collection=collection,
            status="staging",
            parent=newest,
            fingerprint=fingerprint,
            created_at=now(),
            stats={},
        )
    )
    return number


def set_version(tx: Transaction, index: str, number: int, **values: Any) -> None:
    """Set columns of a version's row."""
    tx.execute(
        sa.update(index_versions)
        .where(index_versions.c.index_name == index, index_versions.c.number == number)
        .values(**values)
    )


def supersede(tx: Transaction, index: str, number: int) -> None:
    """Every published version but this one is no longer live."""
    tx.execute(
        sa.update(index_versions)
        .where(
            index_versions.c.index_name == index,
            index_versions.c.number != number,
            index_versions.c.status == "published",
        )
        .values(status="superseded")
    )


def begin_staging(tx: Transaction, index: str, source: str) -> None:
    """From now on until `end_staging` the candidate holds only part of the source's change."""
    upsert(tx, staging, [{"index_name": index, "source": source, "since": now()}], update=())


def end_staging(tx: Transaction, index: str, source: str) -> None:
    """The source's change is staged as a whole."""
    tx.execute(sa.delete(staging).where(staging.c.index_name == index, staging.c.source == source))


def unfinished_sources(catalog: Catalog, index: str) -> list[str]:
    """Sources whose staging was interrupted."""
    with reading(catalog.engine) as tx:
        rows = tx.execute(sa.select(staging.c.source).where(staging.c.index_name == index))
        return sorted(row[0] for row in rows)


def stage_state(catalog: Catalog, index: str, source: str, shards: Collection[int]) -> list[Row]:
    """Every document of the shards with its place in the index: document columns and `i_` columns."""
    own = index_documents.c
    statement = (
        sa.select(
            *documents.c,
            own.chunked_from.label("i_chunked_from"),
            own.chunk_fp.label("i_chunk_fp"),
            own.chunk_count.label("i_chunk_count"),
            own.collection.label("i_collection"),
            own.staged_key.label("i_staged_key"),
            own.access_key.label("i_access_key"),
        )
        .select_from(index_documents.join(documents, own.doc_id == documents.c.doc_id))
        .where(own.index_name == index, own.source == source, own.shard.in_(shards))
        .order_by(documents.c.doc_id)
    )
    with reading(catalog.engine) as tx:
        return rows_of(tx.execute(statement))


def request_refresh(tx: Transaction, index: str) -> None:
    """Readers must get a new snapshot even without a new version: rights changed."""
    tx.execute(sa.update(indexes).where(indexes.c.index_name == index).values(refresh=True))


def refresh_requested(catalog: Catalog, index: str) -> bool:
    """Whether rights changed that readers do not see yet."""
    with reading(catalog.engine) as tx:
        return bool(tx.execute(sa.select(indexes.c.refresh).where(indexes.c.index_name == index)).scalar())


def sources_elsewhere(catalog: Catalog, index: str, collection: str) -> list[str]:
    """Sources with chunks that were never staged into this collection."""
    own = index_documents.c
    with reading(catalog.engine) as tx:
        rows = tx.execute(
            sa.select(own.source)
            .where(
                own.index_name == index,
                own.chunk_count > 0,
                own.collection.is_distinct_from(collection),
            )
            .distinct()
        )
        return sorted(row[0] for row in rows)


def collection_row(tx: Transaction, collection: str) -> Row | None:
    """One collection."""
    found = rows_of(tx.execute(sa.select(collections).where(collections.c.collection == collection)))
    return found[0] if found else None


def save_staged(tx: Transaction, index: str, rows: Sequence[Row]) -> None:
    """Record (`doc_id`, `collection`, `staged_key`, `access_key`) for staged documents."""
    update_rows(tx, index_documents, rows, index_documents.c.index_name == index)


def forget_documents(tx: Transaction, index: str, doc_ids: Sequence[str]) -> None:
    """Gone documents whose points were taken out need no row in the index any more."""
    for batch in batches(doc_ids):
        tx.execute(
            sa.delete(index_documents).where(
                index_documents.c.index_name == index, index_documents.c.doc_id.in_(batch)
            )
        )

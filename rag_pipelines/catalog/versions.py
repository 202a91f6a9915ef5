"""Rows of index versions, of the published pointer, and of what is hidden from all of its readers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from rag_pipelines.catalog.collection_rows import remember_snapshot
from rag_pipelines.catalog.control_tables import tombstones
from rag_pipelines.catalog.gate_tables import verdicts
from rag_pipelines.catalog.store import Catalog, Row, Transaction, batches, now, reading, rows_of, upsert
from rag_pipelines.catalog.tables import index_versions, indexes


@dataclass(frozen=True, slots=True)
class Pointer:
    """What readers of an index see. `generation` grows whenever they must open `snapshot` anew."""

    index: str
    version: int
    collection: str
    snapshot: str
    generation: int
    pinned: int | None = None


def pointer(catalog: Catalog, index: str) -> Pointer | None:
    """The published pointer of an index, or None before its first publish."""
    with reading(catalog.engine) as tx:
        return _pointer(tx.execute(sa.select(indexes).where(indexes.c.index_name == index)).first(), index)


def pointer_in(tx: Transaction, index: str) -> Pointer | None:
    """As `pointer`, inside a transaction that will move it: nobody else moves it before that ends."""
    held = sa.select(indexes).where(indexes.c.index_name == index).with_for_update()
    return _pointer(tx.execute(held).first(), index)


def _pointer(row: Any, index: str) -> Pointer | None:
    if row is None:
        return None
    return Pointer(index, row.published, row.collection, row.snapshot, row.generation, row.pinned)


def move_pointer(tx: Transaction, index: str, version: int, collection: str, snapshot: str) -> Pointer:
    """Publish: one row changes. A pin stays as it is."""
    row = {
        "index_name": index,
        "published": version,
        "collection": collection,
        "snapshot": snapshot,
        "generation": 1,
        "updated_at": now(),
    }
    moved = ("published", "collection", "snapshot", "updated_at")
    upsert(tx, indexes, [row], update=moved, add=("generation",))
    remember_snapshot(tx, collection, snapshot)
    generation = tx.execute(sa.select(indexes.c.generation).where(indexes.c.index_name == index)).scalar_one()
    return Pointer(index, version, collection, snapshot, generation)


def set_pin(tx: Transaction, index: str, version: int | None) -> None:
    """Hold the index at a version, or let it go."""
    tx.execute(sa.update(indexes).where(indexes.c.index_name == index).values(pinned=version))


def hide(tx: Transaction, index: str, doc_ids: Sequence[str]) -> None:
    """No reader of any version sees these documents from now on; the engine forgets them later."""
    rows = [{"index_name": index, "doc_id": doc_id, "since": now()} for doc_id in doc_ids]
    upsert(tx, tombstones, rows, update=())
    tx.execute(
        sa.update(indexes)
        .where(indexes.c.index_name == index)
        .values(generation=indexes.c.generation + 1, updated_at=now())
    )


def hidden_documents(catalog: Catalog, index: str) -> list[str]:
    """Documents that are hidden and that the engine may still hold."""
    with reading(catalog.engine) as tx:
        rows = tx.execute(sa.select(tombstones.c.doc_id).where(tombstones.c.index_name == index))
        return sorted(row[0] for row in rows)


def view(catalog: Catalog, index: str) -> tuple[Pointer, tuple[str, ...]] | None:
    """The pointer and the hidden documents of one moment, in one statement; None before the first publish."""
    statement = (
        sa.select(indexes, tombstones.c.doc_id.label("hidden"))
        .select_from(indexes.outerjoin(tombstones, tombstones.c.index_name == indexes.c.index_name))
        .where(indexes.c.index_name == index)
    )
    with reading(catalog.engine) as tx:
        rows = tx.execute(statement).all()
    found = _pointer(rows[0], index) if rows else None
    return None if found is None else (found, tuple(sorted(row.hidden for row in rows if row.hidden)))


def unhide(tx: Transaction, index: str, doc_ids: Sequence[str]) -> None:
    """No collection and no snapshot of the index holds these any more."""
    for batch in batches(doc_ids):
        tx.execute(
            sa.delete(tombstones).where(tombstones.c.index_name == index, tombstones.c.doc_id.in_(batch))
        )


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


def newest_number(tx: Transaction, index: str) -> int | None:
    """The greatest number that was ever given out."""
    return tx.execute(
        sa.select(sa.func.max(index_versions.c.number)).where(index_versions.c.index_name == index)
    ).scalar()


def open_candidate(tx: Transaction, index: str, collection: str, fingerprint: str) -> int:
    """The number that changes are staged under; opens the next version where none is open.

    What gates found about the candidate is forgotten: they judge it again once it is complete.
    """
    row = candidate(tx, index)
    if row is not None:
        if row["status"] == "staged" or row["collection"] != collection:
            _forget_verdict(tx, index, row["number"])
            set_version(
                tx, index, row["number"], status="staging", collection=collection, fingerprint=fingerprint
            )
        return int(row["number"])
    newest = newest_number(tx, index)
    number = (newest or 0) + 1
    _forget_verdict(tx, index, number)
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


def _forget_verdict(tx: Transaction, index: str, number: int) -> None:
    """What the gates found is of another content than the version will have."""
    tx.execute(sa.delete(verdicts).where(verdicts.c.index_name == index, verdicts.c.number == number))


def version_row(tx: Transaction, index: str, number: int) -> Row | None:
    """One version."""
    found = rows_of(
        tx.execute(
            sa.select(index_versions).where(
                index_versions.c.index_name == index, index_versions.c.number == number
            )
        )
    )
    return found[0] if found else None


def readable(rows: Sequence[Row]) -> list[Row]:
    """Of the versions, those that were published and are still stored."""
    return [row for row in rows if row["published_at"] is not None and row["status"] != "vacuumed"]


def set_version(tx: Transaction, index: str, number: int, **values: Any) -> None:
    """Set columns of a version's row."""
    tx.execute(
        sa.update(index_versions)
        .where(index_versions.c.index_name == index, index_versions.c.number == number)
        .values(**values)
    )


def supersede(tx: Transaction, index: str, number: int) -> None:
    """This published version is live, every other one no longer."""
    set_version(tx, index, number, status="published")
    tx.execute(
        sa.update(index_versions)
        .where(
            index_versions.c.index_name == index,
            index_versions.c.number != number,
            index_versions.c.status == "published",
        )
        .values(status="superseded")
    )


def request_refresh(tx: Transaction, index: str, wanted: bool = True) -> None:
    """Readers must get new snapshots even without a new version: rights changed, or documents went."""
    tx.execute(sa.update(indexes).where(indexes.c.index_name == index).values(refresh=wanted))


def refresh_requested(catalog: Catalog, index: str) -> bool:
    """Whether rights changed that readers do not see yet."""
    with reading(catalog.engine) as tx:
        return bool(tx.execute(sa.select(indexes.c.refresh).where(indexes.c.index_name == index)).scalar())

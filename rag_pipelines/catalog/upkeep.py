"""Rows that nothing needs any more, and which collections are needed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import sqlalchemy as sa

from rag_pipelines.catalog import collection_rows, versions
from rag_pipelines.catalog.control_tables import latencies, marks, tombstones
from rag_pipelines.catalog.dedup_tables import members
from rag_pipelines.catalog.marks import stage_marks
from rag_pipelines.catalog.store import Catalog, Transaction, batches, reading
from rag_pipelines.catalog.tables import (
    collections,
    documents,
    index_documents,
    index_versions,
    point_documents,
    points,
)
from rag_pipelines.core.types import CURRENT

PAGE = 1000


def needed_collections(
    tx: Transaction, index: str, numbers: Collection[int], sources: Collection[str]
) -> set[str]:
    """Collections of these versions, of the candidate, and those that these sources are staged into now."""
    candidate = versions.candidate(tx, index)
    wanted = {*numbers} if candidate is None else {*numbers, candidate["number"]}
    rows = tx.execute(
        sa.select(index_versions.c.number, index_versions.c.collection).where(
            index_versions.c.index_name == index
        )
    )
    found = {collection for number, collection in rows if number in wanted}
    spaces = {
        fingerprint.split(":")[0]
        for source, shards in stage_marks(tx, "stage", index).items()
        for fingerprint, _ in shards.values()
        if source in sources
    }
    staged = sa.select(collections.c.collection).where(
        collections.c.index_name == index, collections.c.space_fp.in_(spaces)
    )
    return found | {row[0] for row in tx.execute(staged)}


def removable_points(tx: Transaction, collection: str, oldest: int | None) -> list[str]:
    """Some points that no version from `oldest` on shows; None: none of the collection is needed."""
    chosen = points.c.collection == collection
    if oldest is not None:
        chosen &= (points.c.removed <= min(oldest, CURRENT - 1)) & ~points.c.dirty
    return [row[0] for row in tx.execute(sa.select(points.c.point_id).where(chosen).limit(PAGE))]


def forget_points(tx: Transaction, collection: str, ids: Sequence[str]) -> int:
    """Delete the rows of points, and what their documents' points shared where none is left that does; returns that.

    A key is that of one document, so that only the document's own points can refer to it.
    """
    forgotten = 0
    for batch in batches(ids):
        mine = (points.c.collection == collection) & points.c.point_id.in_(batch)
        found = tx.execute(sa.select(points.c.doc_id, points.c.document_key).where(mine).distinct()).all()
        tx.execute(sa.delete(points).where(mine))
        of_documents = points.c.doc_id.in_(sorted({row.doc_id for row in found}))
        used = {row[0] for row in tx.execute(sa.select(points.c.document_key).where(of_documents).distinct())}
        orphans = sorted({row.document_key for row in found if row.document_key} - used)
        tx.execute(sa.delete(point_documents).where(point_documents.c.document_key.in_(orphans)))
        forgotten += len(orphans)
    return forgotten


def forget_orphans(tx: Transaction) -> int:
    """Delete what no point shares any more, looking at every point; returns how much."""
    used = sa.select(points.c.document_key).where(points.c.document_key.is_not(None)).distinct().subquery()
    lonely = (
        sa.select(point_documents.c.document_key)
        .outerjoin(used, used.c.document_key == point_documents.c.document_key)
        .where(used.c.document_key.is_(None))
    )
    keys = [row[0] for row in tx.execute(lonely)]
    for batch in batches(keys):
        tx.execute(sa.delete(point_documents).where(point_documents.c.document_key.in_(batch)))
    return len(keys)


def forget_collection(tx: Transaction, index: str, collection: str) -> None:
    """The collection is gone; what was staged into it has to be staged again should it be asked for again."""
    staged_into = sa.select(collections.c.space_fp).where(collections.c.collection == collection)
    space_fp = tx.execute(staged_into).scalar()
    if space_fp is not None:
        tx.execute(
            sa.delete(marks).where(
                marks.c.stage == "stage",
                marks.c.index_name == index,
                marks.c.fingerprint.startswith(f"{space_fp}:"),
            )
        )
    tx.execute(
        sa.update(index_documents)
        .where(index_documents.c.index_name == index, index_documents.c.collection == collection)
        .values(collection=None, staged_key=None, point_count=0)
    )
    collection_rows.drop_collection(tx, collection)


def forget_gone(tx: Transaction) -> int:
    """Delete the rows of some gone documents that no index, point or pending event refers to; returns how many."""
    doc = documents.c
    # Keys begin with the index: asking for all of them by name is what lets the database use the key.
    names = _index_names(tx)
    referring = (
        sa.select(points.c.point_id).where(points.c.doc_id == doc.doc_id).exists(),
        sa.select(index_documents.c.doc_id)
        .where(index_documents.c.index_name.in_(names), index_documents.c.doc_id == doc.doc_id)
        .exists(),
        sa.select(tombstones.c.doc_id)
        .where(tombstones.c.index_name.in_(names), tombstones.c.doc_id == doc.doc_id)
        .exists(),
        sa.select(members.c.doc_id)
        .where(members.c.index_name.in_(names), members.c.doc_id == doc.doc_id)
        .exists(),
    )
    pending = sa.select(latencies.c.doc_id).where(latencies.c.effective_at.is_(None))
    chosen = sa.select(doc.doc_id).where(
        ~doc.live, *(~part for part in referring), doc.doc_id.not_in(pending)
    )
    ids = [row[0] for row in tx.execute(chosen.limit(PAGE))]
    for batch in batches(ids):
        tx.execute(sa.delete(documents).where(doc.doc_id.in_(batch), ~doc.live))
    return len(ids)


def _index_names(tx: Transaction) -> list[str]:
    """Every index that documents were ever compared, chunked or hidden for, by hops through the key."""
    found: set[str] = set()
    for table in (index_documents, tombstones, members):
        name = ""
        while True:
            least = sa.select(sa.func.min(table.c.index_name)).where(table.c.index_name > name)
            following = tx.execute(least).scalar()
            if following is None:
                break
            name = str(following)
            found.add(name)
    return sorted(found)


def artifact_names(catalog: Catalog) -> Iterator[str]:
    """Names of every artifact that a document or a point of any index refers to; many come more than once."""
    with reading(catalog.engine) as tx:
        for column in (documents.c.raw_hash, documents.c.parsed_hash, points.c.parsed_hash):
            for row in tx.execute(sa.select(column).where(column.is_not(None)).distinct()):
                yield row[0]

"""Rows that a candidate version's data is judged by. What is read follows the change, never the index."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from rag_pipelines.catalog.chunks import COLLAPSED
from rag_pipelines.catalog.control_tables import approval_documents, approvals
from rag_pipelines.catalog.dedup_tables import members
from rag_pipelines.catalog.documents import columns_for
from rag_pipelines.catalog.store import Catalog, Row, batches, reading, rows_of
from rag_pipelines.catalog.tables import (
    documents,
    index_documents,
    points,
    quarantine,
)


@dataclass(frozen=True, slots=True)
class Shown:
    """The points of a collection that one version shows."""

    collection: str
    version: int

    @property
    def condition(self) -> sa.ColumnElement[bool]:
        """Of rows of `points`."""
        own = points.c
        return sa.and_(
            own.collection == self.collection, own.added <= self.version, own.removed > self.version
        )


def changed_documents(catalog: Catalog, shown: Shown, after: int | None) -> dict[str, tuple[str, int]]:
    """Document -> its source, and how many points it gained, of those that gained or lost points.

    `after` is the version that is compared with; None where it lies in another collection, and all is new.
    """
    own = points.c
    columns = (own.doc_id, own.source)
    mine = own.collection == shown.collection
    if after is None:
        came = sa.select(*columns, sa.func.count()).where(shown.condition)
        went = None
    else:
        came = sa.select(*columns, sa.func.count()).where(mine, own.added > after, own.added <= shown.version)
        went = sa.select(*columns).where(mine, own.removed > after, own.removed <= shown.version).distinct()
    with reading(catalog.engine) as tx:
        found = {row[0]: (row[1], row[2]) for row in tx.execute(came.group_by(*columns))}
        if went is not None:
            for doc_id, source in tx.execute(went):
                found.setdefault(doc_id, (source, 0))
    return found


def uncut_documents(catalog: Catalog, index: str, sources: Collection[str], limit: int) -> dict[str, str]:
    """Document -> source, of those among each source's last touched that were cut into no chunk at all."""
    own, doc = index_documents.c, documents.c
    found: dict[str, str] = {}
    with reading(catalog.engine) as tx:
        for source in sources:
            last = (
                sa.select(doc.doc_id)
                .where(doc.source == source)
                .order_by(doc.touched.desc())
                .limit(limit)
                .subquery()
            )
            statement = (
                sa.select(own.doc_id)
                .join(last, last.c.doc_id == own.doc_id)
                .where(
                    own.index_name == index,
                    own.chunk_count == 0,
                    own.chunked_from.is_not(None),
                    own.chunk_fp != COLLAPSED,
                )
            )
            found |= dict.fromkeys((row[0] for row in tx.execute(statement)), source)
    return found


def document_states(
    catalog: Catalog, index: str, doc_ids: Sequence[str], tenant: str | None = None
) -> dict[str, Row]:
    """The columns of `documents`, and `representative`: the document that stands for it where it is collapsed.

    For an index of one `tenant` documents of others are not `live`.
    """
    own = index_documents.c
    collapsed = own.chunk_fp == COLLAPSED
    statement = (
        sa.select(
            *columns_for(tenant), sa.case((collapsed, members.c.representative)).label("representative")
        )
        .select_from(documents)
        .outerjoin(index_documents, sa.and_(own.doc_id == documents.c.doc_id, own.index_name == index))
        .outerjoin(members, sa.and_(members.c.doc_id == documents.c.doc_id, members.c.index_name == index))
    )
    return {row["doc_id"]: row for row in _of_each(catalog, statement, documents.c.doc_id, doc_ids)}


def points_shown(catalog: Catalog, shown: Shown, doc_ids: Sequence[str]) -> dict[str, list[Row]]:
    """Document -> its rows of `points` in the version, in the order of the text."""
    found: dict[str, list[Row]] = {}
    statement = sa.select(points).where(shown.condition)
    for row in _of_each(catalog, statement, points.c.doc_id, doc_ids):
        found.setdefault(row["doc_id"], []).append(row)
    for rows in found.values():
        rows.sort(key=lambda row: (row["chunk"] or {}).get("ordinal", 0))
    return found


def sampled_points(catalog: Catalog, shown: Shown, limit: int, start: str) -> list[Row]:
    """Up to `limit` points of the version, from `start` on in the order of ids, which are hashes.

    Columns: source, doc_id, embed_hash, document_key, ordinal.
    """
    own = points.c
    columns = (own.source, own.doc_id, own.embed_hash, own.document_key, own.chunk)
    statement = sa.select(*columns).where(shown.condition).order_by(own.point_id)
    found: list[Row] = []
    with reading(catalog.engine) as tx:
        for part in (own.point_id >= start, own.point_id < start):
            if len(found) < limit:
                found += rows_of(tx.execute(statement.where(part).limit(limit - len(found))))
    return found


def few_points(catalog: Catalog, shown: Shown, source: str, limit: int) -> list[Row]:
    """As `sampled_points`, of a source too small for a sample of the whole version to show it; in any order."""
    own = points.c
    columns = (own.source, own.doc_id, own.embed_hash, own.document_key, own.chunk)
    with reading(catalog.engine) as tx:
        return rows_of(
            tx.execute(sa.select(*columns).where(shown.condition, own.source == source).limit(limit))
        )


def cluster_mates(
    catalog: Catalog, index: str, doc_ids: Sequence[str], limit: int
) -> dict[str, dict[str, tuple[str, str]]]:
    """Document -> up to so many documents of its near-duplicate cluster, as (parsed text, uri)."""
    own, doc = members.c, documents.c
    clusters = sa.select(own.doc_id, own.cluster).where(own.index_name == index)
    cluster_of = {row["doc_id"]: row["cluster"] for row in _of_each(catalog, clusters, own.doc_id, doc_ids)}
    mates = (
        sa.select(own.cluster, doc.doc_id, doc.parsed_hash, doc.uri)
        .join(documents, doc.doc_id == own.doc_id)
        .where(own.index_name == index, doc.live, doc.parsed_hash.is_not(None))
    )
    found: dict[str, dict[str, tuple[str, str]]] = {}
    for row in _of_each(catalog, mates, own.cluster, sorted({*cluster_of.values()})):
        of_cluster = found.setdefault(row["cluster"], {})
        if len(of_cluster) <= limit:
            of_cluster[row["doc_id"]] = (row["parsed_hash"], row["uri"])
    return {
        doc_id: found[cluster] for doc_id, cluster in cluster_of.items() if len(found.get(cluster, ())) > 1
    }


def raw_names(catalog: Catalog, doc_ids: Sequence[str]) -> dict[str, str | None]:
    """The name of each document's bytes."""
    columns = sa.select(documents.c.doc_id, documents.c.raw_hash)
    return {row["doc_id"]: row["raw_hash"] for row in _of_each(catalog, columns, documents.c.doc_id, doc_ids)}


def quarantined_counts(catalog: Catalog, index: str, since: str) -> dict[str, int]:
    """Source -> documents refused after this moment, by its own stages or by those of the index."""
    statement = (
        sa.select(quarantine.c.source, sa.func.count(sa.distinct(quarantine.c.doc_id)))
        .where(quarantine.c.index_name.in_(("", index)), quarantine.c.since > since)
        .group_by(quarantine.c.source)
    )
    with reading(catalog.engine) as tx:
        return {row[0]: row[1] for row in tx.execute(statement)}


def approved_deletions(catalog: Catalog, since: str) -> dict[str, int]:
    """Source -> documents whose deletion a person approved after this moment."""
    statement = (
        sa.select(approvals.c.source, sa.func.count(sa.distinct(approval_documents.c.doc_id)))
        .join(approval_documents, approval_documents.c.approval_id == approvals.c.id)
        .where(approvals.c.status == "approved", approvals.c.decided_at > since)
        .group_by(approvals.c.source)
    )
    with reading(catalog.engine) as tx:
        return {row[0]: row[1] for row in tx.execute(statement)}


def _of_each(
    catalog: Catalog, statement: sa.Select[Any], column: sa.ColumnElement[Any], ids: Sequence[str]
) -> Iterator[Row]:
    with reading(catalog.engine) as tx:
        for batch in batches(ids):
            yield from rows_of(tx.execute(statement.where(column.in_(batch))))

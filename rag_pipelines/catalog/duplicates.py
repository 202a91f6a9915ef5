"""Rows of documents that are compared with others of an index: their clusters and representatives."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa

from rag_pipelines.catalog.dedup_tables import members
from rag_pipelines.catalog.documents import columns_for
from rag_pipelines.catalog.store import Catalog, Row, Transaction, batches, reading, rows_of, upsert
from rag_pipelines.catalog.tables import documents, quarantine

T = TypeVar("T")
logger = logging.getLogger(__name__)

COLLAPSE = "collapse"
"""The policy under which a duplicate is not indexed."""

RIGHTS = ("tenant", "classification", "acl", "revised_at")
FACTS = ("doc_id", "source", "live", "parsed_hash", "metadata")
SHOWN = ("uri", "title", "link", *RIGHTS)


def documents_in(catalog: Catalog, source: str, shard: int) -> list[str]:
    """Every document of the shard, live or gone."""
    statement = sa.select(documents.c.doc_id).where(documents.c.source == source, documents.c.shard == shard)
    with reading(catalog.engine) as tx:
        return [row[0] for row in tx.execute(statement)]


def facts_of(tx: Transaction, index: str, doc_ids: Sequence[str], tenant: str | None = None) -> list[Row]:
    """Text and metadata of these documents; `refused` where the index could not cut the text.

    For an index of one `tenant` documents of others are not `live`.
    """
    of_cutting = sa.and_(
        quarantine.c.doc_id == documents.c.doc_id,
        quarantine.c.stage == "chunk",
        quarantine.c.index_name == index,
        sa.func.substr(quarantine.c.input, 1, 64) == documents.c.parsed_hash,
    )
    refused = sa.select(quarantine.c.doc_id).where(of_cutting).exists().label("refused")
    facts = [column for column in columns_for(tenant) if column.name in FACTS]
    statement = sa.select(*facts, refused)
    return [
        row
        for batch in batches(doc_ids)
        for row in rows_of(tx.execute(statement.where(documents.c.doc_id.in_(batch))))
    ]


def asked(catalog: Catalog, read: Callable[[Transaction], T], otherwise: T) -> T:
    """What `read` finds in a transaction of its own; `otherwise`, with a warning, where the database cannot be reached.

    For answers: they are complete without the copies of what they cite.
    """
    try:
        with reading(catalog.engine) as tx:
            return read(tx)
    except sa.exc.OperationalError as error:
        logger.warning("the catalog cannot be asked for copies, answers list none: %s", error.orig)
        return otherwise


def members_by_document(tx: Transaction, index: str, doc_ids: Collection[str]) -> dict[str, Row]:
    """The member rows of these documents, for those that take part."""
    found: dict[str, Row] = {}
    for batch in batches(sorted(doc_ids)):
        statement = sa.select(members).where(members.c.index_name == index, members.c.doc_id.in_(batch))
        found |= {row["doc_id"]: row for row in rows_of(tx.execute(statement))}
    return found


def members_by_text(tx: Transaction, index: str, texts: Collection[str]) -> list[Row]:
    """The members that have one of the texts, with the rights and age of their documents."""
    found: list[Row] = []
    for batch in batches(sorted(texts)):
        found += _with_documents(tx, index, members.c.parsed_hash.in_(batch), RIGHTS)
    return found


def save_members(tx: Transaction, rows: Sequence[Row]) -> None:
    """Insert or overwrite."""
    upsert(tx, members, rows)


def forget_members(tx: Transaction, index: str, doc_ids: Sequence[str]) -> None:
    """These take part no more."""
    for batch in batches(doc_ids):
        tx.execute(sa.delete(members).where(members.c.index_name == index, members.c.doc_id.in_(batch)))


def sources_of(tx: Transaction, doc_ids: Collection[str]) -> dict[str, list[str]]:
    """Source -> those of the documents that are its own."""
    found: dict[str, list[str]] = {}
    for batch in batches(sorted(doc_ids)):
        statement = sa.select(documents.c.source, documents.c.doc_id).where(documents.c.doc_id.in_(batch))
        for source, doc_id in tx.execute(statement):
            found.setdefault(source, []).append(doc_id)
    return found


def collapsed_texts(tx: Transaction, index: str, doc_ids: Collection[str]) -> dict[str, str]:
    """Document -> the text with which it is collapsed into another, for those that are."""
    return {
        doc_id: row["parsed_hash"]
        for doc_id, row in members_by_document(tx, index, doc_ids).items()
        if is_collapsed(row)
    }


def is_collapsed(member: Mapping[str, object]) -> bool:
    """Whether the document is left out of the index for the sake of its representative."""
    return member["policy"] == COLLAPSE and member["representative"] != member["doc_id"]


def collapsed_condition(index: str) -> sa.ColumnElement[bool]:
    """Whether a row of `documents` is collapsed into another document of the index, with its present text."""
    own = members.c
    return (
        sa.select(own.doc_id)
        .where(
            own.index_name == index,
            own.doc_id == documents.c.doc_id,
            own.parsed_hash == documents.c.parsed_hash,
            own.policy == COLLAPSE,
            own.representative != own.doc_id,
        )
        .exists()
    )


def standing_with(
    tx: Transaction,
    index: str,
    rows: Collection[Row],
    most: int,
    tiers: Collection[str] | None = None,
    granted: Collection[str] | None = None,
) -> dict[str, list[Row]]:
    """Representative of these members -> it and the live documents that it stands for, with their rights.

    At most `most` of each, the most similar to it first, then by source and uri; only those classified as one
    of `tiers` and whose acl has one of `granted`, where these are given.
    """
    own = members.c
    nearest = (own.similarity.desc(), own.source, documents.c.uri, own.doc_id)
    place = sa.func.row_number().over(partition_by=own.representative, order_by=nearest).label("place")
    readable: list[sa.ColumnElement[bool]] = [documents.c.live]
    if tiers is not None:
        readable.append(documents.c.classification.in_(sorted(tiers)))
    if granted is not None:
        readable.append(_has_any(tx, documents.c.acl, granted))
    found: dict[str, list[Row]] = {}
    for batch in batches(sorted({(row["cluster"], row["representative"]) for row in rows})):
        clusters, representatives = (sorted(set(side)) for side in zip(*batch, strict=True))
        mine = (own.index_name == index) & own.cluster.in_(clusters) & own.representative.in_(representatives)
        placed = sa.select(own.doc_id, place).join(documents, documents.c.doc_id == own.doc_id)
        first = placed.where(mine, *readable).subquery()
        chosen = own.doc_id.in_(sa.select(first.c.doc_id).where(first.c.place <= most))
        for row in _with_documents(tx, index, chosen, SHOWN):
            found.setdefault(row["representative"], []).append(row)
    return found


def _has_any(tx: Transaction, column: sa.Column[Any], values: Collection[str]) -> sa.ColumnElement[bool]:
    """Whether a list in JSON has one of the values."""
    sqlite = tx.dialect.name == "sqlite"
    entries = sa.func.json_each(column) if sqlite else sa.func.json_array_elements_text(column)
    entry = entries.table_valued("value")
    return sa.select(entry.c.value).where(entry.c.value.in_(sorted(values))).correlate(documents).exists()


def cluster_of(catalog: Catalog, index: str, doc_id: str) -> list[Row]:
    """Every member of the document's cluster, the cluster's first choice first; empty where it takes no part."""
    with reading(catalog.engine) as tx:
        own = members_by_document(tx, index, [doc_id]).get(doc_id)
        if own is None:
            return []
        rows = _with_documents(tx, index, members.c.cluster == own["cluster"], SHOWN)
    return sorted(rows, key=lambda row: (row["doc_id"] != row["cluster"], str(row["uri"])))


def count_duplicates(catalog: Catalog, index: str, source: str | None = None) -> dict[str, int]:
    """`duplicates` (documents that another one stands for) and the `collapsed` ones of them."""
    own = members.c
    mine = (own.index_name == index) & (own.representative != own.doc_id)
    if source is not None:
        mine &= own.source == source
    collapsed = sa.func.sum(sa.case((own.policy == COLLAPSE, 1), else_=0))
    with reading(catalog.engine) as tx:
        row = tx.execute(sa.select(sa.func.count(), collapsed).where(mine)).one()
    return {"duplicates": row[0], "collapsed": int(row[1] or 0)}


def _with_documents(
    tx: Transaction, index: str, condition: sa.ColumnElement[bool], columns: Sequence[str]
) -> list[Row]:
    statement = (
        sa.select(members, *(documents.c[name] for name in columns))
        .join(documents, documents.c.doc_id == members.c.doc_id)
        .where(members.c.index_name == index, condition)
        .order_by(members.c.doc_id)
    )
    return rows_of(tx.execute(statement))

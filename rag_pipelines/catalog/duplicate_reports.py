"""What people ask about duplicates: totals a source, the largest clusters, their sizes, and samples."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence

import sqlalchemy as sa

from rag_pipelines.catalog.dedup_tables import members
from rag_pipelines.catalog.duplicates import COLLAPSE
from rag_pipelines.catalog.store import Catalog, Row, reading, rows_of
from rag_pipelines.catalog.tables import documents, quarantine

BAR = 30
"""Characters of the longest bar of a histogram."""

_OWN = members.c
_DUPLICATE = _OWN.representative != _OWN.doc_id
_COLLAPSED = _DUPLICATE & (_OWN.policy == COLLAPSE)


def totals_by_source(catalog: Catalog, index: str) -> dict[str, dict[str, int]]:
    """Source -> its documents that were `compared`, `duplicates` among them, and of those `collapsed` and `marked`."""
    statement = (
        sa.select(_OWN.source, sa.func.count(), _number_of(_DUPLICATE), _number_of(_COLLAPSED))
        .where(_OWN.index_name == index)
        .group_by(_OWN.source)
        .order_by(_OWN.source)
    )
    with reading(catalog.engine) as tx:
        rows = tx.execute(statement).all()
    return {
        row[0]: {
            "compared": row[1],
            "duplicates": int(row[2]),
            "collapsed": int(row[3]),
            "marked": int(row[2] - row[3]),
        }
        for row in rows
    }


def compared_by_shard(catalog: Catalog, index: str, sources: Collection[str]) -> dict[tuple[str, int], int]:
    """(source, shard) -> documents of the sources that were compared."""
    statement = (
        sa.select(documents.c.source, documents.c.shard, sa.func.count())
        .join(members, members.c.doc_id == documents.c.doc_id)
        .where(_OWN.index_name == index, documents.c.source.in_(sources))
        .group_by(documents.c.source, documents.c.shard)
    )
    with reading(catalog.engine) as tx:
        return {(row[0], row[1]): row[2] for row in tx.execute(statement)}


def cluster_sizes(catalog: Catalog, index: str, source: str | None = None) -> list[tuple[int, int]]:
    """(documents, clusters of so many), smallest first; of clusters with a document of `source`, if given.

    A cluster is two or more documents that near-duplicate pairs connect, whether or not one stands for another.
    """
    sizes = _sizes(index, source).subquery()
    statement = sa.select(sizes.c.documents, sa.func.count()).group_by(sizes.c.documents)
    with reading(catalog.engine) as tx:
        return sorted((row[0], row[1]) for row in tx.execute(statement))


def size_histogram(sizes: Iterable[tuple[int, int]]) -> list[tuple[str, int]]:
    """(range of sizes, clusters) for 2, 3, 4, 5-8, 9-16 and so on, up to the last range that has some."""
    found: dict[int, int] = {}
    for each, clusters in sizes:
        top = each if each <= 4 else 1 << (each - 1).bit_length()
        found[top] = found.get(top, 0) + clusters
    tops = [2, 3, 4]
    while tops[-1] < max(found, default=0):
        tops.append(tops[-1] * 2)
    return [
        (str(top) if top <= 4 else f"{top // 2 + 1}-{top}", found.get(top, 0))
        for top in tops
        if top <= max(found, default=0)
    ]


def bars(counts: Sequence[int]) -> list[str]:
    """A bar for each count, to scale with the greatest; every count above 0 shows something."""
    return ["█" * math.ceil(BAR * count / max(counts)) if count else "" for count in counts]


def largest_clusters(catalog: Catalog, index: str, limit: int, source: str | None = None) -> list[Row]:
    """The clusters of most documents, with `uri` and `source` of their first choice.

    `indexed` are the documents that are not collapsed; `least_similarity`, of a duplicate to its representative,
    is None where nobody stands for another.
    """
    chosen = _sizes(index, source).order_by(sa.desc("documents"), _OWN.cluster).limit(limit).subquery()
    first = documents.alias("first")
    statement = (
        sa.select(
            _OWN.cluster,
            first.c.uri,
            first.c.source,
            chosen.c.documents,
            sa.func.count(sa.distinct(_OWN.source)).label("sources"),
            (chosen.c.documents - _number_of(_COLLAPSED)).label("indexed"),
            sa.func.min(sa.case((_DUPLICATE, _OWN.similarity))).label("least_similarity"),
        )
        .join(chosen, chosen.c.cluster == _OWN.cluster)
        .join(first, first.c.doc_id == _OWN.cluster)
        .where(_OWN.index_name == index)
        .group_by(_OWN.cluster, first.c.uri, first.c.source, chosen.c.documents)
        .order_by(chosen.c.documents.desc(), _OWN.cluster)
    )
    with reading(catalog.engine) as tx:
        return [{**row, "indexed": int(row["indexed"])} for row in rows_of(tx.execute(statement))]


def sample_pairs(catalog: Catalog, index: str, limit: int) -> list[Row]:
    """Documents and their representatives, the least similar first: there a threshold too low shows itself."""
    own, other = documents.alias("own"), documents.alias("other")
    statement = (
        sa.select(
            own.c.uri,
            own.c.source,
            other.c.uri.label("representative"),
            other.c.source.label("representative_source"),
            _OWN.similarity,
            _OWN.policy,
        )
        .join(own, own.c.doc_id == _OWN.doc_id)
        .join(other, other.c.doc_id == _OWN.representative)
        .where(_OWN.index_name == index, _DUPLICATE)
        .order_by(_OWN.similarity, _OWN.doc_id)
        .limit(limit)
    )
    with reading(catalog.engine) as tx:
        return rows_of(tx.execute(statement))


def refusals(catalog: Catalog, index: str, doc_id: str) -> list[Row]:
    """Why the document could not be read, or not be cut for this index: rows of the quarantine."""
    statement = sa.select(quarantine).where(
        quarantine.c.doc_id == doc_id, quarantine.c.index_name.in_(("", index))
    )
    with reading(catalog.engine) as tx:
        return rows_of(tx.execute(statement))


def _sizes(index: str, source: str | None) -> sa.Select[tuple[str, int]]:
    """Reads the index on clusters alone."""
    of_index = _OWN.index_name == index
    if source is not None:
        theirs = members.alias()
        of_source = sa.select(theirs.c.cluster).where(theirs.c.index_name == index, theirs.c.source == source)
        of_index &= _OWN.cluster.in_(of_source)
    return (
        sa.select(_OWN.cluster, sa.func.count().label("documents"))
        .where(of_index)
        .group_by(_OWN.cluster)
        .having(sa.func.count() > 1)
    )


def _number_of(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
    return sa.func.sum(sa.case((condition, 1), else_=0))

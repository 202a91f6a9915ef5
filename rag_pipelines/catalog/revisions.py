"""What has to stay the same for an answer of an index to stay the right one."""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sa

from rag_pipelines.catalog.store import Catalog, reading
from rag_pipelines.catalog.tables import indexes, sources

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Revision:
    """Of an index and of the rights in it; another one whenever what somebody may read could be another.

    `generation` grows with every publish, rollback, hidden document and refresh of readers. `changes` grows as soon
    as a listing writes down that a document of one of the sources came, changed, went, or has other rights.
    `changing` is true while something is written in place, and stays true if that was cut short: nothing that was
    read before may be shown then, and nothing that is read now may be kept.
    """

    version: int
    generation: int
    changes: int
    changing: bool


def revision(catalog: Catalog, index: str, names: Collection[str]) -> Revision | None:
    """The present one, given the names of the index's sources; None where nothing is published.

    None too, with a warning, where the database cannot be reached.
    """
    changes = sa.select(sa.func.coalesce(sa.func.sum(sources.c.tick), 0)).where(
        sources.c.source.in_(sorted(names))
    )
    statement = sa.select(
        indexes.c.published, indexes.c.generation, indexes.c.refresh, changes.scalar_subquery()
    ).where(indexes.c.index_name == index)
    try:
        with reading(catalog.engine) as tx:
            row = tx.execute(statement).first()
    except sa.exc.OperationalError as error:
        logger.warning("the catalog cannot be asked for the revision of index %s: %s", index, error.orig)
        return None
    return None if row is None else Revision(row[0], row[1], int(row[3]), bool(row[2]))

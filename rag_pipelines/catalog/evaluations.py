"""What runs of suites measured; the rankings themselves lie in the folder that `run` names."""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa

from rag_pipelines.catalog.evaluation_tables import evaluations
from rag_pipelines.catalog.store import Catalog, Row, Transaction, batches, reading, rows_of


def save_evaluation(tx: Transaction, row: Row) -> int:
    """Remember a run and return its number; a run that is known already keeps its number and its row.

    `row` has every column but `id`.
    """
    own = evaluations.c
    known = tx.execute(sa.select(own.id).where(own.run == row["run"])).scalar()
    if known is not None:
        return int(known)
    return int(tx.execute(sa.insert(evaluations).values(**row).returning(own.id)).scalar_one())


def known_runs(catalog: Catalog, runs: Collection[str]) -> set[str]:
    """Which of these runs have a row."""
    found: set[str] = set()
    with reading(catalog.engine) as tx:
        for batch in batches(sorted(runs)):
            chosen = sa.select(evaluations.c.run).where(evaluations.c.run.in_(batch))
            found.update(tx.execute(chosen).scalars())
    return found


def evaluation(catalog: Catalog, number: int) -> Row | None:
    """One run by its number, or None."""
    with reading(catalog.engine) as tx:
        found = rows_of(tx.execute(sa.select(evaluations).where(evaluations.c.id == number)))
    return found[0] if found else None


def list_evaluations(
    catalog: Catalog, suite: str | None = None, index: str | None = None, limit: int = 20
) -> list[Row]:
    """The newest runs by the moment they began, of one suite or index where that is given."""
    own = evaluations.c
    statement = sa.select(evaluations).order_by(own.started_at.desc(), own.id.desc()).limit(limit)
    if suite is not None:
        statement = statement.where(own.suite == suite)
    if index is not None:
        statement = statement.where(own.index_name == index)
    with reading(catalog.engine) as tx:
        return rows_of(tx.execute(statement))

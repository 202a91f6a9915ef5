"""Verdicts of release gates, and who published in spite of one."""

from __future__ import annotations

from typing import Literal

import sqlalchemy as sa

from rag_pipelines.catalog.gate_tables import gate_overrides, verdicts
from rag_pipelines.catalog.store import Catalog, Row, Transaction, now, reading, rows_of, upsert

GateState = Literal["passed", "refused", "overridden"]


def save_verdict(tx: Transaction, row: Row) -> None:
    """What the gates found about a version, in place of what they found before."""
    upsert(tx, verdicts, [row])


def verdict_in(tx: Transaction, index: str, number: int) -> Row | None:
    """The verdict about a version, None where it was never judged as it is now."""
    chosen = (verdicts.c.index_name == index) & (verdicts.c.number == number)
    found = rows_of(tx.execute(sa.select(verdicts).where(chosen)))
    return found[0] if found else None


def verdicts_of(catalog: Catalog, index: str) -> dict[int, Row]:
    """Number -> verdict, with `override` where somebody published in spite of it."""
    with reading(catalog.engine) as tx:
        rows = rows_of(tx.execute(sa.select(verdicts).where(verdicts.c.index_name == index)))
    last = {row["number"]: row for row in overrides_of(catalog, index)}
    return {row["number"]: {**row, "override": last.get(row["number"])} for row in rows}


def record_override(tx: Transaction, index: str, number: int, by: str, reason: str, refused: str) -> None:
    """Somebody publishes a version that its gates refused. Never changed afterwards."""
    tx.execute(
        sa.insert(gate_overrides).values(
            index_name=index, number=number, at=now(), by=by, reason=reason, refused=refused
        )
    )


def overrides_of(catalog: Catalog, index: str) -> list[Row]:
    """Who published which version against its gates, when and why; oldest first."""
    chosen = gate_overrides.c.index_name == index
    with reading(catalog.engine) as tx:
        return rows_of(tx.execute(sa.select(gate_overrides).where(chosen).order_by(gate_overrides.c.id)))


def gate_state(row: Row | None) -> GateState | None:
    """`passed`, `refused` or `overridden` for a row of `verdicts_of`; None where no gate was asked."""
    if row is None:
        return None
    if row["passed"]:
        return "passed"
    return "overridden" if row["override"] is not None else "refused"

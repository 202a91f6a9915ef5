"""Counts what is asked of the catalog's database, and shows how the database answers it."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import sqlalchemy as sa

from rag_pipelines.catalog.tables import metadata

STEP = 50
"""SQLite says after so many instructions of its virtual machine that it is still working."""

ALLOWED, ALLOWED_A_ROW = 1_000, 100
"""Rows that a part of Postgres's plan may look at, and for each that the statement names, reads or writes.

A hundred rows in sequence cost it as much as one that it looks up, so it reads a small table whole for many ids.
"""

PARTIAL = frozenset(
    str(index.name)
    for table in metadata.sorted_tables
    for index in table.indexes
    if index.dialect_options["sqlite"]["where"] is not None
)
"""Indexes of the few rows of which something is out of the ordinary: reading one whole is what it is for."""

_SPACE = re.compile(r"\s+")
_PLACE = r"(?:\?|%\(\w+\)s)"
_LIST = re.compile(rf"\({_PLACE}(?:, {_PLACE})*\)(?:, \({_PLACE}(?:, {_PLACE})*\))*")
_SKIPPED = ("BEGIN", "PRAGMA", "SAVEPOINT", "RELEASE", "SELECT pg_")


def shape(sql: str) -> str:
    """The statement without line breaks and with lists of any length alike."""
    return _LIST.sub("(...)", _SPACE.sub(" ", sql)).strip()


@dataclass(slots=True)
class Tally:
    """Of one statement in one stage; `steps` are thousands of SQLite's instructions."""

    calls: int = 0
    given: int = 0
    read: int = 0
    written: int = 0
    steps: float = 0.0
    seconds: float = 0.0
    example: tuple[str, Any] = ("", ())

    def add(self, other: Tally) -> None:
        """Both together."""
        for name in ("calls", "given", "read", "written", "steps", "seconds"):
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass
class Ledger:
    """Statements by stage and shape; set `stage` before the work begins."""

    stage: str = ""
    entries: dict[tuple[str, str], Tally] = field(default_factory=dict)
    ticks: int = 0

    def entry(self, sql: str) -> Tally:
        """Of the present stage."""
        return self.entries.setdefault((self.stage, shape(sql)), Tally())

    def of_stage(self, stage: str) -> dict[str, Tally]:
        """Shape -> tally, of statements that read or write rows."""
        return {sql: tally for (own, sql), tally in self.entries.items() if own == stage}

    def total(self, stage: str) -> Tally:
        """All of a stage."""
        total = Tally()
        for tally in self.of_stage(stage).values():
            total.add(tally)
        return total


class _Cursor(sqlite3.Cursor):
    """Times itself and counts what is fetched."""

    entry: Tally
    ledger: Ledger

    @contextmanager
    def _working(self) -> Iterator[None]:
        ticks, began = self.ledger.ticks, time.perf_counter()
        try:
            yield
        finally:
            self.entry.seconds += time.perf_counter() - began
            self.entry.steps += (self.ledger.ticks - ticks) * STEP / 1000

    def execute(self, sql: str, parameters: Any = (), /) -> Self:
        with self._working():
            return super().execute(sql, parameters)

    def executemany(self, sql: str, parameters: Any, /) -> Self:
        with self._working():
            return super().executemany(sql, parameters)

    def fetchone(self) -> Any:
        with self._working():
            row = super().fetchone()
        self.entry.read += row is not None
        return row

    def fetchmany(self, size: int | None = 1) -> list[Any]:
        with self._working():
            rows = super().fetchmany(size)
        self.entry.read += len(rows)
        return rows

    def fetchall(self) -> list[Any]:
        with self._working():
            rows = super().fetchall()
        self.entry.read += len(rows)
        return rows


@contextmanager
def recorded(engine: sa.Engine) -> Iterator[Ledger]:
    """Within the block every statement of the engine is in the ledger."""
    ledger = Ledger()
    listeners = [
        ("before_cursor_execute", _before(ledger)),
        ("after_cursor_execute", _after(ledger)),
    ]
    if engine.dialect.name == "sqlite":
        listeners.append(("do_connect", _connect(ledger)))
    engine.dispose()
    for name, function in listeners:
        sa.event.listen(engine, name, function)
    try:
        yield ledger
    finally:
        for name, function in listeners:
            sa.event.remove(engine, name, function)
        engine.dispose()


def _connect(ledger: Ledger) -> Any:
    def tick() -> int:
        ledger.ticks += 1
        return 0

    class Cursor(_Cursor):
        def __init__(self, connection: sqlite3.Connection) -> None:
            super().__init__(connection)
            self.ledger = ledger
            self.entry = Tally()

    class Connection(sqlite3.Connection):
        def cursor(self, factory: Any = Cursor) -> Any:
            return super().cursor(factory)

    def connect(_dialect: Any, _record: Any, arguments: Any, options: dict[str, Any]) -> Any:
        connection = sqlite3.connect(*arguments, factory=Connection, **options)
        connection.set_progress_handler(tick, STEP)
        return connection

    return connect


def _before(ledger: Ledger) -> Any:
    def before(
        _connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, executemany: bool
    ) -> None:
        if statement.startswith(_SKIPPED):
            return
        entry = ledger.entry(statement)
        entry.calls += 1
        first = parameters[0] if executemany and isinstance(parameters, list) else parameters
        entry.given += len(parameters)
        if not entry.example[0]:
            entry.example = (statement, first)
        if isinstance(cursor, _Cursor):
            cursor.entry = entry
        else:
            context.began = time.perf_counter()

    return before


def _after(ledger: Ledger) -> Any:
    def after(
        _connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, executemany: bool
    ) -> None:
        if statement.startswith(_SKIPPED):
            return
        entry = ledger.entry(statement)
        reads = cursor.description is not None
        if reads and not isinstance(cursor, _Cursor):
            entry.read += max(cursor.rowcount, 0)
        if not statement.startswith("SELECT"):
            # psycopg2 tells the count of the last of several alone.
            told = not isinstance(parameters, list) or isinstance(cursor, _Cursor)
            entry.written += max(cursor.rowcount, 0) if told else len(parameters)
        if not isinstance(cursor, _Cursor):
            entry.seconds += time.perf_counter() - context.began

    return after


@dataclass(frozen=True, slots=True)
class Plan:
    """How the database answers a statement; `faults` say what grows with the table instead of with the answer."""

    lines: tuple[str, ...]
    faults: tuple[str, ...]

    @property
    def of_few(self) -> bool:
        """Whether it goes through what is out of the ordinary, of which there is no more than vacuum leaves."""
        return any(PARTIAL & set(line.split()) for line in self.lines)


def explain(engine: sa.Engine, tally: Tally, large: Mapping[str, int]) -> Plan:
    """The plan of the statement with its first parameters; `large` are tables that must not be read whole.

    On Postgres the statement is run for that, and undone.
    """
    explained = _explain_sqlite if engine.dialect.name == "sqlite" else _explain_postgres
    with engine.connect() as connection:
        undone = connection.begin()
        try:
            return explained(connection, tally, large)
        finally:
            undone.rollback()


def explainable(sql: str) -> bool:
    """Whether there is anything to choose: an INSERT of given values has no plan.

    The head of the audit log is one row, and refuses to be moved back by a statement that is run again.
    """
    return sql.startswith(("SELECT", "UPDATE", "DELETE", "WITH")) and not sql.startswith("UPDATE audit_head")


def _explain_sqlite(connection: sa.Connection, tally: Tally, large: Mapping[str, int]) -> Plan:
    sql, parameters = tally.example
    rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", parameters).all()
    lines = tuple(str(row[3]) for row in rows)
    faults = tuple(
        f"{line} ({large[name]:,} rows)"
        for line in lines
        if line.startswith("SCAN ") and (name := line.split()[1]) in large and not PARTIAL & set(line.split())
    )
    return Plan(lines, faults)


def _explain_postgres(connection: sa.Connection, tally: Tally, large: Mapping[str, int]) -> Plan:
    sql, parameters = tally.example
    options = "ANALYZE, TIMING OFF, COSTS OFF, FORMAT JSON"
    found = connection.exec_driver_sql(f"EXPLAIN ({options}) {sql}", parameters).scalar_one()
    lines: list[str] = []
    faults: list[str] = []
    allowed = ALLOWED + (tally.given + tally.read + tally.written) / max(tally.calls, 1) * ALLOWED_A_ROW
    for depth, node in _nodes(found[0]["Plan"], 0):
        table, index, kind = node.get("Relation Name", ""), node.get("Index Name", ""), node["Node Type"]
        times = node["Actual Loops"]
        dropped = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
        looked = round((node["Actual Rows"] + dropped) * times)
        named = " ".join(part for part in (kind, table, index) if part)
        lines.append(
            f"{'  ' * depth}{named} rows={looked - round(dropped * times)} dropped={round(dropped * times)}"
        )
        if looked > allowed and (table in large or index) and index not in PARTIAL:
            faults.append(f"{named} looks at {looked:,} rows")
    return Plan(tuple(lines), tuple(faults))


def _nodes(node: Mapping[str, Any], depth: int) -> Iterator[tuple[int, Mapping[str, Any]]]:
    yield depth, node
    for child in node.get("Plans", ()):
        yield from _nodes(child, depth + 1)

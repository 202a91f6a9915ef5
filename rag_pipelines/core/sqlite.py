"""SQLite files that several processes open at once."""

from __future__ import annotations

import sqlite3

import tenacity


def use_write_ahead_log(connection: sqlite3.Connection, timeout: float = 60.0) -> None:
    """Switch the file to write-ahead logging, waiting up to `timeout` seconds for those who are at it too.

    The switch of a new file is the one statement for which SQLite does not wait by itself: of two
    processes that open it at the same moment, one is told that it is locked.

    Raises:
        sqlite3.OperationalError: The file cannot be written, or is still locked after the time.
    """
    tenacity.Retrying(
        retry=tenacity.retry_if_exception(_busy),
        wait=tenacity.wait_random_exponential(multiplier=0.005, max=0.25),
        stop=tenacity.stop_after_delay(timeout),
        reraise=True,
    )(connection.execute, "PRAGMA journal_mode=WAL")


def _busy(error: BaseException) -> bool:
    return (
        isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
    )

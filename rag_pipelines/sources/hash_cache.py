"""Content hashes remembered by stat, so that a listing reads only what was written since the last one."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from rag_pipelines.core.errors import SourceError
from rag_pipelines.core.sqlite import use_write_ahead_log

_SETTLED_NS = 2_000_000_000
_BATCH = 1000


class HashCache:
    """path -> (stat token, hash) in one SQLite file; safe between processes, rebuilt when damaged.

    A file written within two seconds of being hashed is hashed again next time: within the clock tick
    of its file system a second write can leave the same stat.
    """

    def __init__(self, path: Path, clock_ns: Callable[[], int] = time.time_ns) -> None:
        self._path = path
        self._clock = clock_ns
        self._pending: list[tuple[str, str, str]] = []
        self._seen = 0
        self._db = self._open()

    def get(self, path: str, stat: str) -> str | None:
        """The hash of the file if it has not been written since it was stored."""
        self._seen += 1
        row = self._db.execute("SELECT hash FROM hashes WHERE path = ? AND stat = ?", (path, stat)).fetchone()
        return str(row[0]) if row else None

    def put(self, path: str, stat: str, changed_ns: int, digest: str, started_ns: int) -> None:
        """Remember; `started_ns` is when the hashing began."""
        if started_ns - changed_ns < _SETTLED_NS:
            return
        self._pending.append((path, stat, digest))
        if len(self._pending) >= _BATCH:
            self._write()

    def now_ns(self) -> int:
        """The clock that `started_ns` is measured by."""
        return self._clock()

    def finish(self) -> None:
        """After a complete listing: store the rest, and start over where most rows are of files long gone."""
        self._write()
        rows = self._db.execute("SELECT count(*) FROM hashes").fetchone()[0]
        if rows > 2 * self._seen + _BATCH:
            with self._db:
                self._db.execute("DELETE FROM hashes")

    def close(self) -> None:
        """Store what is pending and close the file."""
        try:
            self._write()
        finally:
            self._db.close()

    def _write(self) -> None:
        rows, self._pending = self._pending, []
        if rows:
            with self._db:
                self._db.executemany("INSERT OR REPLACE INTO hashes VALUES (?, ?, ?)", rows)

    def _open(self) -> sqlite3.Connection:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            try:
                return self._connect()
            except sqlite3.OperationalError:
                raise
            except sqlite3.DatabaseError:
                for suffix in ("", "-wal", "-shm", "-journal"):
                    Path(f"{self._path}{suffix}").unlink(missing_ok=True)
                return self._connect()
        except (OSError, sqlite3.OperationalError) as error:
            raise SourceError(
                f"cannot write the hash cache {self._path}: {error}; make its folder writable or free some disk"
            ) from error

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=60, check_same_thread=False)
        try:
            use_write_ahead_log(connection)
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.execute(
                "CREATE TABLE IF NOT EXISTS hashes (path TEXT PRIMARY KEY, stat TEXT, hash TEXT) WITHOUT ROWID"
            )
            connection.execute("SELECT path, stat, hash FROM hashes LIMIT 1")
        except sqlite3.Error:
            connection.close()
            raise
        return connection

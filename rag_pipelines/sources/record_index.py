"""Where each record of the last listing lies, on disk so that a million of them cost no memory."""

from __future__ import annotations

import sqlite3
import tempfile
from dataclasses import dataclass
from pathlib import Path

from rag_pipelines.core.errors import SourceError

_BATCH = 5000


@dataclass(frozen=True, slots=True, order=True)
class Location:
    """`row` counts lines (or rows of Parquet) from 1; `offset` is in bytes of the decompressed file."""

    file: int
    row: int
    offset: int


class RecordIndex:
    """uri -> location. Its file has no name, so that nothing is left behind."""

    def __init__(self, work_dir: Path) -> None:
        try:
            work_dir.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(prefix="records-", dir=work_dir) as file:
                self._db = sqlite3.connect(file.name, check_same_thread=False, isolation_level=None)
                self._db.execute("PRAGMA journal_mode=OFF")
                self._db.execute("PRAGMA synchronous=OFF")
                self._db.execute(
                    "CREATE TABLE records (uri TEXT, file INTEGER, line INTEGER, offset INTEGER)"
                )
        except (OSError, sqlite3.Error) as error:
            raise _unwritable(work_dir, error) from error
        self._work_dir = work_dir
        self._pending: list[tuple[str, int, int, int]] = []

    def add(self, uri: str, at: Location) -> None:
        """Remember where the record is."""
        self._pending.append((uri, at.file, at.row, at.offset))
        if len(self._pending) >= _BATCH:
            self._write()

    def finish(self) -> tuple[str, Location, Location] | None:
        """After the last record: None, or a uri that two of them share."""
        self._write()
        try:
            self._db.execute("CREATE UNIQUE INDEX by_uri ON records (uri)")
        except sqlite3.IntegrityError:
            (uri,) = self._db.execute(
                "SELECT uri FROM records GROUP BY uri HAVING count(*) > 1 LIMIT 1"
            ).fetchone()
            rows = self._db.execute(
                "SELECT file, line, offset FROM records WHERE uri = ? ORDER BY rowid LIMIT 2", (uri,)
            ).fetchall()
            return str(uri), Location(*rows[0]), Location(*rows[1])
        except sqlite3.Error as error:
            raise _unwritable(self._work_dir, error) from error
        return None

    def find(self, uri: str) -> Location | None:
        """Where the record was listed."""
        row = self._db.execute("SELECT file, line, offset FROM records WHERE uri = ?", (uri,)).fetchone()
        return Location(*row) if row else None

    def close(self) -> None:
        """Give the disk space back."""
        self._db.close()

    def _write(self) -> None:
        rows, self._pending = self._pending, []
        try:
            self._db.execute("BEGIN")
            self._db.executemany("INSERT INTO records VALUES (?, ?, ?, ?)", rows)
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            raise _unwritable(self._work_dir, error) from error


def _unwritable(work_dir: Path, error: Exception) -> SourceError:
    return SourceError(
        f"cannot write the record index in {work_dir}: {error}; make it writable or free some disk"
    )

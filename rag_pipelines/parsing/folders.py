"""Temporary folders of workers: each is locked while its owner lives, so that what a killed one left can be told."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from pathlib import Path

_PREFIX = "rag-sandbox-"
_YOUNGEST_SECONDS = 60.0


class LockedFolder:
    """A temporary folder that `remove_abandoned` of any process leaves alone until `remove`.

    On a file system without locks it is never taken for abandoned, as nobody can lock it there.
    """

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX))
        self._lock = os.open(self.path, os.O_RDONLY)
        with contextlib.suppress(OSError):
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def remove(self) -> None:
        """Delete it with what is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def remove_abandoned() -> None:
    """Delete folders of this user that nobody holds: the kernel gives up a lock with the last process that has it.

    Process ids would tell less, as containers that share a folder do not share them. A folder younger than a
    minute may be about to be locked.
    """
    newest = time.time() - _YOUNGEST_SECONDS
    with os.scandir(tempfile.gettempdir()) as entries:
        found = [entry.path for entry in entries if entry.name.startswith(_PREFIX)]
    for path in found:
        _remove_if_abandoned(path, newest)


def _remove_if_abandoned(path: str, newest: float) -> None:
    """A folder that cannot be opened or locked belongs to somebody, or is gone already."""
    try:
        lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return
    try:
        status = os.fstat(lock)
        if status.st_uid == os.geteuid() and status.st_mtime < newest:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path, ignore_errors=True)
    except OSError:
        return
    finally:
        os.close(lock)

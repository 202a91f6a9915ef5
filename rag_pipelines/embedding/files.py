"""Files that several processes share: hashes remembered by stat, atomic writes, and a lock."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path


def sha256_of(path: Path, cache_dir: Path | None = None) -> str:
    """SHA-256 of a file in hex, hashed again only when its size, inode or modification time changed.

    With `cache_dir` the answer survives the process, so that a start does not read 90 MB for nothing; a
    folder that cannot be written to costs only that.
    """
    path = path.resolve()
    stat = path.stat()
    stamp = (stat.st_size, stat.st_mtime_ns, stat.st_ino)
    if cache_dir is None:
        return _hash(path, stamp)
    entry = cache_dir / "hashes" / f"{hashlib.sha256(str(path).encode()).hexdigest()[:32]}.json"
    try:
        known = json.loads(entry.read_text())
        if tuple(known["stamp"]) == stamp and known["path"] == str(path):
            return str(known["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    digest = _hash(path, stamp)
    with suppress(OSError):
        write_atomically(entry, json.dumps({"path": str(path), "stamp": stamp, "sha256": digest}).encode())
    return digest


@lru_cache(maxsize=256)
def _hash(path: Path, stamp: tuple[int, int, int]) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_atomically(path: Path, data: bytes) -> None:
    """Write a small file so that a reader sees the old one or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock between processes; the kernel drops it when the holder dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield

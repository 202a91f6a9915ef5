"""Files of the embedded engine: locks, copies that are whole or absent, and the space a collection has."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import shutil
import socket
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import msgspec

from rag_pipelines.core.errors import EngineError
from rag_pipelines.core.faults import fault_point
from rag_pipelines.core.types import VectorSpace

RESERVE_BYTES = 256 * 2**20
"""Free space that writing leaves alone: the engine maps sparse files, and a full disk kills the process."""

_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$")
_FICLONE = 0x40049409
_TRASH = ".trash-"
_PARTIAL = ".partial-"


@dataclass(frozen=True, slots=True)
class CollectionFiles:
    """Where one collection keeps what it has, below the engine's root."""

    directory: Path

    @property
    def shard(self) -> Path:
        """What the one writer opens."""
        return self.directory / "writer"

    @property
    def space(self) -> Path:
        """The vector space; written last, so a collection exists once this file does."""
        return self.directory / "space.json"

    @property
    def lock(self) -> Path:
        """Held by the writer; its text names the holder."""
        return self.directory / "writer.lock"

    @property
    def snapshots(self) -> Path:
        """Copies for readers, one directory a token."""
        return self.directory / "snapshots"


def collection_files(root: Path, collection: str) -> CollectionFiles:
    """The files of a collection; raises EngineError for a name that is not a plain file name."""
    return CollectionFiles(root / checked_name(collection, "collection"))


def checked_name(name: str, what: str) -> str:
    """The name itself, or EngineError where it could leave its directory."""
    if not _NAME.match(name):
        raise EngineError(f"{what} {name!r} is not a name of letters, digits, _, - and dots")
    return name


class WriterLock:
    """One process writes. The kernel drops the lock with the process, so a dead holder never blocks."""

    def __init__(self, path: Path) -> None:
        """Take the lock or raise EngineError (transient) that names the holder."""
        self._path = path
        self._fd = _lock(path)
        holder = {"pid": os.getpid(), "host": socket.gethostname(), "command": _command()}
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, json.dumps(holder).encode(), 0)

    def release(self) -> None:
        """Let the next writer in; nothing happens the second time."""
        if self._fd >= 0:
            os.ftruncate(self._fd, 0)
            os.close(self._fd)
            self._fd = -1


def _lock(path: Path) -> int:
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.exists(path) and os.path.samestat(os.fstat(fd), os.stat(path)):
                return fd
        except BlockingIOError as error:
            holder = _holder(os.pread(fd, 4096, 0))
            os.close(fd)
            raise EngineError(
                f"collection {path.parent.name} is being written by {holder}; wait until it has finished, "
                "or end that process",
                transient=True,
            ) from error
        os.close(fd)


def _holder(text: bytes) -> str:
    try:
        holder = json.loads(text)
        return f"process {holder['pid']} on {holder['host']} ({holder['command']})"
    except (ValueError, KeyError, TypeError):
        return "a process that just started"


def _command() -> str:
    return " ".join([Path(sys.executable).name, *sys.argv])[:300]


def read_space(files: CollectionFiles) -> VectorSpace | None:
    """The collection's vector space; None where the collection does not exist."""
    try:
        return msgspec.json.decode(files.space.read_bytes(), type=VectorSpace)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise EngineError(f"{files.space} is damaged: {error}; drop the collection and reindex") from error


def write_whole(path: Path, data: bytes) -> None:
    """Replace a file so that it is either the old one or the new one, also after a power cut."""
    partial = path.with_name(f"{_PARTIAL}{path.name}-{os.getpid()}")
    with open(partial, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)
    sync_directory(path.parent)


def write_space(files: CollectionFiles, space: VectorSpace) -> None:
    """Record the vector space durably."""
    write_whole(files.space, msgspec.json.encode(space))


def require_room(directory: Path, needed: int) -> None:
    """Raise EngineError unless this many bytes and the reserve are free."""
    free = shutil.disk_usage(directory).free
    if free < needed + RESERVE_BYTES:
        raise EngineError(
            f"{directory} has {free / 2**20:.0f} MiB free and {(needed + RESERVE_BYTES) / 2**20:.0f} MiB are "
            "needed; free some space or move RAG_HOME to a larger disk"
        )


def allocated_bytes(directory: Path) -> int:
    """Disk space that the files below take, holes not counted."""
    return sum(path.stat().st_blocks * 512 for path in directory.rglob("*") if path.is_file())


def copy_tree(source: Path, target: Path, *, without: frozenset[str] = frozenset()) -> None:
    """Copy a directory; sharing blocks where the file system can, and keeping holes where it cannot.

    `without` names entries of the top level that are left out. Not durable until `sync_tree`.
    """
    target.mkdir()
    for entry in os.scandir(source):
        if entry.name in without:
            continue
        if entry.is_dir(follow_symlinks=False):
            copy_tree(Path(entry.path), target / entry.name)
        else:
            _copy_file(entry.path, target / entry.name)
            fault_point("engine.file_copied")


def _copy_file(source: str, target: Path) -> None:
    with open(source, "rb") as reader, open(target, "wb") as writer:
        try:
            fcntl.ioctl(writer.fileno(), _FICLONE, reader.fileno())
        except OSError:
            _copy_extents(reader.fileno(), writer.fileno())


def _copy_extents(source: int, target: int) -> None:
    size = os.fstat(source).st_size
    os.ftruncate(target, size)
    at = 0
    while at < size:
        try:
            at = os.lseek(source, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return
            raise
        end = os.lseek(source, at, os.SEEK_HOLE)
        while at < end:
            data = os.pread(source, min(end - at, 4 * 2**20), at)
            if not data:
                raise EngineError("a file shrank while it was copied; another program writes to this index")
            written = 0
            while written < len(data):
                written += os.pwrite(target, data[written:], at + written)
            at += len(data)


def sync_tree(directory: Path) -> None:
    """Make every file and directory below durable; several at once, so that one journal commit serves many."""
    paths = [directory, *directory.rglob("*")]
    with ThreadPoolExecutor(max_workers=8) as pool:
        for _ in pool.map(sync_directory, paths):
            pass


def sync_directory(path: Path) -> None:
    """Make one directory, or file, durable."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def partial_path(parent: Path, name: str) -> Path:
    """Where something is made before it is renamed into place."""
    return parent / f"{_PARTIAL}{name}-{os.getpid()}"


def remove_tree(directory: Path) -> None:
    """Delete a directory at once for everybody who looks for it, then its files.

    A reader that opens it at this moment may still put a file there; what is left goes with the next
    `sweep`.
    """
    trash = directory.with_name(f"{_TRASH}{uuid.uuid4().hex}")
    try:
        os.rename(directory, trash)
    except FileNotFoundError:
        return
    fault_point("engine.trashed")
    shutil.rmtree(trash, ignore_errors=True)


def sweep(parent: Path) -> None:
    """Delete what a killed process left half made or half deleted. Only for the holder of the lock."""
    if parent.is_dir():
        for entry in list(parent.iterdir()):
            if entry.name.startswith((_TRASH, _PARTIAL)):
                if entry.is_dir():
                    shutil.rmtree(entry, ignore_errors=True)
                else:
                    entry.unlink(missing_ok=True)

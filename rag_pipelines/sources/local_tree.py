"""A folder of this machine: every file once, symbolic links and devices with a reason."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path

from rag_pipelines.core.errors import SourceError
from rag_pipelines.core.types import Excluded
from rag_pipelines.sources.entries import Entry
from rag_pipelines.sources.globs import JUNK_FOLDERS, JUNK_REASON

Ancestors = tuple[tuple[int, int], ...]


class LocalTree:
    """Walks with scandir. A folder that cannot be read raises: its files must not look deleted."""

    parallel = 1

    def __init__(self, root: Path, follow_symlinks: bool) -> None:
        self._root = root
        self._follow = follow_symlinks
        self._real = os.path.realpath(root)

    def walk(self) -> Iterator[Entry | Excluded]:
        """Files of a folder before its subfolders, by name; checks at the end that the root is the same."""
        self._real = os.path.realpath(self._root)
        before = self._root_identity()
        pending: list[tuple[str, Ancestors]] = [("", (before,))]
        while pending:
            folder, ancestors = pending.pop()
            subfolders: list[tuple[str, Ancestors]] = []
            for entry in self._scan(folder):
                path = f"{folder}/{entry.name}" if folder else entry.name
                found = self._classify(entry, path, ancestors)
                if isinstance(found, tuple):
                    subfolders.append((path, found))
                elif found is not None:
                    yield found
            pending.extend(reversed(subfolders))
        if self._root_identity() != before:
            raise SourceError(
                f"folder {self._root} was replaced while it was listed; the next sync lists it again",
                transient=True,
            )

    def stat(self, path: str) -> Entry:
        """The file as it is now; raises OSError where it is not a regular file inside the root."""
        with self._open(path) as handle:
            return local_entry(path, os.fstat(handle.fileno()))

    def read(self, path: str) -> bytes:
        """Its bytes."""
        with self._open(path) as handle:
            return handle.read()

    def digest(self, path: str) -> str:
        """SHA-256 of its bytes in hex."""
        with self._open(path) as handle:
            return hashlib.file_digest(handle, "sha256").hexdigest()

    def link(self, path: str) -> str:
        """A file:// URL."""
        return (self._root / path).as_uri()

    def close(self) -> None:
        """Nothing stays open."""

    def _root_identity(self) -> tuple[int, int]:
        try:
            found = os.stat(self._root)
        except FileNotFoundError as error:
            raise SourceError(
                f"folder {self._root} does not exist; create it or correct `url` in the source's configuration"
            ) from error
        if not stat.S_ISDIR(found.st_mode):
            raise SourceError(
                f"{self._root} is not a folder; set `url` to the folder that holds it and name it under `include`"
            )
        return found.st_dev, found.st_ino

    def _scan(self, folder: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(os.path.join(self._root, folder)) as found:
                return sorted(found, key=lambda entry: entry.name)
        except (FileNotFoundError, NotADirectoryError):
            return []  # it went away since its parent was listed: its files are gone indeed

    def _classify(
        self, entry: os.DirEntry[str], path: str, ancestors: Ancestors
    ) -> Entry | Excluded | Ancestors | None:
        """A file, a reason, the ancestors of a subfolder to walk, or None for what has just vanished."""
        if not _is_text(path):
            return Excluded(
                path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"), NOT_UTF8
            )
        try:
            if entry.is_symlink():
                return self._follow_link(path, ancestors)
            found = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            return None
        if entry.name in JUNK_FOLDERS and stat.S_ISDIR(found.st_mode):
            return Excluded(path, JUNK_REASON)
        return _by_kind(path, found, ancestors)

    def _follow_link(self, path: str, ancestors: Ancestors) -> Entry | Excluded | Ancestors:
        target = os.path.realpath(os.path.join(self._root, path))
        if not _inside(target, self._real):
            return Excluded(path, "symbolic link that leads out of the root")
        try:
            found = os.stat(target)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ELOOP):
                raise
            return Excluded(path, "symbolic link to nothing")
        if not self._follow:
            return Excluded(
                path, "symbolic link; its target is listed itself (follow_symlinks: true reads both)"
            )
        if not JUNK_FOLDERS.isdisjoint(os.path.relpath(target, self._real).split("/")):
            return Excluded(path, JUNK_REASON)
        if (found.st_dev, found.st_ino) in ancestors:
            return Excluded(path, "symbolic link to a folder that contains it")
        return _by_kind(path, found, ancestors)

    def _open(self, path: str) -> BufferedReader:
        """Open for reading; a path that leads out of the root, or to a pipe that would block, is refused."""
        full = os.path.join(self._root, path)
        target = os.path.realpath(full)
        if not _inside(target, self._real) or (not self._follow and target != os.path.join(self._real, path)):
            raise FileNotFoundError(errno.ENOENT, "is not below the root, or a symbolic link now", path)
        descriptor = os.open(target, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
        handle = os.fdopen(descriptor, "rb")
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            handle.close()
            raise FileNotFoundError(errno.ENOENT, "is not a regular file any more", path)
        return handle


NOT_UTF8 = "its name is not valid UTF-8; rename it"


def _by_kind(path: str, found: os.stat_result, ancestors: Ancestors) -> Entry | Excluded | Ancestors:
    if stat.S_ISDIR(found.st_mode):
        return (*ancestors, (found.st_dev, found.st_ino))
    if stat.S_ISREG(found.st_mode):
        return local_entry(path, found)
    return Excluded(path, "not a regular file (device, socket or pipe)")


def _is_text(path: str) -> bool:
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _inside(target: str, root: str) -> bool:
    return target == root or target.startswith(root.rstrip("/") + "/")


def local_entry(path: str, found: os.stat_result) -> Entry:
    """What `stat` tells of a file."""
    return Entry(
        path=path,
        size=found.st_size,
        modified_ns=found.st_mtime_ns,
        stat=f"{found.st_size}-{found.st_mtime_ns}-{found.st_ctime_ns}-{found.st_ino}",
        changed_ns=max(found.st_ctime_ns, found.st_mtime_ns),
    )

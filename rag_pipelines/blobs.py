"""Content-addressed artifacts (raw bytes, parsed documents) on local disk or any fsspec store."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import msgspec
import zstandard

from rag_pipelines.core.errors import BlobError
from rag_pipelines.core.faults import fault_point
from rag_pipelines.core.types import ParsedDocument

_NAME = re.compile(r"[0-9a-f]{64}")
_RAW, _ZSTD = b"r", b"z"
_LEVEL = 3
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class BlobStore:
    """Blobs named by the SHA-256 of their content, in folders `ab/cd/`, compressed where that helps.

    Safe for several threads and processes: equal content gives an equal name, and a write is whole or
    not there.
    """

    def __init__(self, disk: LocalDisk | RemoteDisk, url: str) -> None:
        self._disk = disk
        self.url = url

    def put(self, data: bytes) -> str:
        """Its name. What is stored already is verified instead of written again, and mended if damaged."""
        name = hashlib.sha256(data).hexdigest()
        try:
            self.get(name)
        except BlobError:
            stored = zstandard.ZstdCompressor(level=_LEVEL).compress(data)
            framed = _ZSTD + stored if len(stored) < len(data) else _RAW + data
            with self._failures("written", name):
                self._disk.write(_path(name), framed)
        return name

    def get(self, name: str) -> bytes:
        """The content; raises BlobError where it is missing, torn or damaged."""
        with self._failures("read", name):
            try:
                framed = self._disk.read(_path(name))
            except FileNotFoundError as error:
                raise BlobError(
                    f"blob {name} is not in {self.url}; sync its source again to fetch it anew, or restore a backup"
                ) from error
        data = _unframe(framed)
        if data is None or hashlib.sha256(data).hexdigest() != name:
            raise BlobError(
                f"blob {name} in {self.url} is torn or damaged; storing the same content again mends it: "
                "sync its source again, and check the disk"
            )
        return data

    def exists(self, name: str) -> bool:
        """Whether it is stored; `get` alone tells whether it is sound."""
        return self.size(name) is not None

    def size(self, name: str) -> int | None:
        """Bytes that it takes in the store, compressed; None where it is not there."""
        with self._failures("looked up", name):
            try:
                return self._disk.size(_path(name))
            except FileNotFoundError:
                return None

    def delete(self, name: str) -> None:
        """Nothing happens where it is not there."""
        with self._failures("deleted", name):
            self._disk.delete(_path(name))

    def iterate(self) -> Iterator[str]:
        """The names of all blobs, in any order."""
        try:
            for path in self._disk.paths():
                name = path.replace("/", "")
                if _NAME.fullmatch(name) and path == _path(name):
                    yield name
        except Exception as error:
            raise BlobError(f"blobs in {self.url} cannot be listed: {_advice(error)}") from error

    def remove_leftovers(self, older_than_seconds: float = 24 * 3600) -> int:
        """Remove what writers that were killed left behind; how many files. Never touches a blob."""
        return self._disk.remove_leftovers(time.time() - older_than_seconds)

    def put_parsed(self, document: ParsedDocument) -> str:
        """Store as canonical JSON, so that equal documents have one name."""
        return self.put(encode_parsed(document))

    def get_parsed(self, name: str) -> ParsedDocument:
        """What `put_parsed` stored."""
        try:
            return msgspec.json.decode(self.get(name), type=ParsedDocument)
        except msgspec.DecodeError as error:
            raise BlobError(
                f"blob {name} in {self.url} is not a parsed document: {error}; parse it again"
            ) from error

    def check(self) -> str:
        """Write, read and delete a probe; one line for `doctor`. Raises BlobError where one fails."""
        name = self.put(b"probe " + secrets.token_bytes(16))
        try:
            self.get(name)
        finally:
            self.delete(name)
        return f"blobs: {self.url} can be written, read and deleted"

    @contextlib.contextmanager
    def _failures(self, verb: str, name: str) -> Iterator[None]:
        """Turns what the store raises into a BlobError that says what to do."""
        try:
            yield
        except BlobError:
            raise
        except Exception as error:
            path = _path(name)
            raise BlobError(f"blob {path} in {self.url} could not be {verb}: {_advice(error)}") from error


class LocalDisk:
    """A folder. Writes go to `tmp/`, are flushed to disk and renamed, so that no reader sees a part."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, path: str) -> bytes:
        """All of it; FileNotFoundError where it is not there."""
        return (self._root / path).read_bytes()

    def write(self, path: str, data: bytes) -> None:
        """All or nothing, durable on return."""
        target = self._root / path
        temporary = self._root / "tmp" / f"{os.getpid()}-{secrets.token_hex(8)}"
        _make_folder(temporary.parent, self._root)
        _make_folder(target.parent, self._root)
        try:
            with temporary.open("xb") as handle:
                handle.write(data)
                handle.flush()
                os.fsync(handle.fileno())
            fault_point("blob.written")
            temporary.replace(target)
            fault_point("blob.named")
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _sync_folder(target.parent)

    def delete(self, path: str) -> None:
        """Nothing happens where it is not there."""
        (self._root / path).unlink(missing_ok=True)

    def size(self, path: str) -> int:
        """In bytes, as stored."""
        return (self._root / path).stat().st_size

    def paths(self) -> Iterator[str]:
        """Every stored path."""
        for outer in _names(self._root):
            for inner in _names(self._root / outer):
                yield from (f"{outer}/{inner}/{name}" for name in _names(self._root / outer / inner))

    def remove_leftovers(self, before: float) -> int:
        """Remove temporary files last written before this time, in seconds since 1970; how many."""
        removed = 0
        for name in _names(self._root / "tmp"):
            file = self._root / "tmp" / name
            with contextlib.suppress(FileNotFoundError):
                if file.stat().st_mtime < before:
                    file.unlink()
                    removed += 1
        return removed


class RemoteDisk:
    """The same on an fsspec file system; one object is one PUT, which object stores keep whole."""

    def __init__(self, filesystem: Any, root: str) -> None:
        self._fs = filesystem
        self._root = root

    def read(self, path: str) -> bytes:
        return bytes(self._fs.cat_file(self._full(path)))

    def write(self, path: str, data: bytes) -> None:
        self._fs.pipe_file(self._full(path), data)

    def delete(self, path: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._fs.rm_file(self._full(path))

    def size(self, path: str) -> int:
        return int(self._fs.info(self._full(path))["size"])

    def paths(self) -> Iterator[str]:
        prefix = f"{self._root}/" if self._root else ""
        for found in self._fs.find(self._root):
            yield str(found).removeprefix(prefix).lstrip("/")

    def remove_leftovers(self, before: float) -> int:
        return 0

    def _full(self, path: str) -> str:
        return f"{self._root}/{path}" if self._root else path


def open_blobs(url: str, **storage_options: Any) -> BlobStore:
    """The store at a path, `file://` URL or any fsspec URL; nothing is written until the first `put`."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return BlobStore(LocalDisk(Path(url).expanduser().absolute()), url)
    if scheme in ("file", "local"):
        return BlobStore(LocalDisk(Path(unquote(rest.removeprefix("localhost"))).absolute()), url)
    try:
        from fsspec.core import url_to_fs

        filesystem, root = url_to_fs(url, use_listings_cache=False, **storage_options)
    except Exception as error:
        raise BlobError(f"blob store {url} cannot be opened: {_advice(error)}") from error
    return BlobStore(RemoteDisk(filesystem, str(root).rstrip("/")), url)


def encode_parsed(document: ParsedDocument) -> bytes:
    """Canonical JSON: the name of a stored document is the hash of this."""
    try:
        return msgspec.json.encode(document, order="deterministic")
    except (UnicodeEncodeError, TypeError) as error:
        raise BlobError(f"parsed document is not JSON: {error}; the parser has to mend it") from error


def _path(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise BlobError(f"{name!r} is not the name of a blob; names are SHA-256 in hex")
    return f"{name[:2]}/{name[2:4]}/{name[4:]}"


def _unframe(framed: bytes) -> bytes | None:
    if framed[:1] == _RAW:
        return framed[1:]
    if framed[:1] != _ZSTD:
        return None
    with contextlib.suppress(zstandard.ZstdError, MemoryError):
        return zstandard.ZstdDecompressor().decompress(framed[1:])
    return None


def _advice(error: Exception) -> str:
    said = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, OSError) and error.errno in _NO_SPACE:
        return f"{said}; free some disk, or point RAG_BLOBS_URL at a larger one"
    if isinstance(error, PermissionError) or getattr(error, "errno", None) == errno.EROFS:
        return f"{said}; give this process the right to write there, or set RAG_BLOBS_URL"
    if isinstance(error, FileNotFoundError):
        return f"{said}; create it (a bucket is not created here), or set RAG_BLOBS_URL"
    if isinstance(error, ImportError):
        return f"{said}; install the package it names into this environment"
    return f"{said}; check RAG_BLOBS_URL, the credentials, and that the store can be reached"


def _make_folder(folder: Path, root: Path) -> None:
    """With its parents; each new one is flushed into its parent, or a power cut could lose the whole branch."""
    if folder.is_dir():
        return
    if folder != root:
        _make_folder(folder.parent, root)
    folder.mkdir(parents=True, exist_ok=True)
    _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _names(folder: Path) -> list[str]:
    """Sorted; none where the folder is not there (yet, or any more) or is a file."""
    try:
        return sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []

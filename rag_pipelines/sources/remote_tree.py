"""Any other fsspec file system: object stores, archives, memory, servers."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

from rag_pipelines.core.errors import SourceError
from rag_pipelines.core.types import Excluded
from rag_pipelines.sources.entries import Entry
from rag_pipelines.sources.failures import retry
from rag_pipelines.sources.globs import JUNK_FOLDERS, JUNK_REASON

_ETAG_KEYS = (
    "ETag",
    "etag",
    "e_tag",
    "md5Hash",
    "content_md5",
    "md5",
    "crc32c",
    "sha256",
    "sha",
    "CRC",
    "generation",
)
_TIME_KEYS = ("LastModified", "last_modified", "mtime", "modified", "updated", "timeModified", "date_time")
_FLAT = frozenset({"s3", "s3a", "gs", "gcs"})
_BLOCK = 2**20


class RemoteTree:
    """Lists with `ls`, folder by folder, or `find` where an object store lists flat.

    The general `find` and `walk` of fsspec leave out folders that fail; `ls` raises.
    """

    def __init__(self, url: str, connect: Callable[[], tuple[Any, str]]) -> None:
        self._url = url
        self._connect = connect
        self._fs: Any = None
        self._root = ""
        self.parallel = 1

    def walk(self) -> Iterator[Entry | Excluded]:
        """In the order of paths where the store lists flat, else folder by folder."""
        fs = self._open(fresh=True)
        protocols = (fs.protocol,) if isinstance(fs.protocol, str) else tuple(fs.protocol)
        infos = self._flat(fs) if _FLAT.intersection(protocols) else self._folders(fs)
        for info in infos:
            path = self._relative(str(info["name"]))
            if path is None:
                yield Excluded(str(info["name"]), "lies outside the root")
            elif info["type"] == "directory":
                yield Excluded(path, JUNK_REASON)
            else:
                yield _entry(path, info)

    def stat(self, path: str) -> Entry:
        """The file as it is now."""
        return _entry(path, self._open().info(self._full(path)))

    def read(self, path: str) -> bytes:
        """Its bytes."""
        return bytes(self._open().cat_file(self._full(path)))

    def digest(self, path: str) -> str:
        """SHA-256 of its bytes in hex."""
        total = hashlib.sha256()
        with self._open().open(self._full(path), "rb") as handle:
            while block := handle.read(_BLOCK):
                total.update(block)
        return total.hexdigest()

    def link(self, path: str) -> str:
        """The full URL; of a chained URL, the path goes after its first link."""
        first, *rest = self._url.split("::")
        first = first if "://" in first else f"{first}://"
        joined = first + path if first.endswith("/") else f"{first}/{path}"
        return "::".join([joined, *rest])

    def close(self) -> None:
        """Forget the connection; fsspec closes it with its last reference."""
        self._fs = None

    def _open(self, *, fresh: bool = False) -> Any:
        """`fresh` sees every change: archives read their directory once, so they are opened anew."""
        if self._fs is not None and fresh and self.parallel > 1:
            self._fs.invalidate_cache()
        elif self._fs is None or fresh:
            self._fs, self._root = self._connect()
            self.parallel = 8 if getattr(self._fs, "async_impl", False) else 1
        return self._fs

    def _flat(self, fs: Any) -> list[dict[str, Any]]:
        found = retry(lambda: fs.find(self._root, detail=True, withdirs=True))
        if self._root in found and found[self._root]["type"] == "file":
            raise self._not_a_folder()
        if not found and "/" in self._root:
            raise SourceError(
                f"no object lies below {self._url}; correct `url`, or, where it is to be empty, "
                f"put an empty object named {self._root.partition('/')[2]}/ there"
            )
        return [found[name] for name in sorted(found) if not _is_folder(found[name])]

    def _folders(self, fs: Any) -> Iterator[dict[str, Any]]:
        pending, seen = [self._root], {self._root}
        while pending:
            folder = pending.pop()
            listed = sorted(retry(partial(fs.ls, folder, detail=True)), key=lambda info: str(info["name"]))
            subfolders: list[str] = []
            for info in listed:
                name = str(info["name"]).rstrip("/")
                if name == folder:
                    if folder == self._root and info["type"] == "file":
                        raise self._not_a_folder()
                elif not _is_folder(info):
                    yield info
                elif name.rsplit("/", 1)[-1] in JUNK_FOLDERS:
                    yield {**info, "type": "directory"}
                elif name not in seen and self._relative(name) is not None:
                    seen.add(name)
                    subfolders.append(name)
            pending.extend(reversed(subfolders))

    def _relative(self, name: str) -> str | None:
        name = name.rstrip("/")
        if not self._root:
            return name.lstrip("/")
        prefix = self._root + "/"
        return name[len(prefix) :] if name.startswith(prefix) else None

    def _full(self, path: str) -> str:
        if ".." in path.split("/") or path.startswith("/"):
            raise FileNotFoundError(f"{path} leads out of the root")
        return f"{self._root}/{path}" if self._root else path

    def _not_a_folder(self) -> SourceError:
        return SourceError(
            f"{self._url} is a file; set `url` to the folder that holds it and name it under `include`, "
            "or, for an archive, write zip://::URL"
        )


def _is_folder(info: dict[str, Any]) -> bool:
    return bool(info["type"] == "directory" or (str(info["name"]).endswith("/") and not info.get("size")))


def _entry(path: str, info: dict[str, Any]) -> Entry:
    size = info.get("size")
    modified_ns = _time_ns(next((info[key] for key in _TIME_KEYS if info.get(key) is not None), None))
    marks = [str(info[key]).strip('"') for key in _ETAG_KEYS if info.get(key) not in (None, "")]
    return Entry(
        path=path,
        size=size,
        modified_ns=modified_ns,
        etag=f"{marks[0]}-{size}" if marks else None,
        stat=None if modified_ns is None or size is None else f"{size}-{modified_ns}",
        changed_ns=modified_ns or 0,
    )


def _time_ns(value: object) -> int | None:
    if isinstance(value, (tuple, list)):
        try:
            value = datetime(*value[:6]).replace(tzinfo=UTC)
        except (TypeError, ValueError):
            return None
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if isinstance(value, datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=UTC)
        return int(aware.timestamp() * 1_000_000) * 1000
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return int(value * 1_000_000) * 1000
    return None

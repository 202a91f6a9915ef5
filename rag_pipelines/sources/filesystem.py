"""Connector `filesystem`: the files below a folder, bucket, prefix or archive."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import PurePosixPath
from typing import Literal

from pydantic import Field

from rag_pipelines.config.base import Model
from rag_pipelines.core.errors import SourceError
from rag_pipelines.core.ids import content_hash
from rag_pipelines.core.ports import FetchFailure
from rag_pipelines.core.types import Excluded, RawDocument, SourceItem
from rag_pipelines.sources.connector import OpenContext
from rag_pipelines.sources.entries import Entry, Tree
from rag_pipelines.sources.failures import as_source_error, is_transient, retry
from rag_pipelines.sources.globs import Globs, Selection
from rag_pipelines.sources.hash_cache import HashCache
from rag_pipelines.sources.local_tree import LocalTree
from rag_pipelines.sources.remote_tree import RemoteTree
from rag_pipelines.sources.storage import (
    StorageOptions,
    StorageOptionsEnv,
    StorageUrl,
    local_path,
    open_storage,
    read_options,
)

_GIVE_UP_AFTER = 3
_UNREADABLE = "unreadable:"


class FilesystemParams(Model):
    """Which files, and how their versions are told."""

    url: StorageUrl
    include: Globs = Field(default=("**/*",), min_length=1, description="globs relative to the root")
    exclude: Globs = Field(default=(), description="globs relative to the root; they win over include")
    follow_symlinks: bool = Field(default=False, description="read links to targets inside the root, too")
    version: Literal["auto", "hash", "stat"] = Field(
        default="auto",
        description="auto: the store's etag, else a content hash (unchanged files are not read again); "
        "hash: always the content; stat: size and times, cheapest and blind to a copy that keeps both",
    )
    storage_options: StorageOptions = Field(default_factory=dict)
    storage_options_env: StorageOptionsEnv = Field(default_factory=dict)


class FilesystemSource:
    """Lists and reads files; the uri of a document is its path relative to the root."""

    def __init__(self, context: OpenContext, params: FilesystemParams) -> None:
        self._params = params
        self._work_dir = context.work_dir
        self._selection = Selection(params.include, params.exclude)
        self._tree = _open_tree(context, params)

    def probe(self) -> str | None:
        """Hash over names, sizes, times and etags; None where the store tells neither of a file."""
        total = hashlib.sha256()
        try:
            for entry in self._tree.walk():
                if isinstance(entry, Excluded):
                    token: str | None = entry.reason
                    name = entry.uri
                else:
                    name = entry.path
                    token = self._selection.reason(name) or entry.etag or entry.stat
                if token is None:
                    return None
                total.update(f"{len(name)}:{name}{len(token)}:{token}".encode())
        except Exception as error:
            raise self._broken(error) from error
        return total.hexdigest()

    def list(self) -> Iterator[SourceItem | Excluded]:
        """Every file, or the reason why it is left out."""
        cache: HashCache | None = None
        try:
            for entry in self._tree.walk():
                if isinstance(entry, Excluded):
                    yield entry
                    continue
                reason = self._selection.reason(entry.path)
                if reason is not None:
                    yield Excluded(entry.path, reason)
                    continue
                if cache is None and self._hashes(entry):
                    cache = HashCache(self._work_dir / "hashes.sqlite")
                version = self._version(entry, cache)
                if version is not None:
                    yield SourceItem(entry.path, version, modified_at=entry.modified_at, size=entry.size)
            if cache is not None:
                cache.finish()
        except Exception as error:
            raise self._broken(error) from error
        finally:
            if cache is not None:
                cache.close()

    def fetch(self, items: Iterable[SourceItem]) -> Iterator[RawDocument | FetchFailure]:
        """The files as they are now; reads ahead where the store is far away."""
        misses = 0
        for result in self._in_order(items):
            lost = isinstance(result, FetchFailure) and result.error.transient
            misses = misses + 1 if lost else 0
            if isinstance(result, FetchFailure) and misses >= _GIVE_UP_AFTER:
                raise result.error
            yield result

    def close(self) -> None:
        """Release connections."""
        self._tree.close()

    def _in_order(self, items: Iterable[SourceItem]) -> Iterator[RawDocument | FetchFailure]:
        waiting = iter(items)
        for item in islice(waiting, 1):
            yield self._fetch_one(item)
        if self._tree.parallel == 1:
            yield from map(self._fetch_one, waiting)
            return
        with ThreadPoolExecutor(self._tree.parallel, thread_name_prefix="fetch") as pool:
            running: deque[Future[RawDocument | FetchFailure]] = deque()
            try:
                for item in waiting:
                    running.append(pool.submit(self._fetch_one, item))
                    if len(running) >= self._tree.parallel:
                        yield running.popleft().result()
                while running:
                    yield running.popleft().result()
            finally:
                for future in running:
                    future.cancel()

    def _fetch_one(self, item: SourceItem) -> RawDocument | FetchFailure:
        try:
            data, version = retry(lambda: self._read(item))
        except Exception as error:  # noqa: BLE001 - one file that fails is a FetchFailure, whatever the store raises
            return FetchFailure(item, self._unfetched(item, error))
        return RawDocument(
            uri=item.uri,
            version=version,
            data=data,
            name=PurePosixPath(item.uri).name,
            link=self._tree.link(item.uri),
        )

    def _read(self, item: SourceItem) -> tuple[bytes, str]:
        """Bytes and the version that they are of, which is newer than listed where the file has changed."""
        if item.version.startswith(("sha256:", _UNREADABLE)):
            data = self._tree.read(item.uri)
            return data, f"sha256:{content_hash(data)}"
        expected = item.version
        for _ in range(3):
            data = self._tree.read(item.uri)
            entry = self._tree.stat(item.uri)
            now = f"etag:{entry.etag}" if expected.startswith("etag:") else f"stat:{entry.stat}"
            if now == expected:
                return data, now
            expected = now
        raise SourceError(
            f"file {item.uri} keeps changing while it is read; the next sync tries again", transient=True
        )

    def _hashes(self, entry: Entry) -> bool:
        return self._params.version == "hash" or (self._params.version == "auto" and entry.etag is None)

    def _version(self, entry: Entry, cache: HashCache | None) -> str | None:
        """None for a file that has just vanished."""
        if cache is None or not self._hashes(entry):
            if self._params.version == "auto":
                return f"etag:{entry.etag}"
            if entry.stat is None:
                raise SourceError(
                    f"the store tells no modification time of {entry.path}, so version: stat cannot work; use auto"
                )
            return f"stat:{entry.stat}"
        known = None if entry.stat is None else cache.get(entry.path, entry.stat)
        if known is not None:
            return f"sha256:{known}"
        started = cache.now_ns()
        try:
            digest = retry(lambda: self._tree.digest(entry.path))
        except FileNotFoundError:
            return None
        except PermissionError:
            return f"{_UNREADABLE}{entry.stat}"
        if entry.stat is not None:
            cache.put(entry.path, entry.stat, entry.changed_ns, digest, started)
        return f"sha256:{digest}"

    def _broken(self, error: Exception) -> SourceError:
        return as_source_error(error, f"cannot list {self._params.url}")

    def _unfetched(self, item: SourceItem, error: Exception) -> SourceError:
        if isinstance(error, FileNotFoundError):
            return SourceError(f"file {item.uri} is gone since it was listed; the next sync will remove it")
        if isinstance(error, SourceError) or is_transient(error):
            return as_source_error(error, f"cannot read {item.uri}")
        return as_source_error(error, f"cannot read {item.uri} of {self._params.url}")


def _open_tree(context: OpenContext, params: FilesystemParams) -> Tree:
    root = local_path(params.url, context.base_dir)
    if root is not None:
        return LocalTree(root, params.follow_symlinks)

    def connect() -> tuple[object, str]:
        options = read_options(params.storage_options, params.storage_options_env)
        return open_storage(params.url, context.base_dir, options)

    opener: Callable[[], tuple[object, str]] = connect
    return RemoteTree(params.url, opener)

"""The embedded engine: Qdrant Edge in the process, one writer, readers on copies.

Below `root` each collection has `writer/` (the shard that the one writer opens), `space.json`, and
`snapshots/<token>/` (copies that readers open). A copy shares blocks where the file system can
(btrfs, XFS, bcachefs); elsewhere it costs the collection's size on disk.

A process must not fork while a shard is open: the child hangs. Start others with spawn or forkserver.
"""

from __future__ import annotations

import importlib.metadata
import json
import logging
import tempfile
import threading
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import qdrant_edge as edge

from rag_pipelines.core.errors import EngineError
from rag_pipelines.core.faults import fault_point
from rag_pipelines.core.ports import SearchRequest
from rag_pipelines.core.types import Point, VectorSpace
from rag_pipelines.index.checks import require_same_space
from rag_pipelines.index.edge_shard import EdgeReader, EdgeTuning, EdgeWriter, create_shard, explained
from rag_pipelines.index.edge_storage import (
    CollectionFiles,
    WriterLock,
    allocated_bytes,
    checked_name,
    collection_files,
    copy_tree,
    partial_path,
    read_space,
    remove_tree,
    require_room,
    sweep,
    sync_directory,
    sync_tree,
    write_space,
    write_whole,
)

_LOG = logging.getLogger(__name__)
_LAST = "last"


class EdgeEngine:
    """Collections in directories below `root`. Serves up to a few hundred thousand points well."""

    name = "edge"

    def __init__(self, root: Path, *, tuning: EdgeTuning | None = None) -> None:
        """Nothing is created on disk before the first collection."""
        self._root = root
        self._tuning = tuning or EdgeTuning()
        self._writers: dict[str, EdgeWriter] = {}
        self._guard = threading.RLock()

    def writer(self, collection: str, space: VectorSpace) -> EdgeWriter:
        """Open for writing, creating the collection if it is not there; the log of a crash is replayed."""
        files = collection_files(self._root, collection)
        with self._guard:
            lock = self._lock(files)
            try:
                stored = read_space(files)
                if stored is not None:
                    require_same_space(collection, stored, space)
                sweep(files.directory)
                if stored is None:
                    self._create(files, space)
                with explained(f"opening {files.shard}"):
                    shard = edge.EdgeShard.load(str(files.shard))
            except BaseException:
                lock.release()
                raise
            opened = EdgeWriter(
                shard,
                space,
                f"collection {collection}",
                path=files.shard,
                tuning=self._tuning,
                on_close=partial(self._closed, collection, lock),
            )
            self._writers[collection] = opened
            return opened

    def _lock(self, files: CollectionFiles) -> WriterLock:
        self._root.mkdir(parents=True, exist_ok=True)
        return WriterLock(files.lock)

    def _create(self, files: CollectionFiles, space: VectorSpace) -> None:
        """A shard without `space.json` is one whose creation was cut short: it held nothing yet."""
        remove_tree(files.shard)
        require_room(files.directory, 0)
        fresh = partial_path(files.directory, "writer")
        with explained(f"creating {files.shard}"):
            create_shard(fresh, space, self._tuning)
        sync_tree(fresh)
        fault_point("engine.created")
        fresh.rename(files.shard)
        fault_point("engine.named")
        write_space(files, space)
        sync_directory(self._root)
        fault_point("engine.ready")

    def _closed(self, collection: str, lock: WriterLock) -> None:
        with self._guard:
            self._writers.pop(collection, None)
            lock.release()

    def snapshot(self, collection: str) -> str:
        """Copy what was flushed to where readers open it and return the copy's number.

        Uses the writer that this engine object has open, or opens one for the purpose. The copy is opened
        and closed once before anybody sees it: the first opening of a copy rewrites files, later ones
        only replace files by equal ones, which is what lets several processes open it at once.
        """
        started = time.monotonic()
        files = collection_files(self._root, collection)
        space = self._space(files)
        with self._guard:
            opened = self._writers.get(collection)
            writer = opened or self.writer(collection, space)
            try:
                token = self._copy(files, writer)
            finally:
                if opened is None:
                    writer.close()
        _LOG.info(
            "snapshot collection=%s token=%s seconds=%.2f", collection, token, time.monotonic() - started
        )
        return token

    def _copy(self, files: CollectionFiles, writer: EdgeWriter) -> str:
        files.snapshots.mkdir(exist_ok=True)
        sweep(files.snapshots)
        token = _next_token(files)
        fault_point("snapshot.numbered")
        copy = partial_path(files.snapshots, token)
        points = writer.frozen(lambda shard: _copy_shard(shard, files.shard, copy))
        with explained(f"opening the copy {copy}"):
            settled = edge.EdgeShard.load(str(copy))
            found = settled.count(edge.CountRequest(exact=True))
            settled.close()
        if found != points:
            remove_tree(copy)
            raise EngineError(
                f"the copy of collection {files.directory.name} holds {found} points, not {points}; "
                "the disk may be failing: check it, then run again"
            )
        sync_tree(copy)
        fault_point("snapshot.copied")
        copy.rename(files.snapshots / token)
        sync_directory(files.snapshots)
        fault_point("snapshot.named")
        return token

    def _space(self, files: CollectionFiles) -> VectorSpace:
        space = read_space(files)
        if space is None:
            raise EngineError(
                f"collection {files.directory.name} does not exist in {self._root}; run `rag-pipelines "
                "reconcile` to rebuild it from the catalog, or sync"
            )
        return space

    def reader(self, collection: str, snapshot: str) -> EdgeReader:
        """Open a copy; several processes may at once. It goes on working after the copy was pruned."""
        files = collection_files(self._root, collection)
        space = self._space(files)
        directory = files.snapshots / checked_name(snapshot, "snapshot")
        if not directory.is_dir():
            raise EngineError(
                f"snapshot {snapshot} of collection {collection} is gone; open the one published now"
            )
        with explained(f"opening {directory}"):
            shard = edge.EdgeShard.load(str(directory))
        return EdgeReader(shard, space, f"snapshot {snapshot} of collection {collection}")

    def prune(self, collection: str, keep: Sequence[str]) -> None:
        """Delete the collection's snapshots but these; open readers go on until they close."""
        snapshots = collection_files(self._root, collection).snapshots
        if snapshots.is_dir():
            for entry in sorted(snapshots.iterdir()):
                if entry.name.isdigit() and entry.name not in keep:
                    remove_tree(entry)

    def drop(self, collection: str) -> None:
        """Delete the collection and its snapshots; raises EngineError (transient) while it is written."""
        files = collection_files(self._root, collection)
        if not files.directory.is_dir():
            sweep(self._root)  # what a drop that was killed left
            return
        with self._guard:
            lock = self._lock(files)
            try:
                remove_tree(files.directory)
                sweep(self._root)
            finally:
                lock.release()

    def exists(self, collection: str) -> bool:
        """Whether shard and vector space are there."""
        files = collection_files(self._root, collection)
        return files.space.is_file() and files.shard.is_dir()

    def collections(self) -> list[str]:
        """Every collection whose shard and vector space are there."""
        if not self._root.is_dir():
            return []
        found = (CollectionFiles(entry) for entry in sorted(self._root.iterdir()))
        return [files.directory.name for files in found if files.space.is_file() and files.shard.is_dir()]

    def check(self) -> str:
        """Write and find a point in a throw-away collection, so that `doctor` knows disk and engine work."""
        probe = Point("00000000-0000-4000-8000-000000000000", np.array([1, 0], np.float32), None, {})
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            require_room(self._root, 0)
            with tempfile.TemporaryDirectory(dir=self._root, prefix=".check-") as directory:
                writer = EdgeEngine(Path(directory)).writer("probe", VectorSpace(dimension=2, sparse=False))
                try:
                    writer.upsert([probe])
                    found = writer.search(SearchRequest(limit=1, dense=probe.dense))
                finally:
                    writer.close()
        except OSError as error:
            raise EngineError(f"the embedded engine cannot write to {self._root}: {error}") from error
        if len(found) != 1:
            raise EngineError("the embedded engine does not find what was written; reinstall qdrant-edge-py")
        version = importlib.metadata.version("qdrant-edge-py")
        return f"Qdrant Edge {version}, embedded, in {self._root}"

    def close(self) -> None:
        """Close the writers that are still open."""
        with self._guard:
            for writer in list(self._writers.values()):
                writer.close()


def _copy_shard(shard: edge.EdgeShard, source: Path, copy: Path) -> int:
    """Copy a flushed shard without its log and return how many points it holds.

    The copy has no log, so that it takes no lock and several processes can open it.
    """
    require_room(copy.parent, allocated_bytes(source))
    copy_tree(source, copy, without=frozenset({"wal"}))
    config = copy / "edge_config.json"
    config.write_text(json.dumps({**json.loads(config.read_bytes()), "wal_enabled": False}))
    return shard.count(edge.CountRequest(exact=True))


def _next_token(files: CollectionFiles) -> str:
    """One more than ever given out, also where all snapshots were pruned, so that a number means one state."""
    last = files.snapshots / _LAST
    given = int(last.read_text()) if last.exists() else 0
    token = f"{given + 1:06d}"
    write_whole(last, token.encode())
    return token

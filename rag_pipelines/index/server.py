"""A Qdrant server or cluster through qdrant-client, for collections beyond one machine's embedded engine.

Nothing is copied to publish: readers and writer look at the same collection, and versions are filters.
The server knows no lock for one writer: two syncs of one index at once must be serialised by the caller.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict

import msgspec
from qdrant_client import QdrantClient, models
from qdrant_client.http.exceptions import UnexpectedResponse

from rag_pipelines.core.errors import EngineError
from rag_pipelines.core.types import Distance, VectorSpace
from rag_pipelines.index.checks import require_same_space
from rag_pipelines.index.points import DENSE, SPARSE
from rag_pipelines.index.server_calls import Calls
from rag_pipelines.index.server_collection import ServerCollection

FULL_SCAN_KB = 100_000
"""Filters that let through less than this are scanned, exactly; with the default of 10,000 the planner
trusts a graph that a narrow filter has cut to pieces."""

_SPACE = "rag_pipelines_space"
_CONFLICT = 409
_DISTANCES = {Distance.COSINE: models.Distance.COSINE, Distance.DOT: models.Distance.DOT}


class ServerEngine:
    """Collections on a Qdrant server.

    `location=":memory:"` runs the client's own pure-Python engine in this process instead, which is slow
    and serves the tests as an oracle.
    """

    def __init__(
        self,
        url: str | None,
        api_key: str | None = None,
        *,
        location: str | None = None,
        attempts: int = 5,
        backoff_seconds: float = 0.25,
        timeout_seconds: float = 60.0,
    ) -> None:
        """Nothing is sent yet."""
        self.name = "local" if location else "server"
        client = QdrantClient(
            location=location,
            url=url,
            api_key=api_key,
            timeout=None if location else math.ceil(timeout_seconds),
            check_compatibility=False,
        )
        self._calls = Calls(client, location or url or "", attempts, backoff_seconds)
        self._client = client

    def writer(self, collection: str, space: VectorSpace) -> ServerCollection:
        """Open for writing, creating the collection where it is not there.

        Payload indexes are made before the first point. Later, on a collection that lost one, that is
        `create_indexes`: it may take the server minutes.
        """
        exists = self._calls(
            f"looking for collection {collection}", lambda: self._client.collection_exists(collection)
        )
        if not exists:
            self._create(collection, space)
        info = self._info(collection)
        require_same_space(collection, self._space(collection, info), space)
        writer = self._opened(collection, space)
        if not info.points_count:
            writer.create_indexes()
        return writer

    def _opened(self, collection: str, space: VectorSpace) -> ServerCollection:
        return ServerCollection(self._calls, collection, space, indexed=self.name != "local")

    def _create(self, collection: str, space: VectorSpace) -> None:
        def request() -> None:
            try:
                self._client.create_collection(
                    collection,
                    vectors_config={
                        DENSE: models.VectorParams(size=space.dimension, distance=_DISTANCES[space.distance])
                    },
                    sparse_vectors_config={SPARSE: models.SparseVectorParams(modifier=models.Modifier.IDF)}
                    if space.sparse
                    else None,
                    hnsw_config=models.HnswConfigDiff(full_scan_threshold=FULL_SCAN_KB),
                    metadata={_SPACE: asdict(space)},
                )
            except UnexpectedResponse as error:
                if error.status_code != _CONFLICT:
                    raise

        self._calls(f"creating collection {collection}", request)

    def _info(self, collection: str) -> models.CollectionInfo:
        return self._calls(
            f"reading collection {collection}", lambda: self._client.get_collection(collection)
        )

    def _space(self, collection: str, info: models.CollectionInfo) -> VectorSpace:
        """The space that `_create` recorded with the collection."""
        stored = (info.config.metadata or {}).get(_SPACE)
        if stored is None:
            raise EngineError(
                f"collection {collection} at {self._calls.where} was not made by this program, or by a "
                "server older than 1.16; drop it or name another"
            )
        return msgspec.convert(stored, VectorSpace)

    def exists(self, collection: str) -> bool:
        """Whether the server has the collection."""
        return self._calls(
            f"looking for collection {collection}", lambda: self._client.collection_exists(collection)
        )

    def collections(self) -> list[str]:
        """The server's collections that this program made."""
        listed = self._calls("listing its collections", self._client.get_collections).collections
        names = sorted(found.name for found in listed)
        return [name for name in names if _SPACE in (self._info(name).config.metadata or {})]

    def snapshot(self, collection: str) -> str:
        """Nothing to copy: what was written is visible, and the version in the query decides what counts."""
        return ""

    def reader(self, collection: str, snapshot: str) -> ServerCollection:
        """Open for reading. Raises EngineError where the collection is gone."""
        exists = self._calls(
            f"looking for collection {collection}", lambda: self._client.collection_exists(collection)
        )
        if not exists:
            raise EngineError(
                f"collection {collection} is gone from {self._calls.where}; run `rag-pipelines reconcile` to "
                "rebuild it from the catalog, or sync"
            )
        return self._opened(collection, self._space(collection, self._info(collection)))

    def prune(self, collection: str, keep: Sequence[str]) -> None:
        """Nothing to delete: there are no copies."""

    def drop(self, collection: str) -> None:
        """Delete the collection; nothing happens where it is not there."""
        self._calls(f"dropping collection {collection}", lambda: self._client.delete_collection(collection))

    def check(self) -> str:
        """The server's version and where it is; raises EngineError where it does not answer."""
        info = self._calls("asking for its version", self._client.info)
        return f"Qdrant {info.version}, {self.name}, at {self._calls.where}"

    def close(self) -> None:
        """Release connections."""
        self._client.close()

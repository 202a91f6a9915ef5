"""A Qdrant server or cluster through qdrant-client, for collections beyond one machine's embedded engine.

Nothing is copied to publish: readers and writer look at the same collection, and versions are filters.
The server knows no lock for one writer: two syncs of one index at once must be serialised by the caller.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial

import msgspec
from qdrant_client import QdrantClient, models
from qdrant_client.http.exceptions import UnexpectedResponse

from rag_pipelines.core.errors import EngineError
from rag_pipelines.core.types import Distance, VectorSpace
from rag_pipelines.index.checks import require_same_space
from rag_pipelines.index.points import DENSE, INDEXED_INTEGERS, INDEXED_KEYWORDS, SPARSE, TENANT
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
        """Open for writing, creating collection and payload indexes where they are not there."""
        exists = self._calls(
            f"looking for collection {collection}", lambda: self._client.collection_exists(collection)
        )
        if not exists:
            self._create(collection, space)
        require_same_space(collection, self._space(collection), space)
        self._index_payload(collection, space)
        return ServerCollection(self._calls, collection, space)

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

    def _index_payload(self, collection: str, space: VectorSpace) -> None:
        """Payload indexes must be older than the graph, whose extra links they decide."""
        info = self._calls(
            f"reading collection {collection}", lambda: self._client.get_collection(collection)
        )
        wanted: dict[str, models.PayloadFieldSchema] = {
            **dict.fromkeys((*INDEXED_KEYWORDS, *space.keyword_fields), models.PayloadSchemaType.KEYWORD),
            **dict.fromkeys((*INDEXED_INTEGERS, *space.integer_fields), models.PayloadSchemaType.INTEGER),
            **dict.fromkeys(space.datetime_fields, models.PayloadSchemaType.DATETIME),
            TENANT: models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, is_tenant=True),
        }
        missing = {field: schema for field, schema in wanted.items() if field not in info.payload_schema}
        if self.name == "local":
            return
        for field, schema in missing.items():
            self._calls(
                f"indexing {field} of collection {collection}",
                partial(self._client.create_payload_index, collection, field, schema, wait=True),
            )

    def _space(self, collection: str) -> VectorSpace:
        """The space that `_create` recorded with the collection."""
        info = self._calls(
            f"reading collection {collection}", lambda: self._client.get_collection(collection)
        )
        stored = (info.config.metadata or {}).get(_SPACE)
        if stored is None:
            raise EngineError(
                f"collection {collection} at {self._calls.where} was not made by this program, or by a "
                "server older than 1.16; drop it or name another"
            )
        return msgspec.convert(stored, VectorSpace)

    def snapshot(self, collection: str) -> str:
        """Nothing to copy: what was written is visible, and the version in the query decides what counts."""
        return ""

    def reader(self, collection: str, snapshot: str) -> ServerCollection:
        """Open for reading. Raises EngineError where the collection is gone."""
        exists = self._calls(
            f"looking for collection {collection}", lambda: self._client.collection_exists(collection)
        )
        if not exists:
            raise EngineError(f"collection {collection} is gone from {self._calls.where}; sync first")
        return ServerCollection(self._calls, collection, self._space(collection))

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

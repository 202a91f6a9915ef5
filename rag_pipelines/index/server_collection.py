"""Reading and writing one collection of a Qdrant server through the ports."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from qdrant_client import models

from rag_pipelines.core.errors import EngineError
from rag_pipelines.core.filters import EVERYTHING, Condition, HasId, Scalar
from rag_pipelines.core.ports import SearchRequest
from rag_pipelines.core.types import Hit, Point, SparseVector, StoredPoint, VectorSpace
from rag_pipelines.index.checks import check_id, check_sparse, check_vector, plain_payload
from rag_pipelines.index.payload_indexes import server_schema, wanted_indexes
from rag_pipelines.index.points import DENSE, SPARSE
from rag_pipelines.index.server_calls import Calls
from rag_pipelines.index.translate import by_frequency, search_whole, sparse_model, to_filter, to_query

UPSERT_BATCH = 256
OPTIMIZE_SECONDS = 3600.0


class ServerCollection:
    """One collection, for reading and writing; safe to use from several threads against a server."""

    def __init__(
        self, calls: Calls, collection: str, space: VectorSpace | None, *, indexed: bool = True
    ) -> None:
        """`indexed` is whether the engine has payload indexes at all."""
        self._indexed = indexed
        self._calls = calls
        self._client = calls.client
        self._collection = collection
        self._space = space

    def search(self, request: SearchRequest) -> list[Hit]:
        """Best first; searched again exactly where fewer come back than asked for."""
        return search_whole(request, self.search_once)

    def search_once(self, request: SearchRequest) -> list[Hit]:
        """What one query of the engine finds, however little; `search` is what callers want."""
        if request.sparse is not None and self._space is not None and not self._space.sparse:
            raise EngineError(
                f"collection {self._collection} holds no sparse vectors; search with the dense one only"
            )
        query = to_query(request)
        if query is None:
            return []
        found = self._calls(
            f"searching collection {self._collection}",
            lambda: self._client.query_points(
                self._collection,
                query=query.query,
                using=query.using,
                prefetch=query.prefetch,
                query_filter=query.filter,
                search_params=query.params,
                limit=request.limit,
                with_payload=True,
            ),
        )
        return [Hit(str(point.id), point.score, point.payload or {}) for point in found.points]

    def count(self, condition: Condition = EVERYTHING) -> int:
        """Exact number of points that match."""
        chosen = to_filter(condition)
        return self._calls(
            f"counting in collection {self._collection}",
            lambda: self._client.count(self._collection, count_filter=chosen, exact=True).count,
        )

    def facet(self, field: str, condition: Condition, limit: int) -> list[tuple[Scalar, int]]:
        """The most frequent values among the points that match."""
        chosen = to_filter(condition)
        found = self._calls(
            f"counting in collection {self._collection}",
            lambda: (
                self._client.facet(self._collection, field, facet_filter=chosen, limit=limit, exact=True).hits
            ),
        )
        return by_frequency((hit.value, hit.count) for hit in found)

    def scroll(
        self,
        condition: Condition = EVERYTHING,
        *,
        with_vectors: bool = False,
        batch: int = 1000,
        after: str | None = None,
    ) -> Iterator[StoredPoint]:
        """Every point that matches, in the order of ids; those behind the id `after` where it is given."""
        chosen = to_filter(condition)
        offset: Any = after
        while True:
            at = offset
            records, offset = self._calls(
                f"reading collection {self._collection}",
                lambda at=at: self._client.scroll(  # type: ignore[misc]
                    self._collection,
                    chosen,
                    limit=batch,
                    offset=at,
                    with_payload=True,
                    with_vectors=with_vectors,
                ),
            )
            for record in records:
                if str(record.id) != after:
                    yield _stored(record)
            if offset is None:
                return

    def upsert(self, points: Sequence[Point]) -> None:
        """Insert or replace by id; all points are checked before the first is written."""
        made = [self._point(point) for point in points]
        for start in range(0, len(made), UPSERT_BATCH):
            batch = made[start : start + UPSERT_BATCH]
            self._calls(
                f"writing to collection {self._collection}",
                lambda batch=batch: self._client.upsert(self._collection, batch, wait=True),  # type: ignore[misc]
            )

    def _point(self, point: Point) -> models.PointStruct:
        space = self._space
        if space is None:
            raise EngineError(f"collection {self._collection} is open for reading only; open a writer")
        check_id(point.point_id)
        check_vector(point.dense, space.dimension, point.point_id)
        vector: dict[str, Any] = {DENSE: point.dense.tolist()}
        if point.sparse is not None and len(point.sparse.indices):
            if not space.sparse:
                raise EngineError(
                    f"collection {self._collection} holds no sparse vectors; point {point.point_id} has one"
                )
            check_sparse(point.sparse, point.point_id)
            vector[SPARSE] = sparse_model(point.sparse)
        return models.PointStruct(id=point.point_id, vector=vector, payload=plain_payload(point.payload))

    def set_payload(self, point_ids: Sequence[str], payload: Mapping[str, Any]) -> None:
        """Merge these keys into the payload of the points; by filter, since unknown ids are no error there."""
        plain = plain_payload(payload)
        chosen = to_filter(HasId(tuple(point_ids)))
        if point_ids and plain and chosen is not None:
            self._calls(
                f"writing to collection {self._collection}",
                lambda: self._client.set_payload(
                    self._collection, plain, points=models.FilterSelector(filter=chosen), wait=True
                ),
            )

    def delete(self, point_ids: Sequence[str]) -> None:
        """Remove the points; unknown ids are ignored."""
        if point_ids:
            ids = models.PointIdsList(points=list(point_ids))
            self._calls(
                f"deleting from collection {self._collection}",
                lambda: self._client.delete(self._collection, ids, wait=True),
            )

    def flush(self) -> None:
        """Nothing to do: each write returned once it was applied and in the server's own log.

        How soon that log reaches the disk is the server's setting (`wal`, `flush_interval_sec`).
        """

    def optimize(self) -> None:
        """Wait until the server has built its indexes. Raises EngineError after an hour."""
        deadline = time.monotonic() + OPTIMIZE_SECONDS
        while True:
            status = self._calls(
                f"waiting for collection {self._collection}",
                lambda: self._client.get_collection(self._collection).status,
            )
            if status == models.CollectionStatus.GREEN:
                return
            if status == models.CollectionStatus.RED or time.monotonic() > deadline:
                raise EngineError(
                    f"collection {self._collection} at {self._calls.where} is {status.value}, not green; "
                    "see the server's log"
                )
            time.sleep(0.5)

    def missing_indexes(self) -> list[str]:
        """Payload fields of the space that should have an index and have none."""
        if self._space is None or not self._indexed:
            return []
        info = self._calls(
            f"reading collection {self._collection}", lambda: self._client.get_collection(self._collection)
        )
        return [field for field in wanted_indexes(self._space) if field not in info.payload_schema]

    def create_indexes(self) -> None:
        """Make the missing payload indexes, and wait for each."""
        kinds = wanted_indexes(self._space) if self._space is not None else {}
        for field in self.missing_indexes():
            schema = server_schema(field, kinds[field])
            self._calls(
                f"indexing {field} of collection {self._collection}",
                partial(self._client.create_payload_index, self._collection, field, schema, wait=True),
            )

    def close(self) -> None:
        """Nothing to do: the connection is the engine's."""


def _stored(record: models.Record) -> StoredPoint:
    vectors: Any = record.vector or {}
    dense, sparse = vectors.get(DENSE), vectors.get(SPARSE)
    terms = None
    if sparse is not None:
        terms = SparseVector(
            np.asarray(sparse.indices, dtype=np.uint32), np.asarray(sparse.values, dtype=np.float32)
        )
    return StoredPoint(
        point_id=str(record.id),
        payload=record.payload or {},
        dense=None if dense is None else np.asarray(dense, dtype=np.float32),
        sparse=terms,
    )

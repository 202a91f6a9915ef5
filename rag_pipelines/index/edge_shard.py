"""Reading and writing one Qdrant Edge shard through the ports."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import qdrant_edge as edge

from rag_pipelines.core.errors import EngineError
from rag_pipelines.core.faults import fault_point
from rag_pipelines.core.filters import EVERYTHING, Condition, Scalar
from rag_pipelines.core.ports import SearchRequest
from rag_pipelines.core.types import Distance, Hit, Point, StoredPoint, VectorSpace
from rag_pipelines.index.checks import check_id, check_sparse, check_vector, plain_payload
from rag_pipelines.index.edge_indexes import create_indexes, missing_indexes
from rag_pipelines.index.edge_storage import require_room
from rag_pipelines.index.edge_translate import edge_filter, edge_query, edge_sparse, stored_point
from rag_pipelines.index.gate import Gate
from rag_pipelines.index.points import DENSE, SPARSE
from rag_pipelines.index.translate import by_frequency, search_whole, to_filter, to_query

Made = TypeVar("Made")

UPSERT_BATCH = 256
"""Points an operation: the interpreter lock is held for its length, some 25 ms."""


@dataclass(frozen=True, slots=True)
class EdgeTuning:
    """When the embedded engine builds a graph, and which.

    Up to `graph_above` points there is none (m=0): every search scans the matching points' 4-bit codes
    and scores the best again with the full vectors, so a filter cannot cost recall. Above, `optimize`
    builds HNSW; filters that let through less than `full_scan_threshold` (KB of vectors: 66,000 of 384
    dimensions) still scan, which on codes is both exact and faster than a filtered walk, and wider ones
    walk the graph. `quantized=False` searches the full vectors.
    """

    graph_above: int = 300_000
    m: int = 16
    ef_construct: int = 128
    full_scan_threshold: int = 100_000
    quantized: bool = True

    def links(self, points: int, current: int) -> int:
        """The m that this many points call for; a graph goes again only below half of the limit."""
        limit = self.graph_above // 2 if current else self.graph_above
        return self.m if points > limit else 0


_DISTANCES = {Distance.COSINE: edge.Distance.Cosine, Distance.DOT: edge.Distance.Dot}


def shard_config(space: VectorSpace, tuning: EdgeTuning, m: int) -> edge.EdgeConfig:
    """The shard's configuration with a graph of m links, or none for m=0."""
    codes = edge.TurboQuantQuantizationConfig(bits=edge.TurboQuantBitSize.Bits4, memory=edge.Memory.Pinned)
    dense = edge.EdgeVectorParams(
        size=space.dimension,
        distance=_DISTANCES[space.distance],
        quantization_config=codes if tuning.quantized else None,
    )
    sparse = {SPARSE: edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf)} if space.sparse else None
    return edge.EdgeConfig(
        vectors={DENSE: dense},
        sparse_vectors=sparse,
        hnsw_config=edge.HnswIndexConfig(
            m=m, ef_construct=tuning.ef_construct, full_scan_threshold=tuning.full_scan_threshold
        ),
    )


def create_shard(path: Path, space: VectorSpace, tuning: EdgeTuning) -> None:
    """Make an empty shard with its payload indexes, which must be older than any graph."""
    path.mkdir()
    shard = edge.EdgeShard.create(str(path), shard_config(space, tuning, tuning.links(0, 0)))
    create_indexes(shard, space)
    shard.flush()
    shard.close()


@contextlib.contextmanager
def explained(doing: str) -> Iterator[None]:
    """Turn the engine's untyped errors into EngineError."""
    try:
        yield
    except EngineError:
        raise
    except Exception as error:
        what = f"the embedded vector engine failed while {doing}"
        raise EngineError(f"{what}: {error}", bare=f"{what} ({type(error).__name__})") from error


class EdgeReader:
    """A shard open for reading. Searches from several threads at once are safe, though not faster."""

    def __init__(self, shard: edge.EdgeShard, space: VectorSpace, name: str) -> None:
        self._shard: edge.EdgeShard | None = shard
        self._space = space
        self._name = name
        self._gate = Gate()

    @contextlib.contextmanager
    def _using(self, doing: str) -> Iterator[edge.EdgeShard]:
        with self._gate.use(), explained(f"{doing} {self._name}"):
            yield self._opened()

    def _opened(self) -> edge.EdgeShard:
        if self._shard is None:
            raise EngineError(f"{self._name} is closed; open it again", transient=True)
        return self._shard

    def search(self, request: SearchRequest) -> list[Hit]:
        """Best first; searched again exactly where fewer come back than asked for."""
        return search_whole(request, self.search_once)

    def search_once(self, request: SearchRequest) -> list[Hit]:
        """What one query of the engine finds, however little; `search` is what callers want."""
        if request.sparse is not None and not self._space.sparse:
            raise EngineError(f"{self._name} holds no sparse vectors; search with the dense one only")
        query = to_query(request)
        if query is None:
            return []
        with self._using("searching") as shard:
            found = shard.query(edge_query(query))
        return [Hit(str(point.id), point.score, point.payload or {}) for point in found]

    def count(self, condition: Condition = EVERYTHING) -> int:
        """Exact number of points that match."""
        with self._using("counting in") as shard:
            return shard.count(edge.CountRequest(exact=True, filter=edge_filter(to_filter(condition))))

    def facet(self, field: str, condition: Condition, limit: int) -> list[tuple[Scalar, int]]:
        """The most frequent values among the points that match; the engine also names values that none has."""
        chosen = edge_filter(to_filter(condition))
        with self._using("counting in") as shard:
            found = shard.facet(edge.FacetRequest(field, limit=limit, exact=True, filter=chosen))
        return by_frequency((hit.value, hit.count) for hit in found.hits)

    def scroll(
        self,
        condition: Condition = EVERYTHING,
        *,
        with_vectors: bool = False,
        batch: int = 1000,
        after: str | None = None,
    ) -> Iterator[StoredPoint]:
        """Every point that matches, in the order of ids; those behind the id `after` where it is given."""
        offset: Any = after
        while True:
            with self._using("reading") as shard:
                request = edge.ScrollRequest(
                    offset=offset,
                    limit=batch,
                    filter=edge_filter(to_filter(condition)),
                    with_payload=True,
                    with_vector=with_vectors,
                )
                records, offset = shard.scroll(request)
            for record in records:
                if str(record.id) != after:
                    yield stored_point(record)
            if offset is None:
                return

    def close(self) -> None:
        """Wait for searches under way, then release the files."""
        with self._gate.alone():
            if self._shard is not None:
                shard, self._shard = self._shard, None
                with explained(f"closing {self._name}"):
                    shard.close()


class EdgeWriter(EdgeReader):
    """The one writer of a shard.

    `upsert` and `optimize` hold the interpreter lock while they run: every other thread of the process
    waits, so no process that serves queries may call them. Closing flushes.
    """

    def __init__(
        self,
        shard: edge.EdgeShard,
        space: VectorSpace,
        name: str,
        *,
        path: Path,
        tuning: EdgeTuning,
        on_close: Callable[[], None],
    ) -> None:
        super().__init__(shard, space, name)
        self._path = path
        self._tuning = tuning
        self._on_close = on_close

    def upsert(self, points: Sequence[Point]) -> None:
        """Insert or replace by id; all points are checked before the first is written."""
        made = [self._point(point) for point in points]
        for start in range(0, len(made), UPSERT_BATCH):
            batch = made[start : start + UPSERT_BATCH]
            require_room(self._path, 0)
            with self._using("writing to") as shard:
                shard.update(edge.UpdateOperation.upsert_points(batch))
            fault_point("engine.upserted")

    def _point(self, point: Point) -> edge.Point:
        check_id(point.point_id)
        check_vector(point.dense, self._space.dimension, point.point_id)
        vector: dict[str, Any] = {DENSE: np.ascontiguousarray(point.dense, dtype=np.float32)}
        if point.sparse is not None and len(point.sparse.indices):
            if not self._space.sparse:
                raise EngineError(f"{self._name} holds no sparse vectors; point {point.point_id} has one")
            check_sparse(point.sparse, point.point_id)
            vector[SPARSE] = edge_sparse(point.sparse.indices.tolist(), point.sparse.values.tolist())
        with explained(f"reading point {point.point_id}"):
            return edge.Point(point.point_id, vector, plain_payload(point.payload))

    def set_payload(self, point_ids: Sequence[str], payload: Mapping[str, Any]) -> None:
        """Merge these keys into the payload of the points; unknown ids are ignored.

        Goes by filter, since by id the engine refuses the whole operation for one unknown id, after
        logging it.
        """
        plain = plain_payload(payload)
        if point_ids and plain:
            require_room(self._path, 0)
            with self._using("writing to") as shard:
                chosen = edge.Filter(must=[edge.HasIdCondition(set(point_ids))])
                shard.update(edge.UpdateOperation.set_payload_by_filter(chosen, plain))
            fault_point("engine.payload_set")

    def delete(self, point_ids: Sequence[str]) -> None:
        """Remove the points; unknown ids are ignored."""
        if point_ids:
            with self._using("deleting from") as shard:
                shard.update(edge.UpdateOperation.delete_points(list(point_ids)))
            fault_point("engine.deleted")

    def flush(self) -> None:
        """Make everything written so far durable."""
        with self._using("flushing") as shard:
            shard.flush()
        fault_point("engine.flushed")

    def optimize(self) -> None:
        """Merge segments, drop deleted points, and build or remove the graph as the number of points asks."""
        with self._gate.alone(), explained(f"optimising {self._name}"):
            shard = self._opened()
            current = stored_links(self._path)
            wanted = self._tuning.links(shard.count(edge.CountRequest(exact=True)), current)
            if wanted != current:
                shard.flush()
                shard.close()
                self._shard = None
                config = shard_config(self._space, self._tuning, wanted)
                self._shard = shard = edge.EdgeShard.load(str(self._path), config)
            shard.optimize()
            fault_point("engine.optimized")
            shard.flush()

    def missing_indexes(self) -> list[str]:
        """Payload fields of the space that should have an index and have none."""
        with self._using("looking at") as shard:
            return missing_indexes(shard, self._space)

    def create_indexes(self) -> None:
        """Make the missing payload indexes."""
        with self._using("indexing") as shard:
            create_indexes(shard, self._space)

    def frozen(self, action: Callable[[edge.EdgeShard], Made]) -> Made:
        """Flush, then run `action` on the shard while nothing else touches it."""
        with self._gate.alone(), explained(f"copying {self._name}"):
            shard = self._opened()
            shard.flush()
            return action(shard)

    def close(self) -> None:
        """Flush, close and let the next writer in."""
        try:
            if self._shard is not None:
                self.flush()
            super().close()
        finally:
            self._on_close()


def stored_links(path: Path) -> int:
    """The m of the graph that the shard was last configured with; 0 is none."""
    config = json.loads((path / "edge_config.json").read_bytes())
    return int(config.get("hnsw_config", {}).get("m", 0))

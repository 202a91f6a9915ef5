"""What an index version costs to keep and a question to answer."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

import msgspec

from rag_pipelines.core.types import StoredPoint

TERM_BYTES = 8
"""Of one term of a sparse vector: 4 for its number and 4 for its weight."""


class IndexSize(msgspec.Struct, frozen=True):
    """What the points of a version hold, uncompressed: vectors as float32, payloads as JSON.

    Graphs, payload indexes and room that an engine allocates in advance are left out: they depend on the
    engine and on its history, not on what was indexed.
    """

    chunks: int
    vector_bytes: int
    payload_bytes: int

    @property
    def bytes(self) -> int:
        """Vectors and payloads."""
        return self.vector_bytes + self.payload_bytes


class SizeOf:
    """Adds up the points that pass through `counted`; `size` is right once they all have."""

    def __init__(self) -> None:
        self._chunks = self._vectors = self._payloads = 0

    def counted(self, points: Iterable[StoredPoint]) -> Iterator[StoredPoint]:
        """The same points; they must have been read with their vectors."""
        for point in points:
            self._chunks += 1
            self._vectors += 0 if point.dense is None else point.dense.size * 4
            self._vectors += 0 if point.sparse is None else len(point.sparse.indices) * TERM_BYTES
            self._payloads += len(json.dumps(dict(point.payload), ensure_ascii=False, default=str).encode())
            yield point

    @property
    def size(self) -> IndexSize:
        """Of what has passed so far."""
        return IndexSize(self._chunks, self._vectors, self._payloads)

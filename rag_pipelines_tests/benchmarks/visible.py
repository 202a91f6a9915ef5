"""The visible index of a project, read whole, and where two of them differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import sqlalchemy as sa

from rag_pipelines.catalog import reports
from rag_pipelines.catalog.store import reading
from rag_pipelines.catalog.tables import collections, indexes
from rag_pipelines.config.models import SparseConfig
from rag_pipelines.core.errors import NotPublished
from rag_pipelines.core.types import StoredPoint
from rag_pipelines.embedding.sparse import Bm25Encoder
from rag_pipelines.pipeline.workspace import Workspace
from rag_pipelines.retrieval.opening import Searchers

HISTORY = ("added", "removed", "revision", "modified_at", "link")
"""Payload keys that tell when, not what; see `replay` for what each of them is compared with instead."""

SAME_DIRECTION = 0.9995
EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Visible:
    """Every visible point by chunk id; `twice` are chunk ids that more than one visible point has.

    `refused` are the uris in quarantine, `average_length` what the sparse weights are normalised by.
    """

    version: int
    points: dict[str, StoredPoint]
    twice: tuple[str, ...]
    refused: frozenset[str]
    average_length: float

    @property
    def documents(self) -> dict[str, dict[str, Any]]:
        """uri -> the payload of one of its points."""
        return {str(point.payload["uri"]): dict(point.payload) for point in self.points.values()}


@dataclass(slots=True)
class Difference:
    """What is not equal, counted by kind, with a few examples; `least_cosine` over all compared vectors."""

    kinds: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)
    least_cosine: float = 1.0

    @property
    def total(self) -> int:
        """Of all kinds."""
        return self.kinds.total()

    def add(self, kind: str, what: str) -> None:
        """One more of a kind."""
        self.kinds[kind] += 1
        if self.kinds[kind] <= EXAMPLES:
            self.examples.append(f"{kind}: {what}")


def read_visible(workspace: Workspace, index: str, source: str) -> Visible:
    """Everything that a reader of the live version sees, with vectors; empty before the first publish."""
    refused = frozenset(str(row["uri"]) for row in reports.quarantined(workspace.catalog, source))
    points: dict[str, StoredPoint] = {}
    count: Counter[str] = Counter()
    with Searchers(workspace.environment, workspace.configuration) as searchers:
        try:
            number, reader, shown = searchers.get(index).scroll_reader(None)
        except NotPublished:
            return Visible(0, {}, (), refused, 1.0)
        for point in reader.scroll(shown, with_vectors=True):
            chunk_id = str(point.payload["chunk_id"])
            count[chunk_id] += 1
            points[chunk_id] = point
    live = sa.select(indexes.c.collection).where(indexes.c.index_name == index).scalar_subquery()
    with reading(workspace.catalog.engine) as tx:
        length = tx.execute(sa.select(collections.c.average_length).where(collections.c.collection == live))
        average_length = float(length.scalar_one())
    twice = tuple(name for name, number_of in count.items() if number_of > 1)
    return Visible(number, points, twice, refused, average_length)


def compare(found: Visible, wanted: Visible, stale: frozenset[str] = frozenset()) -> Difference:
    """Points by chunk id: text and payload equal but for `HISTORY`, vectors of one direction, sparse terms equal.

    Sparse weights depend on the average length that a collection fixed when it was created: each index is held
    against BM25 computed here with its own. Documents in `stale` are not compared.
    """
    difference = Difference()
    for chunk_id in (*found.twice, *wanted.twice):
        difference.add("more than one visible point", chunk_id)
    if found.refused != wanted.refused:
        difference.add("quarantine", str(sorted(found.refused ^ wanted.refused)[:EXAMPLES]))
    ours, theirs = (
        {name: point for name, point in side.points.items() if point.payload["uri"] not in stale}
        for side in (found, wanted)
    )
    for name in sorted(theirs.keys() - ours.keys()):
        difference.add("missing", _where(theirs[name]))
    for name in sorted(ours.keys() - theirs.keys()):
        difference.add("stray", _where(ours[name]))
    both = sorted(ours.keys() & theirs.keys())
    for name in both:
        _compare_point(ours[name], theirs[name], difference)
    for side, points in ((found, ours), (wanted, theirs)):
        _check_sparse(side, {name: points[name] for name in both}, difference)
    return difference


def _compare_point(ours: StoredPoint, theirs: StoredPoint, difference: Difference) -> None:
    a, b = timeless(ours.payload), timeless(theirs.payload)
    if a != b:
        keys = sorted(key for key in a.keys() | b.keys() if a.get(key) != b.get(key))
        difference.add("payload", f"{_where(ours)} in {', '.join(keys)}")
    if ours.dense is None or theirs.dense is None:
        difference.add("no vector", _where(ours))
        return
    norms = float(np.linalg.norm(ours.dense) * np.linalg.norm(theirs.dense))
    cosine = float(ours.dense @ theirs.dense) / norms if norms else 0.0
    difference.least_cosine = min(difference.least_cosine, cosine)
    if not cosine >= SAME_DIRECTION:
        difference.add("vector", f"{_where(ours)} at cosine {cosine:.5f}")


def _check_sparse(side: Visible, points: Mapping[str, StoredPoint], difference: Difference) -> None:
    encoder = Bm25Encoder(SparseConfig())
    texts = [str(point.payload["text"]) for point in points.values()]
    for point, expected in zip(points.values(), encoder.encode(texts, side.average_length), strict=True):
        stored = point.sparse
        if stored is None:
            same = not len(expected.indices)
        else:
            order = np.argsort(stored.indices)
            same = np.array_equal(stored.indices[order], expected.indices) and np.allclose(
                stored.values[order], expected.values, rtol=1e-5
            )
        if not same:
            difference.add("sparse vector", _where(point))


def timeless(payload: Mapping[str, Any]) -> dict[str, Any]:
    """The payload without the keys that tell when."""
    return {key: value for key, value in payload.items() if key not in HISTORY}


def _where(point: StoredPoint) -> str:
    return f"{point.payload['uri']} chunk {point.payload['ordinal']} ({point.payload['chunk_id']})"

"""Milliseconds of a query to the embedded engine: dense, hybrid, under an acl that lets 1% through, and reranked.

    python -m rag_pipelines_tests.benchmarks.query_latency [--points 100000 1000000] [--queries 200]
        [--no-rerank] [--json]

Points are synthetic: documents of eight chunks around topics, passages of some fifty words out of 30,000 by Zipf's
law, and the payload that access needs. One document in a hundred is for the rare group, scattered over all topics.
Searches are those that a question becomes, without its embedding: ten hits, 100 candidates of each half, under a
version and an access filter, through a reader on a snapshot. Beyond the size from which the engine builds a graph,
the same collection is measured by scanning first, then with its graph; what is measured is printed at once.

A cross-encoder is not here: `rerank` adds to the hybrid search what the bundled bi-encoder takes to read its best
50 passages. It is a stand-in for the reading alone, a lower bound for a larger model.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rag_pipelines.config.models import EmbeddingConfig
from rag_pipelines.core.filters import All, Condition
from rag_pipelines.core.ids import NAMESPACE
from rag_pipelines.core.ports import CollectionReader, Embedder, SearchRequest
from rag_pipelines.core.types import CURRENT, FloatArray, Point, Principal, SparseVector, VectorSpace
from rag_pipelines.embedding import open_embedder
from rag_pipelines.governance.access import access_condition
from rag_pipelines.index.edge import EdgeEngine
from rag_pipelines.index.edge_shard import EdgeTuning
from rag_pipelines.index.points import visible_at
from rag_pipelines_tests.project import shared_models_dir

DIMENSION, CHUNKS, WORDS, VOCABULARY = 384, 8, 50, 30_000
COLLECTION, VERSION, RARE = "latency", 5, 100
BATCH = 8_000
READ, RERANKED = 50, 20
ALL, FEW = Principal("ana", "acme", ("staff",)), Principal("bo", "acme", ("rare",))
NEVER = 10**9


@dataclass(frozen=True, slots=True)
class Latency:
    """Of one kind of query, in milliseconds; `hits` is the smallest number of them that one got."""

    query: str
    queries: int
    hits: int
    p50: float
    p95: float
    p99: float


@dataclass(frozen=True, slots=True)
class Result:
    """One collection in one configuration; `load` is the machine's load average when it was measured."""

    points: int
    configuration: str
    fill_seconds: float
    optimize_seconds: float
    load: float
    latencies: list[Latency]


class Corpus:
    """Seeded points, made a batch at a time, and questions like them."""

    def __init__(self, points: int, queries: int, seed: int = 23) -> None:
        self.documents = points // CHUNKS
        self._rng = np.random.default_rng(seed)
        self._centres = self._rng.normal(size=(max(20, self.documents // 100), DIMENSION))
        shares = 1 / np.arange(1, VOCABULARY + 1)
        self._law = np.cumsum(shares / shares.sum())
        topics = self._centres[self._rng.integers(len(self._centres), size=queries)]
        self.vectors = _unit(topics + self._rng.normal(size=(queries, DIMENSION)))
        self.terms = [self._sparse(row) for row in self._words(queries, 6)]

    def batches(self) -> Iterator[list[Point]]:
        """Every point, in order."""
        for first in range(0, self.documents, BATCH // CHUNKS):
            yield self._batch(range(first, min(first + BATCH // CHUNKS, self.documents)))

    def _batch(self, documents: range) -> list[Point]:
        size = len(documents)
        subjects = self._centres[self._rng.integers(len(self._centres), size=size)]
        subjects = subjects + 0.8 * self._rng.normal(size=(size, DIMENSION))
        vectors = np.repeat(subjects, CHUNKS, axis=0) + 0.6 * self._rng.normal(
            size=(size * CHUNKS, DIMENSION)
        )
        rows = zip(_unit(vectors), self._words(size * CHUNKS, WORDS), strict=True)
        start = documents.start * CHUNKS
        return [self._point(start + number, vector, words) for number, (vector, words) in enumerate(rows)]

    def _point(self, number: int, vector: FloatArray, words: npt.NDArray[np.int64]) -> Point:
        document = number // CHUNKS
        payload = {
            "doc_id": f"00000000-0000-4000-8000-{document:012d}",
            "source": f"source{document % 7}",
            "uri": f"pages/{document}.md",
            "title": None,
            "tenant": "acme",
            "classification_rank": 1,
            "acl": ["group:rare", "group:staff"] if document % RARE == 0 else ["group:staff"],
            "added": 1,
            "removed": CURRENT,
            "text": " ".join(f"word{word}" for word in words),
        }
        return Point(f"{str(NAMESPACE)[:24]}{number:012d}", vector, self._sparse(words), payload)

    def _words(self, rows: int, each: int) -> npt.NDArray[np.int64]:
        drawn = np.searchsorted(self._law, self._rng.random((rows, each)))
        return np.minimum(drawn, VOCABULARY - 1).astype(np.int64)

    @staticmethod
    def _sparse(words: npt.NDArray[np.int64]) -> SparseVector:
        indices, counts = np.unique(words, return_counts=True)
        return SparseVector(indices.astype(np.uint32), (2.2 * counts / (counts + 1.2)).astype(np.float32))


def _unit(vectors: npt.NDArray[np.float64]) -> FloatArray:
    unit: FloatArray = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return unit


def measure(points: int, queries: int, root: Path, embedder: Embedder | None) -> Iterator[Result]:
    """Fill once; scan, and measure again with the graph where the engine's default would build one."""
    corpus = Corpus(points, queries)
    scanning = EdgeEngine(root, tuning=EdgeTuning(graph_above=NEVER))
    began = time.perf_counter()
    with_points = scanning.writer(COLLECTION, VectorSpace(dimension=DIMENSION))
    for batch in corpus.batches():
        with_points.upsert(batch)
    with_points.flush()
    filled = time.perf_counter() - began
    with_points.close()
    tunings = {"scan": EdgeTuning(graph_above=NEVER)}
    if points > EdgeTuning().graph_above:
        tunings["graph"] = EdgeTuning()
    for name, tuning in tunings.items():
        engine = EdgeEngine(root, tuning=tuning)
        writer = engine.writer(COLLECTION, VectorSpace(dimension=DIMENSION))
        began = time.perf_counter()
        writer.optimize()
        optimized = time.perf_counter() - began
        token = engine.snapshot(COLLECTION)
        writer.close()
        reader = engine.reader(COLLECTION, token)
        load = os.getloadavg()[0]
        found = list(_latencies(corpus, reader, embedder))
        reader.close()
        yield Result(corpus.documents * CHUNKS, name, filled, optimized, load, found)


def _latencies(corpus: Corpus, reader: CollectionReader, embedder: Embedder | None) -> Iterator[Latency]:
    def request(condition: Condition, place: int) -> SearchRequest:
        return SearchRequest(
            limit=10, dense=corpus.vectors[place], sparse=corpus.terms[place], condition=condition
        )

    def search(wanted: SearchRequest) -> int:
        return len(reader.search(wanted))

    everyone, few = (All((visible_at(VERSION), access_condition(who))) for who in (ALL, FEW))
    count = len(corpus.terms)
    kinds: dict[str, Callable[[int], int]] = {
        "dense": lambda place: search(replace(request(everyone, place), sparse=None)),
        "sparse": lambda place: search(replace(request(everyone, place), dense=None)),
        "hybrid": lambda place: search(request(everyone, place)),
        "dense, acl 1%": lambda place: search(replace(request(few, place), sparse=None)),
        "hybrid, acl 1%": lambda place: search(request(few, place)),
    }
    for name, ask in kinds.items():
        yield timed(name, ask, count)
    if embedder is None:
        return

    def reread(place: int) -> int:
        hits = reader.search(replace(request(everyone, place), limit=READ))
        embedder.embed([str(hit.payload["text"]) for hit in hits])
        return len(hits)

    yield timed(f"hybrid, {READ} passages read", reread, min(count, RERANKED))


def timed(
    name: str, ask: Callable[[int], int], count: int, clock: Callable[[], float] = time.perf_counter
) -> Latency:
    """Each question once, after up to ten that are not counted."""
    for place in range(min(10, count)):
        ask(place)
    milliseconds, hits = [], []
    for place in range(count):
        began = clock()
        hits.append(ask(place))
        milliseconds.append(1000 * (clock() - began))
    p50, p95, p99 = (float(np.percentile(milliseconds, share)) for share in (50, 95, 99))
    return Latency(name, count, min(hits), p50, p95, p99)


def table(results: Sequence[Result]) -> str:
    """Markdown."""
    lines = [
        "| points | configuration | query | queries | fewest hits | p50 ms | p95 ms | p99 ms |",
        "|---:|---|---|" + "---:|" * 5,
    ]
    lines += [
        f"| {r.points:,} | {r.configuration} | {q.query} | {q.queries} | {q.hits} | {q.p50:.2f} | {q.p95:.2f} "
        f"| {q.p99:.2f} |"
        for r in results
        for q in r.latencies
    ]
    lines += [""]
    lines += [
        f"{r.points:,} points, {r.configuration}: filled in {r.fill_seconds:.0f} s, optimised in "
        f"{r.optimize_seconds:.0f} s; load {r.load:.1f}."
        for r in results
    ]
    return "\n".join(lines)


def run(sizes: Sequence[int], queries: int, *, rerank: bool = True) -> Iterator[Result]:
    """Measure each size in a folder of its own, that goes afterwards."""
    embedder = open_embedder(EmbeddingConfig(), shared_models_dir()) if rerank else None
    try:
        for points in sizes:
            with tempfile.TemporaryDirectory(prefix="rag-latency-") as folder:
                yield from measure(points, queries, Path(folder), embedder)
    finally:
        if embedder is not None:
            embedder.close()


def main() -> None:
    """Print a table, or one JSON object a line, as soon as each configuration is measured."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--points", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--no-rerank", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    for result in run(options.points, options.queries, rerank=not options.no_rerank):
        print(json.dumps(asdict(result)) if options.json else table([result]), flush=True)


if __name__ == "__main__":
    main()

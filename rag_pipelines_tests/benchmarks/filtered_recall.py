"""Recall and cost of the embedded engine under version and access filters, against exact search.

    python -m rag_pipelines_tests.benchmarks.filtered_recall --points 100000 [--graph] [--json]

Documents of eight chunks lie in clusters; rights and versions belong to documents. Half of a group's
rights follow the clusters, as a department's follow its topics, so that what a query may see often lies
far from it. Filters are composed as real queries compose them. The default configuration is searched as
it is served, through a reader on a snapshot. HNSW with Qdrant's default settings is searched in the same
run to show the trap, and with `--graph` also the graph that the engine builds beyond 300,000 points
(its full-scan threshold scaled to the number of points).
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import qdrant_edge as edge

from rag_pipelines.core.filters import EVERYTHING, All, Condition, Match, MatchAny, Range
from rag_pipelines.core.ids import NAMESPACE
from rag_pipelines.core.ports import SearchRequest
from rag_pipelines.core.types import CURRENT, FloatArray, Hit, Point, SparseVector, VectorSpace
from rag_pipelines.index.edge import EdgeEngine
from rag_pipelines.index.edge_shard import EdgeTuning
from rag_pipelines.index.edge_storage import allocated_bytes, collection_files
from rag_pipelines.index.edge_translate import edge_query
from rag_pipelines.index.points import visible_at
from rag_pipelines.index.translate import to_query

DIMENSION = 384
CHUNKS = 8
VERSION = 5
SHARES = (0.5, 0.12, 0.05, 0.01)
K = 10
TRAP = EdgeTuning(graph_above=0, m=16, ef_construct=100, full_scan_threshold=10_000, quantized=False)


@dataclass(frozen=True, slots=True)
class Corpus:
    """Vectors (points, 384), one payload a document, queries, and which points each filter lets through."""

    vectors: FloatArray
    payloads: list[dict[str, object]]
    queries: FloatArray
    conditions: dict[str, Condition]
    masks: dict[str, npt.NDArray[np.bool_]]


@dataclass(frozen=True, slots=True)
class FilterResult:
    """`fewest` is the smallest number of hits that one of the queries got."""

    filter: str
    share: float
    recall: float
    fewest: int
    p50_ms: float
    p95_ms: float


@dataclass(frozen=True, slots=True)
class Result:
    """One configuration of the engine; `snapshot_bytes` is what the copy takes on disk."""

    configuration: str
    points: int
    upserts_per_second: float
    optimize_seconds: float
    snapshot_seconds: float
    snapshot_bytes: int
    open_seconds: float
    filters: list[FilterResult]


def graph_tuning(points: int) -> EdgeTuning:
    """The graph of larger collections, its full-scan threshold scaled as if these were 300,000 points."""
    usual = EdgeTuning()
    threshold = usual.full_scan_threshold * points // usual.graph_above
    return replace(usual, graph_above=0, full_scan_threshold=threshold)


def make_corpus(points: int, queries: int, seed: int = 20) -> Corpus:
    """A seeded corpus; `points` is rounded down to whole documents."""
    rng = np.random.default_rng(seed)
    documents = points // CHUNKS
    centres = rng.normal(size=(max(20, documents // 20), DIMENSION))
    topic = rng.integers(len(centres), size=documents)
    subject = centres[topic] + 0.8 * rng.normal(size=(documents, DIMENSION))
    vectors = np.repeat(subject, CHUNKS, axis=0) + 0.6 * rng.normal(size=(documents * CHUNKS, DIMENSION))
    asked = centres[rng.integers(len(centres), size=queries)] + rng.normal(size=(queries, DIMENSION))
    added = rng.choice([1, 2, 3, 6], size=documents, p=[0.5, 0.3, 0.15, 0.05])
    removed = np.where(rng.random(documents) < 0.05, 4, CURRENT)
    tenant, rank = rng.random(documents) < 0.9, rng.choice(4, size=documents, p=[0.3, 0.6, 0.07, 0.03])
    allowed = (added <= VERSION) & (removed > VERSION) & tenant & (rank <= 1)
    conditions: dict[str, Condition] = {"none": EVERYTHING}
    masks = {"none": np.ones(documents * CHUNKS, dtype=np.bool_)}
    member: dict[str, npt.NDArray[np.bool_]] = {}
    for share in SHARES:
        each = 1 - (1 - share / float(allowed.mean())) ** (1 / 3)
        groups = tuple(f"group:{share}-{n}" for n in range(3))
        for group in groups:
            home = rng.random(len(centres)) < each / 2
            member[group] = home[topic] | (rng.random(documents) < each / 2)
        label = f"{share:.0%}"
        conditions[label] = All(
            (
                visible_at(VERSION),
                Match("tenant", "acme"),
                Range("classification_rank", lte=1),
                MatchAny("acl", groups),
            )
        )
        masks[label] = np.repeat(allowed & np.any([member[g] for g in groups], axis=0), CHUNKS)
    payloads: list[dict[str, object]] = [
        {
            "doc_id": f"00000000-0000-4000-8000-{n:012d}",
            "source": f"source{n % 7}",
            "tenant": "acme" if tenant[n] else "other",
            "classification_rank": int(rank[n]),
            "acl": [group for group, members in member.items() if members[n]],
            "added": int(added[n]),
            "removed": int(removed[n]),
            "text": "passage text " * 70,
        }
        for n in range(documents)
    ]
    return Corpus(_unit(vectors), payloads, _unit(asked), conditions, masks)


def _unit(vectors: npt.NDArray[np.float64]) -> FloatArray:
    unit: FloatArray = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return unit


def point_id(number: int) -> str:
    """A UUID whose last digits are the number."""
    return f"{str(NAMESPACE)[:24]}{number:012d}"


def exact_top(corpus: Corpus, label: str) -> list[set[str]]:
    """The ids of the best ten of each query by brute force."""
    allowed = np.flatnonzero(corpus.masks[label])
    scores = corpus.queries @ corpus.vectors[allowed].T
    best = np.argsort(-scores, axis=1)[:, :K]
    return [{point_id(int(allowed[n])) for n in row} for row in best]


def measure(name: str, corpus: Corpus, root: Path, tuning: EdgeTuning, *, plain: bool = False) -> Result:
    """Fill a collection, optimise it, copy it, and search the copy.

    `plain` searches with the engine's own default parameters and without the second, exact attempt.
    """
    engine = EdgeEngine(root, tuning=tuning)
    writer = engine.writer(name, VectorSpace(dimension=DIMENSION))
    points = make_points(corpus)
    clock = [time.perf_counter()]

    def lap() -> float:
        clock.append(time.perf_counter())
        return clock[-1] - clock[-2]

    writer.upsert(points)
    writer.flush()
    upsert = lap()
    writer.optimize()
    optimize = lap()
    token = engine.snapshot(name)
    snapshot = lap()
    writer.close()
    directory = collection_files(root, name).snapshots / token
    size = allocated_bytes(directory)
    lap()
    reader = engine.reader(name, token)
    opened = lap()
    search = plain_search(directory) if plain else reader.search
    filters = [_measure_filter(corpus, label, search) for label in corpus.conditions]
    reader.close()
    engine.drop(name)
    return Result(name, len(points), len(points) / upsert, optimize, snapshot, size, opened, filters)


def make_points(corpus: Corpus) -> list[Point]:
    """The corpus as points, with a few terms each."""
    rng = np.random.default_rng(1)
    weights = np.array([0.9, 1.1, 0.7, 1.3, 0.5], np.float32)
    return [
        Point(
            point_id(n),
            vector,
            SparseVector(np.sort(rng.choice(30_000, 5, replace=False)).astype(np.uint32), weights),
            {**corpus.payloads[n // CHUNKS], "ordinal": n % CHUNKS},
        )
        for n, vector in enumerate(corpus.vectors)
    ]


def plain_search(directory: Path) -> Callable[[SearchRequest], list[Hit]]:
    """Search a snapshot with the engine's own default parameters."""
    shard = edge.EdgeShard.load(str(directory))

    def search(request: SearchRequest) -> list[Hit]:
        query = to_query(request)
        if query is None:
            return []
        found = shard.query(edge_query(query.model_copy(update={"params": None})))
        return [Hit(str(point.id), point.score, point.payload or {}) for point in found]

    return search


def _measure_filter(corpus: Corpus, label: str, search: Callable[[SearchRequest], list[Hit]]) -> FilterResult:
    expected = exact_top(corpus, label)
    milliseconds, recalls, counts = [], [], []
    for query, best in zip(corpus.queries, expected, strict=True):
        request = SearchRequest(limit=K, dense=query, condition=corpus.conditions[label])
        started = time.perf_counter()
        hits = search(request)
        milliseconds.append(1000 * (time.perf_counter() - started))
        recalls.append(len(best & {hit.point_id for hit in hits}) / len(best))
        counts.append(len(hits))
    return FilterResult(
        filter=label,
        share=float(corpus.masks[label].mean()),
        recall=float(np.mean(recalls)),
        fewest=min(counts),
        p50_ms=float(np.percentile(milliseconds, 50)),
        p95_ms=float(np.percentile(milliseconds, 95)),
    )


def table(results: list[Result]) -> str:
    """The results as two Markdown tables."""
    lines = [
        "| configuration | points | upserts/s | optimise s | snapshot s | snapshot MB | open s |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {r.configuration} | {r.points:,} | {r.upserts_per_second:,.0f} | {r.optimize_seconds:.1f} | "
        f"{r.snapshot_seconds:.2f} | {r.snapshot_bytes / 1e6:,.0f} | {r.open_seconds:.2f} |"
        for r in results
    ]
    lines += ["", "| configuration | filter | share | recall@10 | fewest hits | p50 ms | p95 ms |"]
    lines += ["|---|---|---|---|---|---|---|"]
    lines += [
        f"| {r.configuration} | {f.filter} | {f.share:.1%} | {f.recall:.4f} | {f.fewest} | {f.p50_ms:.2f} | "
        f"{f.p95_ms:.2f} |"
        for r in results
        for f in r.filters
    ]
    return "\n".join(lines)


def run(points: int, queries: int, *, trap: bool = True, graph: bool = False) -> list[Result]:
    """Measure each configuration on the same corpus in a temporary directory."""
    corpus = make_corpus(points, queries)
    with tempfile.TemporaryDirectory(prefix="filtered-recall-") as directory:
        root = Path(directory)
        results = [measure("default", corpus, root, EdgeTuning())]
        if trap:
            results.append(measure("hnsw_default_settings", corpus, root, TRAP, plain=True))
        if graph:
            results.append(measure("graph_beyond_limit", corpus, root, graph_tuning(points)))
    return results


def main() -> None:
    """Print the tables, or one JSON object; exit with 1 where the default's recall is below 0.98."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--points", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument(
        "--graph", action="store_true", help="also measure the graph used beyond 300,000 points"
    )
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    results = run(options.points, options.queries, graph=options.graph)
    print(json.dumps({"results": [asdict(r) for r in results]}) if options.json else table(results))
    if min(f.recall for f in results[0].filters) < 0.98:
        raise SystemExit(1)


if __name__ == "__main__":
    main()

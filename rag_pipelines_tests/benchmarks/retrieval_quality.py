"""How well an index answers, by retrieval setting: nDCG@10, R@100 and milliseconds through the real Searcher.

    python -m rag_pipelines_tests.benchmarks.retrieval_quality [--sets scifact cranfield] [--home FOLDER]
        [--rerank MODEL] [--questions N] [--json]

Each set is indexed once below `--home` by the real pipeline with the bundled model; a second run embeds nothing.
Conditions differ in the index's `retrieval` section only. Judgements are of documents, so a document stands where
its first passage does. Searches ask for 100 passages; documents of several chunks leave fewer than 100 documents
for R@100. `p` is of a paired randomisation test of nDCG@10 against the better of dense and BM25.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from rag_pipelines.config.load import load_configuration
from rag_pipelines.config.retrieval import RetrievalConfig
from rag_pipelines.retrieval.opening import Searchers
from rag_pipelines_tests.benchmarks.late_interaction import NAME, LateInteraction
from rag_pipelines_tests.benchmarks.retrieval_sets import ASKER, INDEX, SETS, JudgedSet, open_set

K = 100
RESAMPLES = 100_000
SEED = 20261122
REPORTED = ("scifact", "cranfield", "vaswani_npl", "awsdocs_dev")
SINGLE = ("BM25", "dense")
OFF = {"passages": 0}

CONDITIONS: Mapping[str, Mapping[str, Any]] = {
    "BM25": {"mode": "sparse"},
    "dense": {"mode": "dense"},
    "RRF": {"fusion": "rrf", "feedback": OFF},
    "DBSF": {"feedback": OFF},
    "DBSF, dense 0.8": {"feedback": OFF, "weights": {"dense": 0.8}},
    "DBSF, sparse 0.8": {"feedback": OFF, "weights": {"sparse": 0.8}},
    "DBSF, feedback (default)": {},
    "default, MaxSim of 50": {"rerank": {"model": NAME, "top_n": 50, "seconds": 60, "weight": 0.5}},
}


@dataclass(frozen=True, slots=True)
class Quality:
    """Of one condition on one set; `gain` and `p_value` are of nDCG@10 against the better single ranking."""

    set: str
    condition: str
    questions: int
    ndcg: float
    recall: float
    p50_ms: float
    p95_ms: float
    gain: float | None = None
    p_value: float | None = None


def conditions(rerank: str | None) -> dict[str, Mapping[str, Any]]:
    """The fixed ones, and with a model the default reranked by it, with room for its reading."""
    found = dict(CONDITIONS)
    if rerank is not None:
        found["reranked"] = {"rerank": {"model": rerank, "seconds": 60}}
    return found


def first(judged: JudgedSet, questions: int | None) -> JudgedSet:
    """The set with that many of its questions, to try the program out; figures of it mean nothing."""
    asked = dict(islice(judged.queries.items(), questions))
    return replace(judged, queries=asked, qrels={name: judged.qrels[name] for name in asked})


def measure(judged: JudgedSet, asked: Mapping[str, Mapping[str, Any]]) -> list[Quality]:
    """Every condition on one set, and how each compares with the better of dense and BM25."""
    values: dict[str, tuple[dict[str, float], dict[str, float], list[float]]] = {}
    for name, settings in asked.items():
        run, milliseconds = answers(judged, settings)
        values[name] = (*scored(judged.qrels, run), milliseconds)
    best = max((name for name in SINGLE if name in values), key=lambda name: fmean(values[name][0].values()))
    return [
        _quality(judged.name, name, *values[name], None if name in SINGLE else values[best][0])
        for name in values
    ]


def answers(judged: JudgedSet, settings: Mapping[str, Any]) -> tuple[dict[str, list[str]], list[float]]:
    """The documents of each question best first, and the milliseconds of each search."""
    environment = judged.environment
    configuration = load_configuration(environment.configs)
    retrieval = RetrievalConfig.model_validate(settings)
    chosen = configuration.indexes[INDEX].model_copy(update={"retrieval": retrieval})
    configuration = replace(configuration, indexes={INDEX: chosen})
    run: dict[str, list[str]] = {}
    took: list[float] = []
    with Searchers(environment, configuration) as searchers:
        searcher = searchers.get(INDEX)
        if retrieval.rerank is not None and retrieval.rerank.model == NAME:
            searcher.parts = replace(searcher.parts, reranker=LateInteraction())
        searcher.warm()
        for query_id, text in judged.queries.items():
            began = time.perf_counter()
            passages = searcher.search(text, K, ASKER).passages
            took.append((time.perf_counter() - began) * 1000)
            run[query_id] = list(dict.fromkeys(passage.citation.uri for passage in passages))
    return run, took


def scored(
    qrels: Mapping[str, Mapping[str, int]], run: Mapping[str, Sequence[str]]
) -> tuple[dict[str, float], dict[str, float]]:
    """nDCG@10 and R@100 of every judged question; one without an answer has 0."""
    import ir_measures
    from ir_measures import R, nDCG

    ndcg, recall = nDCG @ 10, R @ 100
    # Documents are numbered: evaluators want names without white space, which a uri need not be.
    names = {uri: f"d{number}" for number, uri in enumerate(sorted({u for q in qrels.values() for u in q}))}
    judged = {q: {names[uri]: grade for uri, grade in grades.items()} for q, grades in qrels.items()}
    ranked = {
        q: {names.get(uri, f"x{place}"): float(len(uris) - place) for place, uri in enumerate(uris)}
        for q, uris in run.items()
        if uris
    }
    found = {ndcg: dict.fromkeys(qrels, 0.0), recall: dict.fromkeys(qrels, 0.0)}
    for metric in ir_measures.iter_calc([ndcg, recall], judged, ranked):
        found[metric.measure][metric.query_id] = float(metric.value)
    return found[ndcg], found[recall]


def randomisation(ours: Mapping[str, float], theirs: Mapping[str, float]) -> float:
    """Two-sided p of the paired randomisation test: how often random signs differ as much as the measured ones."""
    differences = np.array([ours[query_id] - theirs[query_id] for query_id in ours])
    observed = abs(differences.sum())
    rng = np.random.default_rng(SEED)
    extreme = done = 0
    while done < RESAMPLES:
        rows = min(10_000, RESAMPLES - done)
        signs = rng.integers(0, 2, size=(rows, differences.size), dtype=np.int8) * 2 - 1
        extreme += int((np.abs(signs @ differences) >= observed - 1e-12).sum())
        done += rows
    return (extreme + 1) / (RESAMPLES + 1)


def _quality(
    name: str,
    condition: str,
    ndcg: Mapping[str, float],
    recall: Mapping[str, float],
    milliseconds: Sequence[float],
    single: Mapping[str, float] | None,
) -> Quality:
    mean = fmean(ndcg.values())
    p50, p95 = np.percentile(milliseconds, (50, 95))
    return Quality(
        name,
        condition,
        len(ndcg),
        mean,
        fmean(recall.values()),
        float(p50),
        float(p95),
        None if single is None else mean - fmean(single.values()),
        None if single is None else randomisation(ndcg, single),
    )


def table(rows: Sequence[Quality]) -> str:
    """Markdown."""
    lines = [
        "| set | condition | questions | nDCG@10 | R@100 | p50 ms | p95 ms | gain | p |",
        "|---|---|" + "---:|" * 7,
    ]
    for row in rows:
        gain = "" if row.gain is None else f"{row.gain:+.4f}"
        p_value = "" if row.p_value is None else f"{row.p_value:.5f}"
        lines.append(
            f"| {row.set} | {row.condition} | {row.questions} | {row.ndcg:.4f} | {row.recall:.4f} "
            f"| {row.p50_ms:.1f} | {row.p95_ms:.1f} | {gain} | {p_value} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Print the table or one JSON list."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--sets", nargs="+", choices=sorted(SETS), default=list(REPORTED))
    parser.add_argument("--home", type=Path, help="where the indexes are kept for the next run")
    parser.add_argument(
        "--rerank", metavar="MODEL", help="a CrossEncoder by name or path, as one more condition"
    )
    parser.add_argument("--questions", type=int, metavar="N", help="ask the first N of each set only")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rag-quality-") as scratch:
        home = (options.home or Path(scratch)).resolve()
        asked = conditions(options.rerank)
        sets = (first(open_set(name, home), options.questions) for name in options.sets)
        rows = [row for judged in sets for row in measure(judged, asked)]
    print(json.dumps([asdict(row) for row in rows]) if options.json else table(rows))


if __name__ == "__main__":
    main()

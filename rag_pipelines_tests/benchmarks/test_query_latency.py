"""The latency benchmark asks what it says, when small."""

from __future__ import annotations

import json
from dataclasses import asdict
from itertools import count

from rag_pipelines_tests.benchmarks.query_latency import Corpus, run, table, timed


def test_a_small_collection_answers_every_kind_of_query() -> None:
    (result,) = run([1600], 12, rerank=False)
    assert (result.points, result.configuration) == (1600, "scan")
    assert [row.query for row in result.latencies] == [
        "dense",
        "sparse",
        "hybrid",
        "dense, acl 1%",
        "hybrid, acl 1%",
    ]
    assert [row.hits for row in result.latencies if row.query != "sparse"] == [10, 10, 10, 10]
    assert all(0 < row.p50 <= row.p95 <= row.p99 for row in result.latencies)
    assert json.loads(json.dumps(asdict(result)))["points"] == 1600
    assert "| 1,600 | scan | hybrid, acl 1% | 12 | 10 |" in table([result])


def test_one_document_in_a_hundred_is_for_the_rare_group() -> None:
    rare = [
        point.payload["doc_id"]
        for batch in Corpus(8 * 250, 1).batches()
        for point in batch
        if "group:rare" in point.payload["acl"]
    ]
    assert len(rare) == 3 * 8
    assert len(set(rare)) == 3


def test_percentiles_are_of_the_counted_questions_alone() -> None:
    ticks = count()
    asked: list[int] = []

    def ask(place: int) -> int:
        asked.append(place)
        return 7

    row = timed("x", ask, 2, lambda: float(next(ticks)))
    assert asked == [0, 1, 0, 1]
    assert (row.queries, row.hits, row.p50, row.p99) == (2, 7, 1000.0, 1000.0)

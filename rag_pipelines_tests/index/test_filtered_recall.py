"""The benchmark of filtered recall on a small corpus: recall only, no times."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from rag_pipelines.index.edge_shard import EdgeTuning
from rag_pipelines_tests.benchmarks.filtered_recall import (
    Corpus,
    graph_tuning,
    make_corpus,
    measure,
    table,
)


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return make_corpus(5000, 40)


@pytest.mark.parametrize(
    "tuning",
    [EdgeTuning(), pytest.param(graph_tuning(5000), marks=pytest.mark.slow)],
    ids=["default", "graph"],
)
def test_filters_cost_no_recall(corpus: Corpus, tmp_path: Path, tuning: EdgeTuning) -> None:
    result = measure("c", corpus, tmp_path, tuning)
    assert [f.filter for f in result.filters] == ["none", "50%", "12%", "5%", "1%"]
    assert [round(f.share, 2) for f in result.filters] == [1, 0.41, 0.16, 0.04, 0.03]
    for found in result.filters:
        assert found.recall >= 0.98, found
        assert found.fewest == 10, found
    assert "| c | 5,000 |" in table([result])
    assert json.loads(json.dumps(asdict(result)))["points"] == 5000
    assert result.snapshot_bytes > 5000 * 384 * 4

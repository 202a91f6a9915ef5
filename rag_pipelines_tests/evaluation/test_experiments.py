"""Sizes, fronts, and the table of an experiment, on numbers that can be worked out by hand."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from rag_pipelines.config.experiment import ExperimentConfig
from rag_pipelines.config.models import IndexConfig
from rag_pipelines.core.types import SparseVector, StoredPoint
from rag_pipelines.evaluation.costs import IndexSize, SizeOf
from rag_pipelines.evaluation.experiment_report import render_experiment
from rag_pipelines.evaluation.experiments import Build, Measured, Row, rows_of
from rag_pipelines.evaluation.grids import Variant
from rag_pipelines.evaluation.pareto import pareto_front
from rag_pipelines.evaluation.runs import Run
from rag_pipelines.evaluation.suites import Suite
from rag_pipelines_tests.evaluation.samples import HEADER, query, run_of, suite_of

IDS = ("a", "b", "c", "d", "e", "f")


def test_the_size_of_points() -> None:
    sparse = SparseVector(np.array([3, 9], dtype=np.uint32), np.ones(2, dtype=np.float32))
    points = [
        StoredPoint("1", {"text": "ä"}, np.zeros(5, dtype=np.float32), sparse),
        StoredPoint("2", {}, np.zeros(5, dtype=np.float32)),
    ]
    counted = SizeOf()
    assert list(counted.counted(points)) == points
    # Two vectors of 5 x 4 bytes and two terms of 8; `{"text": "ä"}` is 14 bytes in UTF-8 and `{}` 2.
    assert counted.size == IndexSize(chunks=2, vector_bytes=56, payload_bytes=16)
    assert counted.size.bytes == 72


@pytest.mark.parametrize(
    ("quality", "costs", "front"),
    [
        ([0.9, 0.8, 0.7], {"ms": [5, 5, 5]}, [True, False, False]),
        ([0.9, 0.8, 0.7], {"ms": [9, 5, 6]}, [True, True, False]),
        ([0.9, 0.8, 0.7], {"ms": [9, 5, 6], "bytes": [3, 3, 1]}, [True, True, True]),
        ([0.9, 0.9], {"ms": [5, 5]}, [True, True]),
        ([0.9, 0.9], {"ms": [5, 6]}, [True, False]),
    ],
)
def test_the_front(quality: list[float], costs: dict[str, list[float]], front: list[bool]) -> None:
    assert pareto_front(quality, costs) == front


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    """Six questions, each answered by the document of its name."""
    return suite_of(
        tmp_path,
        [query(name) for name in IDS],
        [HEADER, *(f"{name}\t{name}\t1" for name in IDS)],
        measures=("RR@10",),
    )


def measured(suite: Suite, label: str, run: Run, *, ms: float, seconds: float, size: int) -> Measured:
    queries = {name: msgspec.structs.replace(one, ms=ms, cpu_ms=2 * ms) for name, one in run.queries.items()}
    build = Build(f"v{label}", 1, IndexSize(10, size, 5), 1.0, seconds)
    variant = Variant({"chunking": label}, {}, IndexConfig(index="knowledge"))
    return Measured(variant, build, msgspec.structs.replace(run, queries=queries), f"runs/{label}", False)


@pytest.fixture
def rows(suite: Suite) -> tuple[Row, ...]:
    """The first finds all documents second, the next all of them first, the last only two, but fast."""
    first = run_of(suite, {name: ["x", name] for name in IDS})
    better = run_of(suite, {name: [name] for name in IDS})
    cheap = run_of(suite, {"a": ["a"], "b": ["b"]})
    config = ExperimentConfig(experiment="tried", suite="small")
    return rows_of(
        suite,
        config,
        [
            measured(suite, "first", first, ms=20, seconds=3, size=100),
            measured(suite, "better", better, ms=10, seconds=3, size=100),
            measured(suite, "cheap", cheap, ms=1, seconds=1, size=50),
        ],
    )


def test_variants_are_compared_with_the_first(rows: tuple[Row, ...]) -> None:
    assert [row.name for row in rows] == ["first", "better", "cheap"]
    assert [row.summary.measures["RR@10"].mean for row in rows] == pytest.approx([0.5, 1.0, 1 / 3])
    assert rows[0].difference is None
    # All six questions gain as much: of 64 outcomes of the signs two are as extreme, and two variants are tested.
    assert rows[1].p_holm == pytest.approx(2 * 2 / 64)
    assert rows[2].difference is not None
    assert rows[2].difference.mean == pytest.approx(-1 / 6)
    assert [row.verdict for row in rows] == [
        "baseline",
        "no significant difference",
        "no significant difference",
    ]
    assert [row.on_front for row in rows] == [False, True, True]


def test_costs_of_a_variant(rows: tuple[Row, ...]) -> None:
    assert [rows[1].cost(name) for name in ("latency", "bytes", "build_seconds")] == [10.0, 105.0, 4.0]
    stated = rows[1].as_json()
    assert (stated["cpu_ms"], stated["chunks"], stated["pareto"]) == (20.0, 10, True)
    assert stated["settings"]["retrieval"]["fusion"] == "dbsf"


def test_the_page(suite: Suite, rows: tuple[Row, ...]) -> None:
    config = ExperimentConfig.model_validate(
        {
            "experiment": "tried",
            "suite": "small",
            "grid": {"chunking": {"first": {}, "better": {}, "cheap": {}}},
        }
    )
    page = render_experiment(config, suite, rows, {"Documents": "6 <b>"})
    assert page.count("<svg") == 3
    assert page.count('class="front"') == 6  # two of three dots in each plot
    assert "6 &lt;b&gt;" in page
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")
    # `cheap` costs 1 ms of the 20 that the axis ends at: a twentieth of the way from 64 to 700.
    assert '<circle class="front" cx="95.8"' in page

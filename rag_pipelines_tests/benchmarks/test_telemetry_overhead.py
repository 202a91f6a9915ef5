"""The benchmark of telemetry's cost runs, and subtracts what it says it does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rag_pipelines_tests.benchmarks.telemetry_overhead import KINDS, _overhead, measure, table


def test_differences_are_of_pairs() -> None:
    found = _overhead("both", np.array([3.0, 5.0, 10.0]), np.array([2.0, 3.0, 9.0]))
    assert (found.p50, found.more_p50) == (5.0, 1.0)
    assert found.more_mean == pytest.approx(4 / 3)
    assert 1.0 <= found.low <= found.more_mean <= found.high <= 2.0


def test_it_runs(tmp_path: Path) -> None:
    found = measure(3, 2, tmp_path)
    assert [one.kind for one in found] == list(KINDS)
    assert all(one.searches == 2 and one.p50 > 0 for one in found)
    assert found[0].more_mean == 0
    assert len(table(found).splitlines()) == 2 + len(KINDS)

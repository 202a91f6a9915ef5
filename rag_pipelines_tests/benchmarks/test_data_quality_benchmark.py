"""The replay that looks for false alarms, on a small history."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag_pipelines_tests.benchmarks.data_quality import replay
from rag_pipelines_tests.benchmarks.small_history import STATES, commit_states

pytestmark = pytest.mark.slow


def test_a_small_history_raises_no_alarm(tmp_path: Path) -> None:
    found = replay(str(commit_states(tmp_path / "history")), len(STATES), tmp_path)
    assert found["versions"] >= 4
    assert found["refused"] == {}
    assert found["nearest"]["chunks_size"] <= 1.0

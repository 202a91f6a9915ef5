"""The benchmark counts cases and differences."""

from __future__ import annotations

import pytest

from rag_pipelines_tests.access.oracle import Judge
from rag_pipelines_tests.benchmarks import access_oracle


def test_cases_are_counted_and_differences_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    found = access_oracle.run(3, engines=("edge",), askers=2)
    assert (found["cases"], found["corpora"], found["differing"], found["first"]) == (3, 2, 0, [])

    monkeypatch.setattr(Judge, "papers", lambda *_: {})
    wrong = access_oracle.run(8, engines=("edge",), askers=8)
    assert wrong["differing"] > 0
    assert 0 < len(wrong["first"]) <= access_oracle.SHOWN

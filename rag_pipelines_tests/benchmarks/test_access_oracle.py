"""The benchmark counts cases and differences."""

from __future__ import annotations

import pytest

from rag_pipelines_tests.access import oracle
from rag_pipelines_tests.access.corpus import Case
from rag_pipelines_tests.access.world import World
from rag_pipelines_tests.benchmarks import access_oracle


def test_cases_are_counted_and_differences_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Case] = []

    def judge(world: World, case: Case) -> list[str]:
        asked.append(case)
        return oracle.judge(world, case) if len(asked) == 1 else ["one", "two"]

    monkeypatch.setattr(access_oracle, "judge", judge)
    found = access_oracle.run(3, engines=("edge",), askers=2)
    assert (found["cases"], found["corpora"], found["differing"]) == (3, 2, 2)
    assert found["first"] == [
        f"corpus {corpus} on edge: {name}" for corpus in (0, 1) for name in ("one", "two")
    ]

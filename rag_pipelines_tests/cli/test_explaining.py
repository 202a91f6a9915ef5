"""`search --explain` says of each passage where the rankings have it, and which terms match."""

from __future__ import annotations

import re

from rag_pipelines_tests.cli.conftest import Commands


def test_a_search_explains_itself_to_people_and_to_scripts(fresh: Commands) -> None:
    fresh.project.sync()
    question = ("search", "What does ERR_4217 mean for the valve?", "-k", "2")

    plain = fresh.run(*question).stdout
    assert "why:" not in plain
    assert all("explanation" not in passage for passage in fresh.json(*question)["passages"])

    lines = fresh.run(*question, "--explain").stdout.splitlines()
    (first, *_) = [number for number, line in enumerate(lines) if line.startswith("   why: ")]
    assert re.fullmatch(
        r"   why: dense #1 \(0\.\d{3}\), sparse #1 \(\d+\.\d{3}\), fused #1 \(\d\.\d{3}\)", lines[first]
    )
    assert lines[first + 1] == "   matched terms: err_4217, err, 4217, mean, valv"

    best = fresh.json(*question, "--explain")["passages"][0]["explanation"]
    assert [best[name]["rank"] for name in ("dense", "sparse", "fused")] == [1, 1, 1]
    assert best["rerank"] is None
    assert best["matched"] == ["err_4217", "err", "4217", "mean", "valv"]

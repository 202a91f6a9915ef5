"""The benchmark measures what it says, on pages small enough to count by hand."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from rag_pipelines_tests.benchmarks.near_duplicates import measure, tables

WORDS = [f"word{number}" for number in range(204)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """200 shingles; the same but for its last word; half of them; nothing shared; no word at all."""
    pages = {
        "a.md": WORDS,
        "b.md": [*WORDS[:-1], "changed"],
        "half.md": WORDS[:104],
        "other.md": [f"else{number}" for number in range(204)],
        "empty.md": ["---"],
    }
    for name, words in pages.items():
        (tmp_path / name).write_text(" ".join(words), encoding="utf-8")
    labels = {("a", "b"): 0.99, ("half", "a"): 0.5, ("a", "other"): 0.0, ("b", "empty"): 0.1}
    rows = [{"a": f"{a}.md", "b": f"{b}.md", "jaccard5": label} for (a, b), label in labels.items()]
    (tmp_path / "pairs.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return tmp_path


def test_what_is_measured(folder: Path) -> None:
    report = measure(folder, 1, folder / "plot.svg")
    assert report.documents == 5
    assert report.agreement.pairs == 4
    assert report.agreement.beyond_rounding == 1
    assert report.agreement.largest_difference == pytest.approx(0.1)
    assert {(row.positives, row.precision, row.recall) for row in report.quality} == {(1, 1.0, 1.0)}
    assert {row.compared for row in report.quality if row.exact} == {1.0}
    assert [(row.rule, row.kept, row.unlike_representative) for row in report.collapse] == [
        ("whole cluster", 4, 0),
        ("similar pair", 4, 0),
    ]
    assert report.collapse[0].least_similarity == pytest.approx(199 / 201)
    assert all(row.rmse < 0.15 for row in report.errors)
    assert "| shingling and signing |" in tables(report)
    circles = ElementTree.parse(folder / "plot.svg").findall(".//{http://www.w3.org/2000/svg}circle")
    assert len(circles) == 3

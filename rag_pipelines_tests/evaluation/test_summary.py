"""Means, slices and comparisons, on five queries."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest

from rag_pipelines.core.errors import ConfigError
from rag_pipelines.core.ids import document_id
from rag_pipelines.evaluation.running import Answer
from rag_pipelines.evaluation.suites import IndexDocument, Suite
from rag_pipelines.evaluation.summary import (
    UNKNOWN,
    Latency,
    check_same_suite,
    compare,
    percentile,
    slices_of,
    summarise,
)
from rag_pipelines_tests.evaluation.samples import HEADER, passage, query, run_of, suite_of

QRELS = [HEADER, "a\td1\t1", "b\td2\t1", "b\td1\t0", "c\td3\t1", "d\td1\t1", "d\td2\t1"]


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    """Four judged queries and one without an answer."""
    queries = [
        query("a", team="x", tags=["p", "q"]),
        query("b", team="y", tags=[]),
        query("c", tags="q", urgent=True),
        query("d", team="x"),
        query("n", answerable=False),
    ]
    return suite_of(
        tmp_path,
        queries,
        QRELS,
        measures=["RR@10", "P@1"],
        slices=["source", "language", "team", "tags", "urgent"],
    )


def document(uri: str, source: str = "docs", **fields: str) -> IndexDocument:
    """A document of the index."""
    return IndexDocument(document_id(source, uri), source, uri, **fields)  # type: ignore[arg-type]


DOCUMENTS = [document("d1", language="en"), document("d2", "wiki", language="de"), document("x", "other")]


def test_slices(suite: Suite) -> None:
    """d1 is not relevant to b, d3 is not in the index, and d has a document of each source."""
    assert slices_of(suite, DOCUMENTS) == {
        "source": {UNKNOWN: ("c",), "docs": ("a", "d"), "wiki": ("b", "d")},
        "language": {UNKNOWN: ("c",), "de": ("b", "d"), "en": ("a", "d")},
        "team": {UNKNOWN: ("c",), "x": ("a", "d"), "y": ("b",)},
        "tags": {UNKNOWN: ("b", "d"), "p": ("a",), "q": ("a", "c")},
        "urgent": {UNKNOWN: ("a", "b", "d"), "true": ("c",)},
    }


def test_a_document_without_the_value_is_unknown(suite: Suite) -> None:
    found = slices_of(suite, [document("d1"), document("d2", language="de"), document("d3", language="de")])
    assert found["language"] == {UNKNOWN: ("a", "d"), "de": ("b", "c", "d")}


def test_summary_by_hand(suite: Suite) -> None:
    """RR: a 1, b 1/2, c 0 (nothing found), d 1."""
    run = run_of(suite, {"a": ["d1"], "b": ["d1", "d2"], "d": ["d2"]})
    times = {"a": 10.0, "b": 20.0, "c": 30.0, "d": 40.0, "n": 50.0}
    run = msgspec.structs.replace(
        run,
        queries={key: msgspec.structs.replace(one, ms=times[key]) for key, one in run.queries.items()},
        short=("a",),
    )
    summary = summarise(suite, run, slices_of(suite, DOCUMENTS))
    assert (summary.suite, summary.label, summary.queries, summary.empty, summary.short) == (
        "small",
        "handbook version 1",
        4,
        1,
        1,
    )
    assert {name: interval.mean for name, interval in summary.measures.items()} == {
        "RR@10": 0.625,
        "P@1": 0.5,
    }
    interval = summary.measures["RR@10"]
    assert 0 <= interval.low < 0.625 < interval.high <= 1
    assert summary.latency == Latency(30.0, 48.0)
    of = {(one.name, one.value): one for one in summary.slices}
    assert of["source", "wiki"].measures["RR@10"].mean == 0.75
    assert of["team", "x"].query_ids == ("a", "d")
    assert of["team", "x"].measures["P@1"].mean == 1.0


def test_as_json(suite: Suite) -> None:
    run = run_of(suite, {query_id: Answer([passage("d1")], 0.5, True) for query_id in suite.queries})
    data = json.loads(json.dumps(summarise(suite, run, slices_of(suite, DOCUMENTS)).as_json()))
    assert data["measures"]["P@1"]["mean"] == 0.5
    assert data["slices"][1]["value"] == "docs"
    assert data["slices"][1]["queries"] == 2
    assert "query_ids" not in data["slices"][1]
    assert data["abstention"]["answered_wrongly"] == 1


def test_a_run_of_other_content_is_refused(suite: Suite) -> None:
    run = msgspec.structs.replace(run_of(suite, {}), suite_hash="0" * 64)
    with pytest.raises(ConfigError, match="not of suite small as it is now"):
        summarise(suite, run)


def test_comparison_by_hand(suite: Suite) -> None:
    """RR ours 1 .5 1 1 against 1 0 1 0: b and d won, so of 4 outcomes 2 are as extreme."""
    ours = run_of(suite, {"a": ["d1"], "b": ["x", "d2"], "c": ["d3"], "d": ["d1"]})
    theirs = run_of(suite, {"a": ["d1"], "c": ["d3"]})
    found = compare(ours, theirs)
    assert list(found) == ["RR@10", "P@1"]
    rr, p = found["RR@10"], found["P@1"]
    assert (rr.ours, rr.theirs, rr.interval.mean) == (0.875, 0.5, 0.375)
    assert (rr.wins, rr.losses, rr.ties) == (2, 0, 2)
    assert (rr.p_value, p.p_value) == (0.5, 1.0)
    assert (rr.p_holm, p.p_holm) == (1.0, 1.0)
    assert rr.verdict == "no significant difference"
    assert compare(ours, theirs, alternative="greater")["RR@10"].p_value == 0.25
    assert compare(theirs, ours)["RR@10"].losses == 2


def test_comparison_of_a_slice(suite: Suite) -> None:
    ours = run_of(suite, {"a": ["d1"], "b": ["x", "d2"], "c": ["d3"], "d": ["d1"]})
    theirs = run_of(suite, {"a": ["d1"], "c": ["d3"]})
    found = compare(ours, theirs, ("a", "b"))["RR@10"]
    assert (found.ours, found.theirs, found.wins, found.losses, found.ties) == (0.75, 0.5, 1, 0, 1)


def test_verdicts(tmp_path: Path) -> None:
    """Ten queries, all won: 2 of 1024 outcomes, and twice that for two measures."""
    ids = [f"q{number}" for number in range(10)]
    suite = suite_of(
        tmp_path,
        [query(one) for one in ids],
        [HEADER, *(f"{one}\td\t1" for one in ids)],
        measures=["RR@10", "P@1"],
    )
    good, bad = run_of(suite, {one: ["d"] for one in ids}), run_of(suite, {})
    better = compare(good, bad)["RR@10"]
    assert (better.p_value, better.p_holm) == (2 / 1024, 4 / 1024)
    assert (better.verdict, compare(bad, good)["RR@10"].verdict) == ("better", "worse")
    assert (better.interval.low, better.interval.high) == (1.0, 1.0)


def test_only_runs_of_the_same_suite_are_compared(suite: Suite) -> None:
    run = run_of(suite, {"a": ["d1"]})
    check_same_suite(run, run)
    for change, message in (
        ({"suite": "other"}, "one is of suite small, the other of other"),
        ({"suite_hash": "0" * 64}, "the content of suite small changed"),
        ({"level": "passage"}, "judged by document, the other by passage"),
        ({"measures": ("AP@10",)}, "no measure in common"),
    ):
        with pytest.raises(ConfigError, match=message):
            compare(run, msgspec.structs.replace(run, **change))


def test_measures_that_only_one_run_has_are_left_out(suite: Suite) -> None:
    run = run_of(suite, {"a": ["d1"]})
    assert list(compare(run, msgspec.structs.replace(run, measures=("P@1", "AP@5")))) == ["P@1"]


def test_percentiles() -> None:
    assert percentile([4.0, 1.0, 3.0, 2.0], 50) == 2.5
    assert percentile(list(np.arange(101.0)), 95) == 95.0
    assert percentile([], 95) == 0.0

"""Rankings and measures, computed by hand from their definitions."""

from __future__ import annotations

from math import log2
from pathlib import Path

import pytest

from rag_pipelines.core.types import Passage
from rag_pipelines.evaluation.measures import rank, score
from rag_pipelines.evaluation.qrels import Judgement
from rag_pipelines.evaluation.runs import Place
from rag_pipelines.evaluation.suites import Suite
from rag_pipelines_tests.evaluation.samples import HEADER, SPANS, passage, query, suite_of


@pytest.fixture
def graded(tmp_path: Path) -> Suite:
    """Query a: d1 3, d2 1, d3 0; query b: d1 1; query n has no answer."""
    return suite_of(
        tmp_path,
        [query("a"), query("b"), query("n", answerable=False)],
        [HEADER, "a\td1\t3", "a\td2\t1", "a\td3\t0", "b\td1\t1"],
    )


def spans(tmp_path: Path, *rows: str) -> Suite:
    """One query `a` whose judgements are `document start end grade`."""
    lines = ["\t".join(["a", *row.split()]) for row in rows]
    return suite_of(tmp_path, [query("a")], [SPANS, *lines], level="passage")


def units(suite: Suite, *passages: Passage) -> tuple[list[str], list[int | None]]:
    """The ranking of query a."""
    found = rank(suite, "a", passages)
    return [place.unit for place in found.places], list(found.grades)


def test_a_document_stands_where_its_first_passage_does(graded: Suite) -> None:
    found = rank(
        graded,
        "a",
        [passage("x", 9), passage("d2", 8), passage("x", 7, start=5), passage("d1", 6), passage("d3", 5)],
    )
    assert found.places == (Place("x", 9), Place("d2", 8), Place("d1", 6), Place("d3", 5))
    assert found.grades == (None, 1, None, 3, 0)


def test_a_query_without_judgements_has_places_and_no_grade(graded: Suite) -> None:
    found = rank(graded, "n", [passage("d1")])
    assert ([place.unit for place in found.places], found.grades) == (["d1"], (None,))


def test_a_document_of_another_source_takes_a_place_and_is_not_relevant(tmp_path: Path) -> None:
    suite = suite_of(tmp_path, [query("a")], [HEADER, "a\td1\t1"], source="docs")
    other = passage("d1", source="mirror")
    found = rank(suite, "a", [other, passage("d1")])
    assert [place.unit for place in found.places] == [other.citation.doc_id, "d1"]
    assert found.grades == (None, 1)
    assert score(suite, {"a": found.places})["a"]["RR@10"] == 0.5


def test_measures_by_hand(graded: Suite) -> None:
    """a: x, d2, d3, d1 -> gains 0 1 0 3; b: nothing but strangers."""
    places = {
        "a": [Place(unit, 1.0) for unit in ("x", "d2", "d3", "d1")],
        "b": [Place(unit, 1.0) for unit in ("x", "y")],
    }
    found = score(graded, places)
    ideal = 3 / log2(2) + 1 / log2(3)
    assert found["a"] == pytest.approx(
        {
            "nDCG@10": (1 / log2(3) + 3 / log2(5)) / ideal,
            "R@10": 1.0,
            "R@100": 1.0,
            "P@5": 2 / 5,
            "RR@10": 1 / 2,
            "Success@5": 1.0,
        }
    )
    assert found["b"] == dict.fromkeys(graded.config.measures, 0.0)
    assert list(found) == ["a", "b"]


def test_the_order_counts_and_not_the_scores(graded: Suite) -> None:
    """trec_eval would put `x` before `d1` where their scores are equal, and the highest score first."""
    assert score(graded, {"b": [Place("d1", 0.5), Place("x", 0.5)]})["b"]["RR@10"] == 1.0
    assert score(graded, {"b": [Place("d1", 0.1), Place("x", 0.9)]})["b"]["RR@10"] == 1.0
    assert score(graded, {"b": [Place("x", 0.1), Place("d1", 0.9)]})["b"]["RR@10"] == 0.5


def test_a_query_without_results_scores_zero(graded: Suite) -> None:
    found = score(graded, {"b": [Place("d1", 1.0)]})
    assert found["a"] == dict.fromkeys(graded.config.measures, 0.0)
    assert found["b"]["nDCG@10"] == 1.0
    assert score(graded, {}) == {query_id: dict.fromkeys(graded.config.measures, 0.0) for query_id in "ab"}


def test_a_measure_with_a_grade(tmp_path: Path) -> None:
    suite = suite_of(tmp_path, [query("a")], [HEADER, "a\td1\t2", "a\td2\t1"], measures=["P(rel=2)@2", "P@2"])
    assert score(suite, {"a": [Place("d1", 1), Place("d2", 1)]})["a"] == {"P(rel=2)@2": 0.5, "P@2": 1.0}


def test_a_negative_grade_is_not_relevant(tmp_path: Path) -> None:
    suite = suite_of(tmp_path, [query("a")], [HEADER, "a\td1\t1", "a\td2\t-2"])
    assert score(suite, {"a": [Place("d2", 2), Place("d1", 1)]})["a"]["nDCG@10"] == pytest.approx(1 / log2(3))


def test_several_judged_passages_give_a_document_their_highest_grade(tmp_path: Path) -> None:
    suite = suite_of(tmp_path, [query("a")], [SPANS, "a\td\t0\t5\t1", "a\td\t9\t12\t3", "a\te\t0\t5\t0"])
    found = rank(suite, "a", [passage("d"), passage("e")])
    assert found.grades == (3, 0)
    assert score(suite, {"a": found.places})["a"]["R@10"] == 1.0


@pytest.mark.parametrize(
    ("start", "end", "hit"),
    [
        (0, 100, False),  # ends where the span begins
        (0, 104, False),  # 4 of its 10 characters
        (0, 105, True),  # half of them
        (100, 110, True),
        (102, 106, True),  # 4 of the passage's own 4
        (108, 112, True),  # 2 of the passage's own 4
        (109, 113, False),
        (110, 200, False),
    ],
)
def test_a_hit_shares_half_of_the_shorter_span(tmp_path: Path, start: int, end: int, hit: bool) -> None:
    suite = spans(tmp_path, "d 100 110 1")
    unit = "d:100-110" if hit else f"d:{start}-{end}"
    assert units(suite, passage("d", start=start, end=end)) == ([unit], [1 if hit else None])
    assert units(suite, passage("e", start=start, end=end)) == ([f"e:{start}-{end}"], [None])


def test_overlapping_judged_spans_are_one_answer(tmp_path: Path) -> None:
    suite = spans(tmp_path, "d 94 117 1", "d 87 117 2", "d 117 120 1", "e 90 100 1")
    found = rank(suite, "a", [passage("d", start=80, end=117)])
    assert [place.unit for place in found.places] == ["d:87-117"]
    assert found.grades == (2,)
    assert score(suite, {"a": found.places})["a"]["R@10"] == pytest.approx(1 / 3)


def test_a_passage_takes_a_place_for_every_new_answer(tmp_path: Path) -> None:
    suite = spans(tmp_path, "d 10 20 1", "d 50 60 2", "d 200 210 1")
    found = rank(suite, "a", [passage("d", 3.0), passage("d", 2.0, start=150, end=250)])
    assert found.places == (Place("d:10-20", 3.0), Place("d:50-60", 3.0), Place("d:200-210", 2.0))
    assert found.grades == (2, 1)
    assert score(suite, {"a": found.places})["a"]["P@5"] == pytest.approx(3 / 5)


def test_a_repeat_takes_a_place_and_is_not_relevant(tmp_path: Path) -> None:
    suite = spans(tmp_path, "d 10 20 1", "e 0 5 1")
    exact = passage("d", start=10, end=20)
    assert units(suite, exact, exact, passage("d"), passage("e", end=5)) == (
        ["d:10-20", "d:10-20#2", "d:0-100", "e:0-5"],
        [1, 1, 1, 1],
    )
    found = rank(suite, "a", [exact, exact, exact])
    assert [place.unit for place in found.places] == ["d:10-20", "d:10-20#2", "d:10-20#3"]
    assert score(suite, {"a": found.places})["a"]["P@5"] == pytest.approx(1 / 5)


def test_what_is_judged_not_relevant_takes_no_place_of_its_own(tmp_path: Path) -> None:
    suite = spans(tmp_path, "d 0 50 1", "d 60 80 1", "d 0 100 0")
    first, whole = passage("d", start=0, end=50), passage("d", start=0, end=100)
    assert units(suite, first, whole) == (["d:0-50", "d:60-80"], [1, 1])


def test_what_is_judged_not_relevant_says_so(tmp_path: Path) -> None:
    suite = spans(tmp_path, "d 0 50 0", "d 40 90 1")
    assert units(suite, passage("d", start=0, end=30), passage("d", start=60, end=90)) == (
        ["d:0-30", "d:40-90"],
        [0, 1],
    )


def test_the_name_of_a_judged_unit() -> None:
    assert Judgement("a", "d", 1, 1).unit == "d"
    assert Judgement("a", "d", 1, 1, 0, 4).unit == "d:0-4"

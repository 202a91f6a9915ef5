"""What is proposed from a search log, and what a single person's question never is."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag_pipelines.evaluation.candidates import Asked, Candidate, propose
from rag_pipelines.evaluation.suites import Suite
from rag_pipelines_tests.evaluation.samples import HEADER, query, suite_of


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    """Asks one judged question and one without an answer."""
    return suite_of(
        tmp_path,
        [query("a", "What is X?"), query("n", "What is nothing?", answerable=False)],
        [HEADER, "a\td1\t1", "a\td2\t0"],
    )


def rated(question: str, person: str, uri: str, helpful: bool, source: str = "docs") -> Asked:
    """A rating."""
    return Asked(question, person, source=source, uri=uri, helpful=helpful)


def test_ratings_of_several_people_are_judgements(suite: Suite) -> None:
    rows = [
        rated("How is Y?", "eve", "d3", True),
        rated("how is y", "bob", "d3", True),
        rated("How is Y?", "eve", "d4", False),
        rated("How is Y?", "bob", "d4", False),
        rated("How is Y?", "ann", "d4", False),
        rated("How is Y?", "eve", "d5", True),
        rated("How is Y?", "bob", "d5", False),
    ]
    assert propose(rows, suite) == (
        Candidate("How is Y?", None, "d4", 0, 3, "rated not relevant"),
        Candidate("How is Y?", None, "d3", 1, 2, "rated relevant"),
        Candidate("How is Y?", None, "d5", None, 2, "ratings disagree"),
    )


def test_nobody_decides_alone(suite: Suite) -> None:
    rows = [rated("My salary?", "eve", "d3", True)] * 20
    assert propose(rows, suite) == ()
    assert [found.people for found in propose(rows, suite, people=1)] == [1]


def test_the_last_rating_of_a_person_counts(suite: Suite) -> None:
    rows = [rated("Y?", "eve", "d3", False), rated("Y?", "bob", "d3", True), rated("Y?", "eve", "d3", True)]
    assert [(found.grade, found.people) for found in propose(rows, suite)] == [(1, 2)]


def test_what_is_judged_already_is_not_proposed(suite: Suite) -> None:
    rows = [rated("what is x", person, uri, True) for person in ("eve", "bob") for uri in ("d1", "d2", "d3")]
    assert propose(rows, suite) == (Candidate("What is X?", "a", "d3", 1, 2, "rated relevant"),)


def test_a_question_without_an_answer_may_have_got_one(suite: Suite) -> None:
    rows = [rated("what is nothing", person, "d7", True) for person in ("eve", "bob")]
    assert propose(rows, suite) == (Candidate("What is nothing?", "n", "d7", 1, 2, "rated relevant"),)


def test_what_many_ask_is_proposed_as_a_question(suite: Suite) -> None:
    rows = [Asked("Why Z?", "eve")] * 2 + [Asked("why  z?", "bob")] * 3
    assert propose(rows, suite) == (Candidate("why z?", None, None, None, 2, "asked often"),)
    assert propose(rows[1:], suite) == ()
    assert propose(rows, suite, people=3) == ()
    assert propose([Asked("What is X?", person) for person in "abcdef"], suite) == ()
    assert propose([Asked(" ", person) for person in "abcdef"], suite) == ()


def test_what_the_search_abstained_from_says_so(suite: Suite) -> None:
    rows = [Asked("Why Z?", person, answerable=person == "a") for person in "abcde"]
    assert [found.reason for found in propose(rows, suite)] == ["asked often, not answered"]
    half = [Asked("Why Z?", person, answerable=person in "abc") for person in "abcdef"]
    assert [found.reason for found in propose(half, suite)] == ["asked often"]


def test_the_question_most_people_stand_behind_comes_first(suite: Suite) -> None:
    rows = [Asked("Rare?", person) for person in "abcde"] + [Asked("Common?", person) for person in "abcdefg"]
    assert [found.query for found in propose(rows, suite)] == ["Common?", "Rare?"]


def test_documents_are_named_as_the_suite_names_them(tmp_path: Path) -> None:
    suite = suite_of(tmp_path, [query("a")], [HEADER, "a\tp1\t1"], judged_id="metadata.page", source="docs")
    rows = [
        Asked("Y?", person, source="docs", uri="u", metadata=(("page", "p9"),), helpful=True)
        for person in "ab"
    ]
    other = [rated("Y?", person, "u", True, source="mirror") for person in "ab"]
    assert [found.document for found in propose([*rows, *other], suite)] == ["p9"]

"""Asking a suite: what is timed, what is kept, and what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from rag_pipelines.core.errors import ConfigError, NotPublished
from rag_pipelines.core.types import Passage
from rag_pipelines.evaluation.running import Answer, check_run_of, run_suite
from rag_pipelines.evaluation.runs import PassageRef
from rag_pipelines.evaluation.suites import Suite
from rag_pipelines_tests.evaluation.samples import HEADER, Counting, passage, query, run_of, suite_of


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    """Two judged queries and one without an answer."""
    queries = [query("a"), query("b"), query("n", answerable=False)]
    return suite_of(tmp_path, queries, [HEADER, "a\td1\t1", "b\td2\t1"], k=3, measures=["P@2"])


def test_the_first_question_is_asked_once_beforehand_untimed(suite: Suite) -> None:
    asked: list[tuple[str, int]] = []
    ticks = iter([0.0, 0.002, 10.0, 10.004, 20.0, 20.001])

    def search(text: str, k: int) -> Sequence[Passage]:
        asked.append((text, k))
        return []

    progress = Counting()
    run = run_suite(suite, search, progress, index="handbook", clock=lambda: next(ticks))
    assert asked == [("question a", 3), ("question a", 3), ("question b", 3), ("question n", 3)]
    assert [query.ms for query in run.queries.values()] == pytest.approx([2, 4, 1])
    assert (progress.total, progress.done, progress.finished) == (3, 3, True)


def test_what_a_run_keeps(suite: Suite) -> None:
    answer = Answer(
        [passage("d9", 0.5, version=4, page=7), passage("d2", 0.25, start=10, end=30, version=4)], 0.75, True
    )
    run = run_of(suite, {"b": answer}, version=4, fingerprint="f", settings={"fusion": "dbsf"})
    assert (run.suite, run.suite_hash, run.index, run.version, run.level) == (
        "small",
        suite.content_hash,
        "handbook",
        4,
        "document",
    )
    assert (run.label, run.fingerprint, run.settings, run.depth, run.measures) == (
        "handbook version 4",
        "f",
        {"fusion": "dbsf"},
        3,
        ("P@2",),
    )
    assert run.started_at.endswith("+00:00")
    assert run.values("P@2") == {"a": 0.0, "b": 0.5}
    assert list(run.places) == ["b"]
    found = run.queries["b"]
    assert (found.returned, found.confidence, found.answerable) == (2, 0.75, True)
    ids = [one.citation.doc_id for one in answer.passages]
    assert found.passages == (
        PassageRef(1, 0.5, "d9", "docs", "d9", ids[0], "d9-0", 0, 100, "hash-d9", 7, None),
        PassageRef(2, 0.25, "d2", "docs", "d2", ids[1], "d2-10", 10, 30, "hash-d2", None, 1),
    )
    assert run.queries["n"].measures == {}
    assert run.queries["a"].returned == 0


def test_no_text_of_a_document_is_kept(suite: Suite) -> None:
    run = run_of(suite, {"a": ["d1"]})
    assert b"secret text" not in msgspec.json.encode(run)
    assert run.queries["a"].passages


def test_the_version_is_that_of_the_passages(suite: Suite) -> None:
    assert run_of(suite, {"a": Answer([passage("d1", version=7)])}).version == 7
    nothing = run_of(suite, {})
    assert (nothing.version, nothing.label) == (None, "handbook")


def test_passages_of_several_versions_are_refused(suite: Suite) -> None:
    moved = {"a": Answer([passage("d1", version=1)]), "b": Answer([passage("d1", version=2)])}
    with pytest.raises(NotPublished, match=r"passages of handbook came from versions 1, 2: the index moved"):
        run_of(suite, moved)
    with pytest.raises(NotPublished, match="versions 1, 3"):
        run_of(suite, {"a": Answer([passage("d1", version=1)])}, version=3)


def test_more_passages_than_were_asked_for_do_not_count(suite: Suite) -> None:
    run = run_of(suite, {"a": ["x", "y", "z", "d1"]})
    assert run.queries["a"].returned == 3
    assert [place.unit for place in run.places["a"]] == ["x", "y", "z"]


def test_queries_whose_passages_are_of_too_few_documents(suite: Suite) -> None:
    """k is 3 and the deepest cutoff 2: three passages of a document are too few, one passage is all."""
    assert run_of(suite, {"a": ["d1", "d1", "d1"], "b": ["d2"]}).short == ("a",)
    assert run_of(suite, {"a": ["d1", "d1", "d2"], "n": ["x", "x", "x"]}).short == ()


def test_metadata_that_no_passage_has(tmp_path: Path) -> None:
    suite = suite_of(tmp_path, [query("a")], [HEADER, "a\tp1\t1"], judged_id="metadata.page_id")
    with pytest.raises(
        ConfigError, match=r"by metadata\.page_id, which no passage has; passages have pageid"
    ):
        run_of(suite, {"a": Answer([passage("d1", metadata={"pageid": "p1"})])})
    some = [passage("d1"), passage("d2", metadata={"page_id": "p1"})]
    run = run_of(suite, {"a": Answer(some)})
    assert run.values("RR@10") == {"a": 0.5}
    assert [ref.document for ref in run.queries["a"].passages] == ["docs/d1", "p1"]
    assert run_of(suite, {}).values("RR@10") == {"a": 0.0}


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_what_is_no_number_is_refused(suite: Suite, number: float) -> None:
    """JSON has neither, so the stored run could not be read again."""
    with pytest.raises(ConfigError, match="query a with something that is not a number"):
        run_of(suite, {"a": Answer([], number)})
    with pytest.raises(ConfigError, match="query b with something that is not a number"):
        run_of(suite, {"b": Answer([passage("d1", number)], 0.5)})


def test_a_run_belongs_to_the_content_it_asked(suite: Suite, tmp_path: Path) -> None:
    run = run_of(suite, {})
    check_run_of(suite, run)
    with pytest.raises(ConfigError, match="run it again"):
        check_run_of(suite_of(tmp_path, [query("a")], [HEADER, "a\td1\t1"]), run)

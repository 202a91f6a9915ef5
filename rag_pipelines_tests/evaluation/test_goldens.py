"""What lint finds in a golden set, and that freezing changes one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rag_pipelines.core.errors import ConfigError
from rag_pipelines.core.ids import document_id
from rag_pipelines.evaluation.goldens import Finding, Kind, freeze, lint
from rag_pipelines.evaluation.suites import IndexDocument, load_suite
from rag_pipelines_tests.evaluation.samples import HEADER, SPANS, query, suite_of, write_suite


def document(uri: str, title: str | None = None, source: str = "docs") -> IndexDocument:
    """A document of the index."""
    return IndexDocument(document_id(source, uri), source, uri, title)


def test_a_sound_suite_has_no_finding(tmp_path: Path) -> None:
    suite = suite_of(tmp_path, [query("a"), query("b")], [HEADER, "a\td1\t1", "b\td2\t1", "b\tgone\t0"])
    assert lint(suite, [document("d1"), document("d2"), document("d3")]) == ()


def test_documents(tmp_path: Path) -> None:
    suite = suite_of(tmp_path, [query("a"), query("b")], [HEADER, "a\td1\t1", "a\td2\t1", "b\td2\t1"])
    assert lint(suite, [document("d1"), document("d1", source="mirror")]) == (
        Finding(Kind.AMBIGUOUS, ("a",), "d1 names 2 documents: docs/d1, mirror/d1"),
        Finding(Kind.MISSING, ("a", "b"), "d2 is judged relevant, and the index does not hold it"),
    )


def test_only_the_source_that_is_judged_makes_a_name_ambiguous(tmp_path: Path) -> None:
    suite = suite_of(tmp_path, [query("a")], [HEADER, "a\td1\t1"], source="docs")
    assert lint(suite, [document("d1"), document("d1", source="mirror")]) == ()


def test_the_same_question_twice(tmp_path: Path) -> None:
    queries = [query("a", "What is X?"), query("b", "what is  x"), query("c", "Why?"), query("d", "WHY")]
    suite = suite_of(tmp_path, queries, [HEADER, "a\td1\t1", "b\td1\t1", "c\td1\t1", "d\td1\t2"])
    assert lint(suite, [document("d1")]) == (
        Finding(Kind.DUPLICATE, ("a", "b"), "the same question counts more than once"),
        Finding(Kind.CONFLICT, ("c", "d"), "the same question is judged differently"),
    )


def test_an_answerable_question_that_is_unanswerable_too(tmp_path: Path) -> None:
    queries = [query("a", "What is X?"), query("b", "What is X?", answerable=False)]
    suite = suite_of(tmp_path, queries, [HEADER, "a\td1\t1"])
    assert [finding.kind for finding in lint(suite, [document("d1")])] == [Kind.CONFLICT]


def test_leakage(tmp_path: Path) -> None:
    queries = [
        query("title", "How to rotate keys?"),
        query("part", "How to rotate keys quickly?"),
        query("short", "Key rotation"),
        query("name", "Where does Rotate-Keys.md say so?"),
        query("other", "Where does rotate-keys.md say so"),
    ]
    qrels = [f"{one}\tguide/rotate-keys.md\t1" for one in ("title", "part", "name")]
    suite = suite_of(tmp_path, queries, [HEADER, *qrels, "short\tb.md\t1", "other\tb.md\t1"])
    found = lint(
        suite, [document("guide/rotate-keys.md", "How to Rotate Keys"), document("b.md", "Key rotation")]
    )
    assert {finding.query_ids: finding.message for finding in found if finding.kind == Kind.LEAKAGE} == {
        ("title",): "the question is the title of guide/rotate-keys.md",
        ("name",): "the question names guide/rotate-keys.md, its relevant document",
    }


def test_queries_that_nobody_judged(tmp_path: Path) -> None:
    suite = suite_of(tmp_path, [query("a"), query("z"), query("y")], [HEADER, "a\td1\t1"])
    assert lint(suite, [document("d1")]) == (
        Finding(Kind.UNJUDGED, ("y", "z"), "2 queries have no judgement and are not asked"),
    )


def test_the_same_passage_marked_more_widely_is_no_conflict(tmp_path: Path) -> None:
    queries = [query("a", "What?"), query("b", "What?"), query("c", "Who?"), query("d", "Who?")]
    qrels = ["a\td\t0\t9\t1", "a\td\t5\t9\t1", "b\td\t0\t9\t1", "c\td\t0\t9\t1", "d\td\t20\t29\t1"]
    suite = suite_of(tmp_path, queries, [SPANS, *qrels], level="passage")
    assert [(finding.kind, finding.query_ids) for finding in lint(suite, [document("d")])] == [
        (Kind.DUPLICATE, ("a", "b")),
        (Kind.CONFLICT, ("c", "d")),
    ]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A project with the files of a suite."""
    write_suite(tmp_path / "data", [query("a")], [HEADER, "a\td1\t1"])
    return tmp_path


def test_freezing_adds_one_line_and_keeps_the_rest(data: Path) -> None:
    path = data / "small.yaml"
    path.write_text("# agreed in May\nsuite: small  # the name\npath: data\n", "utf-8")
    digest = freeze(path, data)
    assert path.read_text("utf-8") == (
        f"# agreed in May\nsuite: small  # the name\npath: data\ncontent_hash: {digest}\n"
    )
    assert load_suite(path, data).content_hash == digest


def test_a_frozen_suite_is_refused_until_it_is_frozen_again(data: Path) -> None:
    path = data / "small.yaml"
    path.write_text("suite: small\ncontent_hash: \npath: data\n", "utf-8")
    first = freeze(path, data)
    write_suite(data / "data", [query("a", "changed")], [HEADER, "a\td1\t1"])
    with pytest.raises(ConfigError, match=r"small\.yaml:2: content_hash: the suite was frozen"):
        load_suite(path, data)
    second = freeze(path, data)
    assert second != first
    assert path.read_text("utf-8") == f"suite: small\ncontent_hash: {second}\npath: data\n"
    assert load_suite(path, data).content_hash == second


def test_freezing_json(data: Path) -> None:
    path = data / "small.json"
    path.write_text('{"suite": "small", "path": "data"}', "utf-8")
    digest = freeze(path, data)
    assert json.loads(path.read_text("utf-8")) == {"suite": "small", "path": "data", "content_hash": digest}


def test_a_file_that_cannot_be_changed_safely_is_left_alone(data: Path) -> None:
    path = data / "small.yaml"
    text = "{suite: small, path: data}\n"
    path.write_text(text, "utf-8")
    with pytest.raises(ConfigError, match=r"write `content_hash: [0-9a-f]{64}` into it yourself"):
        freeze(path, data)
    assert path.read_text("utf-8") == text


def test_a_suite_with_mistakes_is_not_frozen(data: Path) -> None:
    path = data / "small.yaml"
    path.write_text("suite: small\npath: data\n", "utf-8")
    write_suite(data / "data", [query("a")], [HEADER, "a\td1\t0"])
    with pytest.raises(ConfigError, match="nothing is judged relevant"):
        freeze(path, data)
    assert "content_hash" not in path.read_text("utf-8")

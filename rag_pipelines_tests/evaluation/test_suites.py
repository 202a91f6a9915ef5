"""What a suite keeps, refuses and calls a document."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag_pipelines.config.evaluation import EvaluationConfig
from rag_pipelines.core.errors import ConfigError
from rag_pipelines.evaluation.suites import (
    IndexDocument,
    find_suite,
    judged_name,
    load_suite,
    name_of,
    suite_files,
)
from rag_pipelines_tests.evaluation.samples import HEADER, SPANS, passage, query, suite_of, write_suite

QUERIES = [query("b"), query("a"), query("n", answerable=False), query("skipped")]
QRELS = [HEADER, "b\td1\t1", "a\td2\t2", "a\td3\t0"]


def test_what_is_asked_judged_and_left_out(tmp_path: Path) -> None:
    suite = suite_of(tmp_path, QUERIES, QRELS)
    assert suite.name == "small"
    assert list(suite.queries) == ["a", "b", "n"]
    assert suite.judged == ("a", "b")
    assert suite.unjudged == ("skipped",)
    assert {query_id: [row.unit for row in rows] for query_id, rows in suite.judgements.items()} == {
        "a": ["d2", "d3"],
        "b": ["d1"],
    }


def test_the_content_hash_is_of_the_content_alone(tmp_path: Path) -> None:
    first = suite_of(tmp_path / "1", QUERIES, QRELS)
    turned = suite_of(tmp_path / "2", QUERIES[::-1], [HEADER, *QRELS[:0:-1]], k=200)
    without_skipped = suite_of(tmp_path / "3", QUERIES[:3], QRELS)
    assert first.content_hash == turned.content_hash == without_skipped.content_hash
    changes = [
        ([query("b", "other"), *QUERIES[1:]], QRELS),
        (QUERIES, [*QRELS[:2], "a\td2\t1", "a\td3\t0"]),
        (QUERIES, QRELS[:3]),
        ([query("b", team="x"), *QUERIES[1:]], QRELS),
        ([*QUERIES[:2], QUERIES[3]], QRELS),
    ]
    hashes = {suite_of(tmp_path / "4", *change).content_hash for change in changes}
    assert len(hashes) == 5
    assert first.content_hash not in hashes


def test_a_frozen_suite_whose_content_changed_is_refused(tmp_path: Path) -> None:
    digest = suite_of(tmp_path, QUERIES, QRELS).content_hash
    assert suite_of(tmp_path, QUERIES, QRELS, content_hash=digest).content_hash == digest
    with pytest.raises(ConfigError, match=r"suite\.yaml:1: content_hash: the suite was frozen"):
        suite_of(tmp_path, QUERIES, QRELS[:3], content_hash=digest)


def test_a_judged_query_without_a_relevant_document_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"test\.tsv: nothing is judged relevant to b, c, so every measure"):
        suite_of(
            tmp_path,
            [query("a"), query("b"), query("c")],
            [HEADER, "a\td\t1", "b\td\t0", "c\td\t-1", "c\te\t0"],
        )


def test_an_unanswerable_query_may_have_judgements_that_find_nothing(tmp_path: Path) -> None:
    suite = suite_of(tmp_path, QUERIES, [*QRELS, "n\td1\t0"])
    assert suite.judged == ("a", "b")
    with pytest.raises(
        ConfigError, match=r"test\.tsv:5: finds an answer to query n, which .*:3 says has none"
    ):
        suite_of(tmp_path, QUERIES, [*QRELS, "n\td1\t1"])


def test_every_mistake_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        suite_of(tmp_path, [query("a")], [HEADER, "b\td\t1", "a\td\t0"], slices=["souce"])
    unknown, nothing, slices = str(error.value).splitlines()
    assert "test.tsv:2: judges query b, which" in unknown
    assert "nothing is judged relevant to a" in nothing
    assert "did you mean 'source'?" in slices


def test_a_suite_that_judges_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="judges none of the queries"):
        suite_of(tmp_path, [query("n", answerable=False)], [HEADER, "n\td\t0"])


def test_passages_need_spans(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="level is passage, so judgements need the columns start and end"):
        suite_of(tmp_path, QUERIES, QRELS, level="passage")
    suite = suite_of(tmp_path, [query("a")], [SPANS, "a\td\t0\t5\t1"], level="passage")
    assert suite.judgements["a"][0].unit == "d:0-5"


def test_a_slice_by_metadata_that_a_query_has(tmp_path: Path) -> None:
    queries = [query("a", team="x"), query("b")]
    assert suite_of(tmp_path, queries, QRELS[:3], slices=["team", "tenant"]).config.slices == (
        "team",
        "tenant",
    )


@pytest.mark.parametrize(
    ("judged_id", "name"),
    [
        ("uri", "guide/a.md"),
        ("source/uri", "docs/guide/a.md"),
        ("doc_id", "the-id"),
        ("metadata.key", "7"),
        ("metadata.missing", None),
        ("metadata.empty", None),
    ],
)
def test_what_judgements_call_a_document(judged_id: str, name: str | None) -> None:
    config = EvaluationConfig(suite="small", path="x", judged_id=judged_id)
    metadata = {"key": 7, "empty": ""}
    assert judged_name(config, source="docs", uri="guide/a.md", doc_id="the-id", metadata=metadata) == name
    assert name_of(config, IndexDocument("the-id", "docs", "guide/a.md", metadata=metadata)) == name


def test_only_documents_of_the_source_have_a_name() -> None:
    config = EvaluationConfig(suite="small", path="x", source="docs")
    assert name_of(config, passage("a.md")) == "a.md"
    assert name_of(config, passage("a.md", source="mirror")) is None


def test_suites_are_found_by_their_name(tmp_path: Path) -> None:
    assert suite_files(tmp_path) == ()
    write_suite(tmp_path / "data", QUERIES, QRELS)
    folder = tmp_path / "configs" / "eval"
    folder.mkdir(parents=True)
    (folder / "first.yaml").write_text("suite: small\npath: data\n", "utf-8")
    (folder / "second.json").write_text('{"suite": "large", "path": "data"}', "utf-8")
    (folder / "notes.txt").write_text("suite: small", "utf-8")
    (folder / "broken.yaml").write_text("suite: [", "utf-8")
    configs = tmp_path / "configs"
    assert [path.name for path in suite_files(configs)] == ["broken.yaml", "first.yaml", "second.json"]
    assert load_suite(find_suite(configs, "small"), tmp_path).judged == ("a", "b")
    with pytest.raises(ConfigError) as error:
        find_suite(configs, "smal")
    assert "there is no suite 'smal'; did you mean 'small'?" in str(error.value)
    assert "broken.yaml:1: is not YAML" in str(error.value)
    (folder / "third.yml").write_text("suite: small\npath: data\n", "utf-8")
    with pytest.raises(ConfigError, match=r"defined in first\.yaml and third\.yml"):
        find_suite(configs, "small")


def test_files_beside_the_folder(tmp_path: Path) -> None:
    write_suite(tmp_path / "data", QUERIES, QRELS)
    other = write_suite(tmp_path / "other", [query("z")], [HEADER, "z\td9\t1"])
    path = tmp_path / "small.yaml"
    path.write_text("suite: small\nqueries: other/queries.jsonl\nqrels: other/qrels/test.tsv\n", "utf-8")
    assert load_suite(path, tmp_path).judged == ("z",)
    (other / "qrels" / "test.tsv").write_text(f"{HEADER}\na\td9\t1\n", "utf-8")
    path.write_text("suite: small\npath: data\nqrels: other/qrels/test.tsv\n", "utf-8")
    assert load_suite(path, tmp_path).judged == ("a",)

"""Reading queries and judgements in every layout, and every mistake of a file at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag_pipelines.config.evaluation import UnanswerableConfig
from rag_pipelines.core.errors import ConfigError
from rag_pipelines.evaluation.qrels import Judgement, Query, read_judgements, read_queries, same_question


def written(tmp_path: Path, text: str) -> Path:
    """A file of that text."""
    path = tmp_path / "file"
    path.write_bytes(text.encode())
    return path


def problems(error: pytest.ExceptionInfo[ConfigError], path: Path) -> list[str]:
    """The error's lines, without the file's name."""
    return [line.removeprefix(f"{path}:") for line in str(error.value).splitlines()]


def test_queries(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        '\ufeff{"_id": "b", "text": "Wie\u2028viel?"}\r\n\n'
        '{"_id": "a", "text": "x", "metadata": {"answerable": false}}\n',
    )
    assert read_queries(path, UnanswerableConfig()) == {
        "b": Query("b", "Wie\u2028viel?", {}, True, 1),
        "a": Query("a", "x", {"answerable": False}, False, 3),
    }


def test_only_the_value_of_the_same_type_says_unanswerable(tmp_path: Path) -> None:
    values = enumerate(["0", "false", '"0"'])
    lines = [
        f'{{"_id": "{number}", "text": "x", "metadata": {{"kind": {value}}}}}' for number, value in values
    ]
    path = written(tmp_path, "\n".join(lines))

    def unanswerable(value: bool | int | str) -> list[str]:
        found = read_queries(path, UnanswerableConfig(key="kind", value=value))
        return [query_id for query_id, query in found.items() if not query.answerable]

    assert unanswerable(0) == ["0"]
    assert unanswerable(False) == ["1"]
    assert unanswerable("0") == ["2"]


def test_every_mistake_of_the_queries_with_its_line(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        '{"_id": "1", "text": "a"}\n{"_id": "1", "text": "b"}\nnot json\n[]\n{"_id": 5, "text": "a"}\n'
        '{"_id": "2", "text": " "}\n{"_id": "3", "text": "c", "metadata": []}\n',
    )
    with pytest.raises(ConfigError) as error:
        read_queries(path, UnanswerableConfig())
    assert problems(error, path) == [
        "2: query 1 stands on line 1 already",
        "3: is not a line of JSON",
        '4: is not a JSON object such as {"_id": "1", "text": "..."}',
        "5: _id must be a text that is not empty",
        "6: the text of query 2 is missing or empty",
        "7: the metadata of query 3 must be an object",
    ]


def test_an_empty_or_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no query"):
        read_queries(written(tmp_path, "\n"), UnanswerableConfig())
    with pytest.raises(ConfigError, match="holds no judgement"):
        read_judgements(written(tmp_path, "query-id\tcorpus-id\tscore\n"))
    with pytest.raises(ConfigError, match="cannot be read"):
        read_judgements(tmp_path / "missing")
    (tmp_path / "latin").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not UTF-8"):
        read_judgements(tmp_path / "latin")


@pytest.mark.parametrize(
    "text",
    [
        "query-id\tcorpus-id\tscore\n1\td1\t2\n1\td2\t0\n",
        "\ufeffquery-id\tcorpus-id\tscore\r\n1\td1\t2\r\n1\td2\t0\r\n",
        "1 0 d1 2\n1\t0\td2\t0\n",
    ],
)
def test_judgements_of_documents(tmp_path: Path, text: str) -> None:
    found = read_judgements(written(tmp_path, text))
    assert [(row.document, row.grade, row.start, row.unit) for row in found["1"]] == [
        ("d1", 2, None, "d1"),
        ("d2", 0, None, "d2"),
    ]


def test_judgements_of_passages(tmp_path: Path) -> None:
    path = written(
        tmp_path, "query-id\tcorpus-id\tstart\tend\tscore\n1\ta b.md\t5\t9\t1\n1\ta b.md\t20\t30\t-1\n"
    )
    found = read_judgements(path)
    assert found == {"1": (Judgement("1", "a b.md", 1, 2, 5, 9), Judgement("1", "a b.md", -1, 3, 20, 30))}
    assert [row.unit for row in found["1"]] == ["a b.md:5-9", "a b.md:20-30"]


def test_every_mistake_of_the_judgements_with_its_line(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "query-id\tcorpus-id\tstart\tend\tscore\n"
        "1\td\t5\t5\t1\n1\td\t1\t2\n1\td\t1\t2\thigh\n\n1\td\t-1\t2\t1\n"
        "1\t\t1\t2\t1\n1\td\t1\t2\t1\n1\td\t1\t2\t0\n1\td\t1\t2\t1\n",
    )
    with pytest.raises(ConfigError) as error:
        read_judgements(path)
    assert problems(error, path) == [
        "2: 5 to 5 is not a span: start must be 0 or more and less than end",
        "3: has 4 columns, not 5 (query-id, corpus-id, start, end, score)",
        "4: score 'high' is not a whole number",
        "6: -1 to 2 is not a span: start must be 0 or more and less than end",
        "7: the query or the document is missing",
        "9: query 1 has grade 0 for d:1-2, but grade 1 on line 8",
    ]


def test_the_same_judgement_twice_counts_once(tmp_path: Path) -> None:
    found = read_judgements(written(tmp_path, "1 0 d 1\n1 0 d 1\n"))
    assert [row.line for row in found["1"]] == [1]


@pytest.mark.parametrize("text", ["1\td1\t2\n", "query-id\tdoc\tscore\trest\n1\td1\t2\tx\n", "1,d1,2\n"])
def test_an_unknown_layout_is_refused(tmp_path: Path, text: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as error:
        read_judgements(path)
    assert len(problems(error, path)) == 1
    assert problems(error, path)[0].startswith("1: is neither the header")


def test_a_broken_file_does_not_flood_the_terminal(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        read_queries(written(tmp_path, "x\n" * 250), UnanswerableConfig())
    assert len(str(error.value).splitlines()) == 101
    assert str(error.value).endswith("and 150 more mistakes")


def test_the_same_question() -> None:
    assert same_question("What is  ERR_42?") == same_question("what is err_42")
    assert same_question("What is C++?") != same_question("What is C?")
    assert same_question("???") == "???"

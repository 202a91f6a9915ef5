"""What scripts rely on: one JSON object, documented keys, exit codes, one sentence for an error."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rag_pipelines.pipeline.sync import COUNTS
from rag_pipelines_tests.cli.conftest import Commands

PASSAGE = {
    "rank", "score", "text", "title", "uri", "doc_id", "chunk_id", "start", "end", "page", "heading_path",
    "revision", "source",
}  # fmt: skip
POINT = ["chunk_id", "doc_id", "uri", "source", "start", "end", "text_hash"]


@pytest.fixture(scope="module")
def first(commands: Commands) -> dict[str, Any]:
    """What the first sync prints."""
    return commands.json("sync")


def test_first_sync_reports_every_count_of_every_source(first: dict[str, Any]) -> None:
    assert set(first) == {
        "index", "version", "published", "seconds", "sources", "held", "refused", "pinned", "errors", "others",
    }  # fmt: skip
    assert (first["index"], first["version"], first["published"], first["errors"]) == (
        "knowledge",
        1,
        True,
        {},
    )
    assert set(first["sources"]) == {"docs", "board"}
    for counts in first["sources"].values():
        assert set(counts) == set(COUNTS)
    docs = first["sources"]["docs"]
    assert (docs["listed"], docs["added"], docs["quarantined"], docs["unchanged"]) == (8, 8, 1, 0)
    assert docs["chunks_added"] == docs["embedded"] > 0


@pytest.mark.usefixtures("first")
def test_second_sync_reports_that_nothing_was_done(commands: Commands) -> None:
    again = commands.json("sync")

    assert again["version"] == 1
    still = ("listed", "unchanged", "quarantined")
    for counts in again["sources"].values():
        assert sum(value for name, value in counts.items() if name not in still) == 0
    assert again["sources"]["docs"]["unchanged"] == again["sources"]["docs"]["listed"] == 8


@pytest.mark.usefixtures("first")
def test_every_json_command_prints_one_object_with_its_keys(commands: Commands, tmp_path: Path) -> None:
    status = commands.json("status")
    assert status["indexes"][0].keys() >= {
        "index", "version", "published_at", "documents", "chunks", "duplicates", "collapsed",
    }  # fmt: skip
    assert {source["source"] for source in status["sources"]} == {"docs", "board"}
    sources = commands.json("sources")["sources"]
    assert sources[0].keys() >= {"source", "connector", "documents", "quarantined", "synced_at", "error"}
    versions = commands.json("versions")
    assert (versions["version"], [row["number"] for row in versions["versions"]]) == (1, [1])
    (item,) = commands.json("quarantine")["items"]
    assert item.keys() == {"uri", "source", "reason", "stage", "since"}
    assert (item["uri"], item["source"], item["stage"]) == ("broken.md", "docs", "parse")
    assert commands.json("quarantine", "board") == {"items": []}
    duplicates = commands.json("duplicates")
    assert duplicates.keys() == {"index", "threshold", "sources", "clusters", "largest", "histogram"}
    explained = commands.json("duplicates", "leave.md")
    assert (explained["uri"], explained["takes_part"], explained["collapsed"]) == ("leave.md", True, False)
    published = commands.json("publish")
    assert (published["index"], published["version"], published["published"]) == ("knowledge", 1, False)
    doctor = commands.json("doctor")
    assert doctor["ok"] is True
    assert doctor["checks"][0].keys() == {"name", "level", "detail", "advice"}
    names = {check["name"] for check in doctor["checks"]}
    assert names >= {"Python", "disk", "database", "engine", "model of knowledge", "source docs", "git"}
    schemas = commands.json("config", "--schemas", str(tmp_path / "schemas"))
    assert schemas["sources"] == ["board", "docs"]
    assert all(json.loads(Path(path).read_text())["properties"] for path in schemas["schemas"])
    assert len(schemas["schemas"]) >= 3


@pytest.mark.usefixtures("first")
def test_search_finds_and_its_citations_slice_the_stored_text(commands: Commands) -> None:
    answer = commands.json("search", "part of a page about gears", "-k", "20")

    assert answer.keys() == {"index", "version", "passages"}
    assert len(answer["passages"]) == 20
    assert any("Größe" in passage["text"] for passage in answer["passages"])
    texts: dict[str, str] = {}
    for passage in answer["passages"]:
        assert passage.keys() >= PASSAGE
        doc_id = passage["doc_id"]
        if doc_id not in texts:
            texts[doc_id] = commands.run("text", doc_id).stdout
        assert texts[doc_id][passage["start"] : passage["end"]] == passage["text"]
    (only,) = commands.json("search", "ERR_4217", "-k", "1", "--filter", "uri=pump.md")["passages"]
    assert only["uri"] == "pump.md"
    both = commands.json("search", "leave", "--filter", "uri=pump.md", "--filter", "uri=leave.md")
    assert {passage["uri"] for passage in both["passages"]} == {"pump.md", "leave.md"}


@pytest.mark.usefixtures("first")
def test_search_as_somebody_hides_what_they_may_not_read(commands: Commands, tmp_path: Path) -> None:
    staff, board = tmp_path / "staff.json", tmp_path / "board.json"
    staff.write_text('{"subject": "ana", "tenant": "acme", "groups": ["staff"]}')
    board.write_text('{"subject": "bo", "tenant": "acme", "groups": ["board"]}')

    def sources(*args: str) -> set[str]:
        answer = commands.json("search", "board salaries", "-k", "50", *args)
        return {passage["source"] for passage in answer["passages"]}

    assert sources() == {"docs", "board"}
    assert sources("--as", str(staff)) == {"docs"}
    assert sources("--as", str(board)) == {"board"}


@pytest.mark.usefixtures("first")
def test_points_are_sorted_lines_with_exactly_the_documented_keys(commands: Commands) -> None:
    done = commands.run("points", "--jsonl", "--vectors")
    rows = [json.loads(line) for line in done.stdout.splitlines()]

    assert len(rows) == commands.json("status")["indexes"][0]["chunks"]
    assert all(list(row) == [*POINT, "vector"] and len(row["vector"]) == 384 for row in rows)
    assert rows == sorted(rows, key=lambda row: (row["source"], row["uri"], row["start"], row["chunk_id"]))
    plain = commands.run("points", "--jsonl", "--version", "1").stdout.splitlines()
    assert [json.loads(line) for line in plain] == [{name: row[name] for name in POINT} for row in rows]


@pytest.mark.usefixtures("first")
@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["sync", "dcos"], 1, "did you mean 'docs'?"),
        (["quarantine", "dcos"], 1, "did you mean 'docs'?"),
        (["duplicates", "no-such-document"], 1, "there is no document 'no-such-document'"),
        (["status", "--index", "x"], 2, "No such option"),
        (["search", "leave", "--index", "knowlege"], 1, "did you mean 'knowledge'?"),
        (["search", "leave", "--version", "99"], 1, "no published version 99; there are 1"),
        (["points", "--version", "99"], 1, "no published version 99; there are 1"),
        (["search", "leave", "--filter", "sourc=docs"], 1, "did you mean 'source'?"),
        (["search", "leave", "--filter", "source"], 2, "'source' is not field=value"),
        (["search", "leave", "--as", "/nowhere.json"], 1, "/nowhere.json: cannot be read"),
        (["search", " "], 2, "is empty"),
        (["search", "leave", "-k", "0"], 2, "-k"),
        (["search"], 2, "QUERY"),
        (["text", "no-such-document"], 1, "no document no-such-document in version 1"),
        (["no-such-command"], 2, "No such command"),
        (["serve", "--port", "many"], 2, "--port"),
    ],
)
def test_errors_are_one_sentence_and_an_exit_code(
    commands: Commands, args: list[str], code: int, words: str
) -> None:
    done = commands.run(*args)

    assert (done.exit_code, done.stdout) == (code, "")
    assert words in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    if code == 1:
        assert done.stderr.startswith("error: ")
        assert done.stderr.count("\n") == 1


def test_broken_surroundings_are_named_in_one_sentence(fresh: Commands, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / "catalog.sqlite").write_bytes(b"this is no database" * 100)
    broken: list[tuple[dict[str, str], str]] = [
        ({"RAG_CONFIGS": str(tmp_path / "none")}, "is not a directory"),
        ({"RAG_HOME": str(file / "home")}, "RAG_HOME"),
        ({"RAG_HOME": str(damaged)}, "is not a database"),
    ]
    for variables, words in broken:
        for command in (["sync"], ["status"], ["search", "leave"], ["serve"]):
            done = fresh.run(*command, **variables)
            assert (done.exit_code, done.stdout, done.stderr.startswith("error: ")) == (1, "", True)
            assert done.stderr.count("\n") == 1
            assert words in done.stderr
        told = fresh.run("status", "--json", **variables)
        assert (told.exit_code, list(json.loads(told.stdout))) == (1, ["error"])
    unset = fresh.run("search", "leave")
    assert (unset.exit_code, "rag-pipelines sync" in unset.stderr) == (1, True)


def test_every_command_has_help(commands: Commands) -> None:
    listed = commands.run("--help")
    names = [
        "up", "sync", "publish", "serve", "doctor", "bench", "status", "sources", "versions", "quarantine",
        "duplicates", "config", "search", "text", "points",
    ]  # fmt: skip
    for name in names:
        assert f"  {name} " in listed.stdout
        shown = commands.run(name, "--help")
        assert shown.exit_code == 0
        assert "Usage:" in shown.stdout
    assert commands.run("bench", "ingest", "--help").exit_code == 0
    assert commands.run("--version").stdout.strip()


def test_source_that_cannot_be_listed_is_named_and_the_others_are_synced(fresh: Commands) -> None:
    fresh.project.source("gone", params={"url": "nowhere"})

    done = fresh.run("sync", "--json")
    report = json.loads(done.stdout)

    assert done.exit_code == 1
    assert list(report["errors"]) == ["gone"]
    assert "nowhere" in report["errors"]["gone"]
    assert (report["version"], report["published"], report["sources"]["docs"]["added"]) == (1, True, 3)
    by_name = {source["source"]: source for source in fresh.json("sources")["sources"]}
    assert by_name["docs"]["synced_at"]
    assert (by_name["gone"]["synced_at"], bool(by_name["gone"]["error"])) == (None, True)
    alone = fresh.run("sync", "gone", "--json")
    assert (alone.exit_code, list(json.loads(alone.stdout)["errors"])) == (1, ["gone"])
    failed = json.loads(fresh.run("doctor", "--json").stdout)
    assert [check["name"] for check in failed["checks"] if check["level"] == "failed"] == ["source gone"]


# Presses Ctrl-C, as a terminal does for the whole process group, when the second batch is about to be stored.
INTERRUPTED = """
import os, signal, sys
from rag_pipelines.catalog import documents
original = documents.save_parsed
def pressed(*args, **kwargs):
    os.killpg(0, signal.SIGINT)
    return original(*args, **kwargs)
documents.save_parsed = pressed
sys.argv[0] = "rag-pipelines"
from rag_pipelines.cli import main
main()
"""


def test_ctrl_c_ends_with_130_and_the_next_sync_completes(fresh: Commands) -> None:
    stopped = fresh.process("sync", "-q", code=INTERRUPTED)

    assert stopped.returncode == 130, stopped.stderr
    assert stopped.stderr == "interrupted; what was committed stays, run the same command to go on\n"
    report = fresh.json("sync")
    assert (report["version"], report["published"]) == (1, True)
    assert fresh.json("search", "ERR_4217", "-k", "1")["passages"][0]["uri"] == "pump.md"

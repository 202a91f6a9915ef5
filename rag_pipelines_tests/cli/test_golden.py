"""`rag-pipelines golden` on a real index: what lint finds, what freezing refuses, what logs suggest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rag_pipelines.catalog.documents import save_listed
from rag_pipelines.catalog.feedback import Feedback, save_feedback
from rag_pipelines.catalog.searches import Search, save_searches
from rag_pipelines.core.ids import document_id
from rag_pipelines_tests.catalog.rows import listed
from rag_pipelines_tests.cli.conftest import PAGES, Commands
from rag_pipelines_tests.evaluation.samples import HEADER, write_suite
from rag_pipelines_tests.project import Project

QUERIES = (
    {"_id": "q1", "text": "How many days of leave do I have?"},
    {"_id": "q2", "text": "What does ERR_4217 mean?"},
)
QRELS = (HEADER, "q1\tleave.md\t1", "q2\tpump.md\t1")


@pytest.fixture
def commands(tmp_path: Path) -> Commands:
    """Three pages and a sound suite of two questions."""
    project = Project(tmp_path / "project")
    for name, text in PAGES.items():
        project.write(name, text)
    write_suite(project.root / "suite", QUERIES, QRELS)
    project.configure("eval/pages", {"suite": "pages", "path": "suite", "measures": ["RR@10"]})
    return Commands(project)


def test_lint_and_freeze(commands: Commands) -> None:
    commands.project.sync()
    sound = commands.json("golden", "lint", "pages")
    assert (sound["findings"], sound["frozen"], sound["version"]) == ([], False, 1)
    frozen = commands.json("golden", "freeze", "pages")
    assert frozen["content_hash"] == sound["content_hash"]
    assert commands.json("golden", "lint", "pages")["frozen"] is True
    assert commands.json("eval", "pages")["queries"] == 2

    qrels = commands.project.root / "suite" / "qrels" / "test.tsv"
    qrels.write_text(qrels.read_text("utf-8").replace("pump.md", "pumps.md"), encoding="utf-8")
    refused = commands.run("eval", "pages")
    assert refused.exit_code == 1
    assert "the suite was frozen, and its content has changed since" in refused.stderr
    assert commands.json("golden", "freeze", "pages")["content_hash"] != frozen["content_hash"]

    found = commands.run("golden", "lint", "pages")
    assert found.exit_code == 1
    assert "missing document" in found.stdout
    printed = commands.run("golden", "lint", "pages", "--json")
    assert printed.exit_code == 1
    (finding,) = json.loads(printed.stdout)["findings"]
    assert (finding["kind"], finding["query_ids"]) == ("missing document", ["q2"])


def test_logs_suggest_what_several_people_stand_behind(commands: Commands, tmp_path: Path) -> None:
    feedback, searches = tmp_path / "feedback.jsonl", tmp_path / "searches.jsonl"
    rated = [
        {"query": "Hotel limit?", "person": "ana", "source": "docs", "uri": "travel.md", "helpful": True},
        {"query": "hotel limit", "person": "bo", "uri": "travel.md", "helpful": True, "at": "2026-11-01"},
        {"query": "My own salary?", "person": "bo", "uri": "pay.md", "helpful": True},
    ]
    feedback.write_text("".join(f"{json.dumps(row)}\n" for row in rated), encoding="utf-8")
    asked = [{"query": "Who won?", "person": name, "answerable": False} for name in ("ana", "bo", "cy")]
    searches.write_text("".join(f"{json.dumps(row)}\n\n" for row in asked), encoding="utf-8")
    found = commands.json("golden", "propose", "pages", str(feedback), str(searches), "--frequent", "3")
    assert found["rows"] == 6
    assert [
        (one["query"], one["document"], one["grade"], one["people"], one["reason"])
        for one in found["candidates"]
    ] == [
        ("Who won?", None, None, 3, "asked often, not answered"),
        ("Hotel limit?", "travel.md", 1, 2, "rated relevant"),
    ]
    shown = commands.run("golden", "propose", "pages", str(feedback))
    assert shown.exit_code == 0
    assert "travel.md" in shown.stdout
    assert "salary" not in shown.stdout


def test_the_service_s_own_log_suggests_the_same(commands: Commands) -> None:
    pump = document_id("docs", "pump.md")
    with commands.project.workspace() as workspace, workspace.catalog.begin() as tx:
        save_listed(tx, [listed("pump.md", source="docs")])
        for name in ("ana", "bo"):
            row = Search(
                name, "2026-11-01", "knowledge", 1, "acme", name, (("c1", pump, 1),), query="Hotel limit?"
            )
            save_searches(tx, [row])
            save_feedback(tx, "knowledge", "acme", name, Feedback(name, True, "c1"))
    found = commands.json("golden", "propose", "pages", "--catalog")
    assert found["rows"] == 4
    assert [(one["query"], one["document"], one["people"]) for one in found["candidates"]] == [
        ("Hotel limit?", "pump.md", 2)
    ]
    assert "--catalog" in commands.run("golden", "propose", "pages").stderr


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"query": "x"}', "log.jsonl:2: is not a row of a log: Object missing required field `person`"),
        ('{"query": "x", "person": "a", "helpfull": true}', "unknown field `helpfull`"),
        ("{", "log.jsonl:2: is not a row of a log"),
    ],
)
def test_a_wrong_line_of_a_log_is_named(commands: Commands, tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"query": "y", "person": "b"}\n' + line + "\n", encoding="utf-8")
    done = commands.run("golden", "propose", "pages", str(path))
    assert done.exit_code == 1
    assert message in done.stderr

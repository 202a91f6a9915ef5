"""`rag-pipelines audit` on a real catalog: what verify finds and exits with, and what leaves in an export."""

from __future__ import annotations

import csv
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag_pipelines.catalog import searches
from rag_pipelines.catalog.searches import Search
from rag_pipelines.core.events import Event
from rag_pipelines_tests.cli.conftest import Commands
from rag_pipelines_tests.project import Project


@pytest.fixture
def commands(tmp_path: Path) -> Commands:
    """Three lines and two searches, by ana and bo."""
    project = Project(tmp_path / "project")
    with project.workspace() as workspace:
        for subject in ("ana", "bo", "ana"):
            workspace.record(Event("search", f"user:{subject}", "knowledge", "acme", details={"passages": 2}))
        with workspace.catalog.begin() as tx:
            for subject in ("ana", "bo"):
                row = Search(
                    "r1", "2026-11-01", "knowledge", 1, "acme", subject, (), query="how?", query_key="00"
                )
                searches.save_searches(tx, [row])
    return Commands(project)


def tamper(commands: Commands, *statements: str) -> None:
    database = sqlite3.connect(commands.project.home / "catalog.sqlite")
    for name in ("audit_lines_stay", "audit_lines_last", "audit_head_forward"):
        database.execute(f"DROP TRIGGER {name}")
    for statement in statements:
        database.execute(statement)
    database.commit()
    database.close()


def test_verify_names_the_first_bad_line_and_exits_with_one(commands: Commands) -> None:
    whole = commands.json("audit", "verify")
    assert (whole["right"], whole["lines"], whole["bad"]) == (True, 3, None)
    assert "unbroken" in commands.run("audit", "verify").stdout
    tamper(commands, "UPDATE audit_lines SET details = 'nothing' WHERE seq = 2")
    assert commands.json("audit", "list")["lines"][1]["details"] == "nothing"
    done = commands.run("audit", "verify")
    assert done.exit_code == 1
    assert "line 2 was changed" in done.stderr
    printed = commands.run("audit", "verify", "--json")
    assert (printed.exit_code, json.loads(printed.stdout)["bad"]) == (1, 2)


def test_an_anchor_finds_a_log_that_was_cut_off(commands: Commands, tmp_path: Path) -> None:
    anchor = commands.run("audit", "head").stdout.strip()
    assert anchor == "3:" + str(commands.json("audit", "head")["hash"])
    anchors = tmp_path / "anchors"
    anchors.write_text(f"\n{anchor}\n", encoding="utf-8")
    assert commands.json("audit", "verify", "--anchor", str(anchors))["right"]
    (second,) = [line["hash"] for line in commands.json("audit", "list")["lines"] if line["seq"] == 2]
    tamper(
        commands, "DELETE FROM audit_lines WHERE seq = 3", f"UPDATE audit_head SET seq = 2, hash = '{second}'"
    )
    assert commands.json("audit", "verify")["right"]
    for given in (anchor, str(anchors)):
        done = commands.run("audit", "verify", "--anchor", given)
        assert (done.exit_code, "line 3 is missing: line 3 was anchored" in done.stderr) == (1, True)
    anchors.write_text("", encoding="utf-8")
    for given in ("3:abc", str(anchors)):
        wrong = commands.run("audit", "verify", "--anchor", given)
        assert (wrong.exit_code, "neither SEQ:HASH nor a file" in wrong.stderr) == (1, True)


def test_list_shows_the_newest_first(commands: Commands) -> None:
    lines = commands.json("audit", "list", "--actor", "user:ana", "--limit", "1")["lines"]
    assert [(line["seq"], line["details"]) for line in lines] == [(3, {"passages": 2})]
    assert commands.json("audit", "list", "--action", "publish")["lines"] == []
    assert "user:bo" in commands.run("audit", "list").stdout


def test_an_export_can_be_verified_by_itself(commands: Commands, tmp_path: Path) -> None:
    file, table = tmp_path / "audit.jsonl", tmp_path / "audit.csv"
    assert commands.run("audit", "export", str(file), "--since", "2020-01-01", "--jsonl").exit_code == 0
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert [(row["seq"], row["actor"]) for row in rows] == [(1, "user:ana"), (2, "user:bo"), (3, "user:ana")]
    assert commands.run("audit", "export").stdout == file.read_text(encoding="utf-8")
    assert commands.run("audit", "export", "--since", "2999-01-01").stdout == ""
    assert commands.run("audit", "export", str(table), "--csv").exit_code == 0
    with table.open(encoding="utf-8") as read:
        assert [row["hash"] for row in csv.DictReader(read)] == [row["hash"] for row in rows]
    assert commands.json("audit", "verify", "--file", str(file))["lines"] == 3
    file.write_text(file.read_text(encoding="utf-8").replace("user:bo", "user:me"), encoding="utf-8")
    assert commands.run("audit", "verify", "--file", str(file)).exit_code == 1
    file.write_text('{"seq": 1}\n', encoding="utf-8")
    broken = commands.run("audit", "verify", "--file", str(file))
    assert (broken.exit_code, "audit.jsonl:1: is no exported line" in broken.stderr) == (1, True)
    assert "no ISO date" in commands.run("audit", "export", "--since", "yesterday").stderr


def kept(project: Project) -> Iterator[str]:
    with project.workspace() as workspace:
        for row in searches.asked(workspace.catalog, "knowledge"):
            yield row["subject"]


def test_forget_one_person_or_what_is_old(commands: Commands) -> None:
    erased = commands.json("audit", "forget", "--tenant", "acme", "--subject", "ana")
    assert (erased["searches"], erased["feedback"]) == (1, 0)
    assert list(kept(commands.project)) == ["bo"]
    commands.project.configure("policy", {"queries": {"keep": "none"}})
    assert commands.json("audit", "forget")["texts"] == 1
    assert "nothing to forget" in commands.run("audit", "forget").stdout
    assert commands.run("audit", "forget", "--tenant", "acme").exit_code == 2

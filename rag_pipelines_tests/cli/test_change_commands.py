"""Commands that move versions and decide about deletions, as a person and as a script use them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rag_pipelines_tests.cli.conftest import Commands
from rag_pipelines_tests.project import Project

PAGE = "# Page {n}\n\nThe gear of machine {n} has {teeth} teeth.\n"


@pytest.fixture(scope="module")
def moved(tmp_path_factory: pytest.TempPathFactory) -> Commands:
    """Version 1 with twelve pages, version 2 without page 3 and with another page 4."""
    project = Project(tmp_path_factory.mktemp("moved"))
    for n in range(12):
        project.write(f"page{n:02}.md", PAGE.format(n=n, teeth=30 + n))
    commands = Commands(project)
    commands.json("sync")
    (project.root / "docs/page03.md").unlink()
    project.write("page04.md", PAGE.format(n=4, teeth=99))
    commands.json("sync")
    return commands


def uris(commands: Commands, *args: str) -> list[str]:
    done = commands.run("points", *args)
    assert done.exit_code == 0, done.output
    return [json.loads(line)["uri"] for line in done.stdout.splitlines()]


def test_diff_names_what_went_and_what_changed(moved: Commands) -> None:
    found = moved.json("diff", "1", "2")
    assert (found["documents"]["added"], found["documents"]["removed"]) == (0, 1)
    assert found["documents"]["changed"] == 1
    listed = {(row["change"], row["uri"]) for row in found["listed"]}
    assert {("removed", "page03.md"), ("changed", "page04.md")} <= listed
    shown = moved.run("diff", "1")
    assert shown.exit_code == 0
    assert "page03.md" in shown.stdout


def test_rollback_pins_hides_and_is_let_go(moved: Commands) -> None:
    back = moved.json("rollback")
    assert (back["before"], back["version"], back["pinned"], back["hidden"]) == (2, 1, 1, 1)
    assert back["switch_seconds"] < 60
    assert "page03.md" not in uris(moved)
    assert "page03.md" not in uris(moved, "--version", "1")
    assert moved.json("status")["indexes"][0]["pinned"] == 1
    live = next(row for row in moved.json("versions")["versions"] if row["live"])
    assert (live["number"], live["pinned"], live["status"]) == (1, True, "published")

    held = moved.run("publish", "--json")
    assert held.exit_code == 3
    assert json.loads(held.stdout)["pinned"] == 1
    synced = moved.json("sync")
    assert (synced["published"], synced["pinned"]) == (False, 1)
    assert "unpin" in moved.run("sync", "-q").output

    assert moved.json("unpin") == {"index": "knowledge", "unpinned": 1}
    forward = moved.json("publish")
    assert (forward["version"], forward["published"]) == (2, True)
    assert moved.json("unpin")["unpinned"] is None
    assert moved.json("pin")["version"] == 2
    assert moved.json("unpin")["unpinned"] == 2


@pytest.mark.parametrize(
    "command", [("rollback", "7"), ("pin", "7"), ("diff", "7"), ("rollback", "--to", "0")]
)
def test_unknown_version_is_named(moved: Commands, command: tuple[str, ...]) -> None:
    done = moved.run(*command)
    assert done.exit_code == 1
    assert command[-1] in done.output
    assert "1" in done.output


def test_vacuum_and_reconcile_report_counts(moved: Commands) -> None:
    assert moved.json("vacuum")["index"] == "knowledge"
    report = moved.json("reconcile")
    assert report["index"] == "knowledge"
    (collection,) = report["collections"]
    assert (collection["missing"], collection["stray"], collection["wrong_payload"]) == (0, 0, 0)
    assert moved.run("reconcile", "--dry-run").exit_code == 0


def test_held_deletions_exit_with_three_until_they_are_approved(tmp_path: Path) -> None:
    project = Project(tmp_path)
    for n in range(15):
        project.write(f"page{n:02}.md", PAGE.format(n=n, teeth=n))
    commands = Commands(project)
    commands.json("sync")
    assert commands.json("approvals") == {"approvals": []}
    assert "nothing waits" in commands.run("approve").output
    for n in range(11):
        (project.root / f"docs/page{n:02}.md").unlink()
    project.write("new.md", "# New\n\nA page about compressors.\n")

    held = commands.run("sync", "--json")

    assert held.exit_code == 3
    report = json.loads(held.stdout)
    assert report["held"] == {"docs": 11}
    assert report["published"] is True
    assert (report["sources"]["docs"]["added"], report["sources"]["docs"]["deleted"]) == (1, 0)
    assert {"new.md", "page00.md"} <= set(uris(commands))
    (request,) = commands.json("approvals")["approvals"]
    assert (request["source"], request["count"], request["documents"][0]) == ("docs", 11, "page00.md")
    assert commands.json("status")["approvals"][0]["id"] == request["id"]
    shown = commands.run("sync", "-q")
    assert shown.exit_code == 3
    assert "rag-pipelines approve docs" in shown.output
    assert "page00.md" in commands.run("approvals").output
    wrong = commands.run("approve", "handbook")
    assert wrong.exit_code == 1
    assert "docs" in wrong.output

    done = commands.json("approve", "docs", "--by", "ana")

    assert done == {"approved": [{"id": request["id"], "source": "docs", "deleted": 11}]}
    assert set(uris(commands)) == {"new.md", "page11.md", "page12.md", "page13.md", "page14.md"}
    assert commands.json("sync")["held"] == {}


def test_reindex_tries_again_and_force_redoes_a_prefix(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.write("hr/leave.md", "# Leave\n\nThirty days a year.\n")
    project.write("it/vpn.md", "# VPN\n\nUse the token.\n")
    commands = Commands(project)
    commands.json("sync")

    plain = commands.json("reindex", "docs", "--prefix", "hr/")
    assert (plain["counts"]["selected"], plain["counts"].get("fetched", 0)) == (1, 0)
    forced = commands.json("reindex", "docs", "--prefix", "hr/", "--force")
    assert (forced["counts"]["fetched"], forced["counts"]["parsed"]) == (1, 1)
    assert forced["counts"].get("embedded", 0) == 0
    assert commands.run("reindex", "nowhere").exit_code == 1

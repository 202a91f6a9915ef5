"""`sync` of indexes that keep tenants apart, and of several indexes, tells of each of them."""

from __future__ import annotations

from pathlib import Path

from rag_pipelines_tests.cli.conftest import Commands
from rag_pipelines_tests.cli.test_gates import spoilt
from rag_pipelines_tests.project import Project


def test_a_sync_tells_of_every_tenant_s_index_and_what_holds_one_back(tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    (project.root / "configs/indexes/knowledge.yaml").unlink()
    project.source("theirs", tenant="globex", acl=["*"])
    project.index("handbook", isolation="collection", tenants=["acme", "globex"], sparse=None)
    project.configure("service", {"principal": {"tenant": "acme"}, "default_index": "handbook"})
    project.write("leave.md", "# Leave\n\nThirty days of paid leave a year.\n")
    project.write("travel.md", "# Travel\n\nTrains before flights.\n", "theirs")
    commands = Commands(project)

    done = commands.run("sync", "--quiet")
    assert done.exit_code == 0, done.stderr
    assert "handbook__acme: version 1 is live (" in done.stdout
    assert "handbook__globex: version 1 is live" in done.stdout
    commands.run("rollback", "--index", "handbook__globex", "--to", "1")
    printed = commands.json("sync")
    assert (printed["index"], printed["version"]) == ("handbook__acme", 1)
    assert printed["others"] == {
        "handbook__globex": {"version": 1, "published": True, "refused": None, "pinned": 1}
    }
    assert list(commands.json("sync", "--index", "handbook__globex")["others"]) == []
    unsaid = commands.run("search", "leave")
    assert unsaid.exit_code == 1
    assert "index 'handbook' is one for each tenant; say which: --index with one of" in unsaid.stderr


def test_a_gate_that_refuses_one_index_is_told_whichever_comes_first(tmp_path: Path) -> None:
    project = spoilt(tmp_path / "project", "second")

    done = Commands(project).run("sync", "--quiet")
    assert done.exit_code == 3, done.stderr
    assert "knowledge: version 2 is live" in done.stdout
    assert "second: version 2 is staged and refused" in done.stdout
    assert "second: refused by its gates: suite pages" in done.stderr

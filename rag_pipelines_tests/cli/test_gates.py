"""`gate`, `publish --override`, and what `sync` and `versions` say of a refused version."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rag_pipelines_tests.cli.conftest import PAGES, Commands
from rag_pipelines_tests.pipeline.test_gates import GATES, spoil, write_pages
from rag_pipelines_tests.project import Project


def spoilt(root: Path, index: str) -> Project:
    """A project whose next version the gates of the index refuse, after one that they let through."""
    project = Project(root)
    for name, text in PAGES.items():
        project.write(name, text)
    write_pages(project)
    project.index(index, gates=GATES)
    project.sync()
    spoil(project)
    return project


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory) -> Commands:
    """Version 1 is live and version 2 was refused."""
    project = spoilt(tmp_path_factory.mktemp("refused"), "knowledge")
    project.sync()
    return Commands(project)


def test_every_check_is_shown_and_the_exit_code_says_held(refused: Commands) -> None:
    done = refused.run("gate", "--quiet")
    assert done.exit_code == 3
    assert "suite_pages" in done.stdout
    assert "security" in done.stdout
    assert "refused: suite pages: RR@10 is" in done.stderr
    printed = json.loads(refused.run("gate", "--json").stdout)
    assert (printed["version"], printed["passed"]) == (2, False)
    assert [check["passed"] for check in printed["checks"]] == [True, False]


def test_versions_and_sync_say_why(refused: Commands) -> None:
    (newest, oldest) = refused.json("versions")["versions"]
    assert (newest["number"], newest["status"], newest["gate"]["state"]) == (2, "staged", "refused")
    assert "below its floor" in newest["gate"]["reason"]
    assert (oldest["number"], oldest["gate"]["state"], oldest["live"]) == (1, "passed", True)
    synced = refused.run("sync", "--quiet")
    assert synced.exit_code == 3
    assert "is staged and refused" in synced.stdout
    assert "refused by its gates: suite pages: RR@10 is" in synced.stderr
    assert "error:" not in synced.stderr


@pytest.mark.parametrize(
    "options",
    [["--override"], ["--override", "--by", "Ana"], ["--by", "Ana", "--reason", "so"], ["--reason", "so"]],
)
def test_an_override_needs_a_name_and_a_reason(refused: Commands, options: list[str]) -> None:
    done = refused.run("publish", *options)
    assert done.exit_code == 2
    assert "go together" in done.stderr


def test_publish_refuses_until_somebody_overrides(refused: Commands, tmp_path: Path) -> None:
    twin = Commands(refused.project.copied(tmp_path / "twin"))
    done = twin.run("publish")
    assert done.exit_code == 3
    assert "version 1 of knowledge stays live" in done.stdout
    assert json.loads(twin.run("publish", "--json").stdout)["refused"].startswith("suite pages")
    assert twin.json("publish", "--override", "--by", "Ana Alvarez", "--reason", "the pump was sold")[
        "published"
    ]
    newest = twin.json("versions")["versions"][0]
    assert newest["live"]
    assert newest["gate"]["override"]["by"] == "Ana Alvarez"
    shown = twin.run("versions").stdout
    assert "overridden by Ana" in " ".join(shown.split())
    nothing = twin.run("gate")
    assert nothing.exit_code == 0
    assert "nothing is staged" in nothing.stdout


def test_an_index_without_gates_says_how_to_add_one(tmp_path: Path) -> None:
    project = Project(tmp_path)
    done = Commands(project).run("gate")
    assert done.exit_code == 1
    assert "has no gates; add `gates:` to its YAML" in done.stderr

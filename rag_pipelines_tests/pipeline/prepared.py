"""Projects that are built once a test process and copied: most tests need one that is synced, not the sync."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from rag_pipelines.pipeline.rollback import rollback
from rag_pipelines_tests.pipeline.conftest import LEAVE, PUMP, TRAVEL
from rag_pipelines_tests.project import Project


def one_version(root: Path) -> Project:
    """Three pages, synced."""
    return _copied(Path(_one_version().name), root)


def three_versions(root: Path) -> Project:
    """Of those pages, leave.md is edited in version 2 and pump.md deleted in version 3."""
    return _copied(Path(_three_versions().name), root)


def rolled_back_while_busy(project: Project, to: int) -> None:
    """A rollback during a sync: what is gone since is hidden, and still in the engine."""
    with (
        project.workspace() as syncing,
        syncing.catalog.exclusive("sync", lambda _: None),
        project.workspace() as workspace,
    ):
        moved = rollback(workspace, "knowledge", to)
    assert not moved.settled
    assert moved.hidden


def _copied(made: Path, root: Path) -> Project:
    # Not shutil.copytree: the engine's files are mostly holes, which it would fill.
    subprocess.run(["cp", "-a", "--reflink=auto", f"{made}/.", str(root)], check=True)
    project = object.__new__(Project)
    project.root, project.variables = root, {}
    return project


@cache
def _one_version() -> TemporaryDirectory[str]:
    folder = TemporaryDirectory(prefix="rag-prepared-")
    project = Project(Path(folder.name))
    for name, text in (("leave.md", LEAVE), ("travel.md", TRAVEL), ("pump.md", PUMP)):
        project.write(name, text)
    project.sync()
    return folder


@cache
def _three_versions() -> TemporaryDirectory[str]:
    folder = TemporaryDirectory(prefix="rag-prepared-")
    project = one_version(Path(folder.name))
    project.write("leave.md", LEAVE.replace("Seven days", "Nine days"))
    project.sync()
    (project.root / "docs/pump.md").unlink()
    project.sync()
    return folder

"""Killed anywhere, the next run ends in the same index as a clean one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rag_pipelines.catalog import versions
from rag_pipelines_tests.pipeline.conftest import LEAVE, PUMP, TRAVEL
from rag_pipelines_tests.project import Project

# Runs a sync in a process of its own that kills itself when a function of the product is entered.
KILLER = """
import importlib, os, signal, sys
module, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
owner = importlib.import_module(module)
for part in name.split(".")[:-1]:
    owner = getattr(owner, part)
last = name.split(".")[-1]
original = getattr(owner, last)
calls = 0
def fatal(*args, **kwargs):
    global calls
    calls += 1
    if calls >= count:
        os.kill(os.getpid(), signal.SIGKILL)
    return original(*args, **kwargs)
setattr(owner, last, fatal)
from rag_pipelines.pipeline.sync import sync
from rag_pipelines.pipeline.workspace import open_workspace
with open_workspace() as workspace:
    sync(workspace, list(workspace.configuration.sources))
"""

POINTS = [
    ("rag_pipelines.catalog.documents", "save_parsed", 1),
    ("rag_pipelines.catalog.chunks", "replace_chunks", 2),
    ("rag_pipelines.catalog.chunks", "save_embeddings", 1),
    ("rag_pipelines.catalog.versions", "intend_points", 1),
    ("rag_pipelines.index.edge_shard", "EdgeWriter.upsert", 1),
    ("rag_pipelines.index.edge_shard", "EdgeWriter.set_payload", 1),
    ("rag_pipelines.catalog.versions", "confirm_points", 1),
    ("rag_pipelines.pipeline.stage", "finish_staging", 1),
    ("rag_pipelines.index.edge", "EdgeEngine.snapshot", 1),
    ("rag_pipelines.catalog.versions", "move_pointer", 1),
    ("rag_pipelines.index.edge", "EdgeEngine.prune", 1),
]


def killed_sync(project: Project, module: str, name: str, count: int) -> None:
    """Sync in a child that dies by SIGKILL at the count-th call of the function."""
    done = subprocess.run(
        [sys.executable, "-c", KILLER, module, name, str(count)],
        env={**os.environ, **project.environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(("module", "name", "count"), POINTS, ids=[name for _, name, _ in POINTS])
def test_kill_then_rerun_equals_a_clean_build(tmp_path: Path, module: str, name: str, count: int) -> None:
    project = Project(tmp_path / "killed")
    for file, text in (("leave.md", LEAVE), ("travel.md", TRAVEL), ("pump.md", PUMP)):
        project.write(file, text)
    project.sync()
    first = project.visible()
    project.write("leave.md", LEAVE.replace("Seven", "Nine"))
    (project.root / "docs/travel.md").unlink()
    project.write("new.md", "# New\n\nA page about compressors.\n")

    killed_sync(project, module, name, count)
    assert project.visible(1) == first, "the version that was live stays readable and unchanged"
    project.sync()

    clean = Project(tmp_path / "clean")
    for page in sorted((project.root / "docs").iterdir()):
        os.link(page, clean.root / "docs" / page.name)
    clean.sync()
    assert _comparable(project) == _comparable(clean)
    assert project.visible(1) == first


def test_change_reverted_after_a_crash_leaves_no_stray_point(project: Project) -> None:
    project.sync()
    before = project.visible()
    project.write("leave.md", LEAVE.replace("Seven", "Nine"))
    killed_sync(project, "rag_pipelines.catalog.versions", "confirm_points", 1)
    project.write("leave.md", LEAVE)

    project.sync()

    assert _texts(project) == sorted(payload["text"] for payload in before.values())


def test_source_left_half_staged_is_completed_before_another_publishes(project: Project) -> None:
    project.source("more")
    project.write("gears.md", "# Gears\n\nThe gear ratio is 3.2.\n", "more")
    project.sync()
    project.write("leave.md", LEAVE.replace("Seven", "Nine"))
    killed_sync(project, "rag_pipelines.catalog.versions", "confirm_points", 1)

    project.write("gears.md", "# Gears\n\nThe gear ratio is 4.1.\n", "more")
    project.sync("more")

    texts = " ".join(_texts(project))
    assert "Nine days" in texts
    assert "Seven days" not in texts
    assert "4.1" in texts
    with project.workspace() as workspace:
        assert versions.unfinished_sources(workspace.catalog, "knowledge") == []


def _comparable(project: Project) -> dict[str, dict[str, object]]:
    ignored = ("revision", "modified_at", "link")
    return {
        chunk: {key: value for key, value in payload.items() if key not in ignored}
        for chunk, payload in project.visible().items()
    }


def _texts(project: Project) -> list[str]:
    return sorted(payload["text"] for payload in project.visible().values())

"""The commands, run in this process or as a process of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from rag_pipelines.cli.app import app
from rag_pipelines_tests.project import Project

PAGES = {
    "leave.md": "# Leave\n\nEveryone has thirty days of paid leave a year.\n\n## Carry-over\n\nSeven days move over.\n",
    "travel.md": "# Travel\n\nBook trains before flights. Hotels cost at most 140 euros a night.\n",
    "pump.md": "# Pump P-880\n\nError ERR_4217 means that the inlet valve is blocked.\n",
}


@dataclass(frozen=True)
class Commands:
    """`rag-pipelines ...` on one project."""

    project: Project

    def run(self, *args: str, **variables: str | None) -> Any:
        """A finished command: exit_code, stdout, stderr."""
        env = {**self.project.environ, "DAGSTER_HOME": None, **variables}
        return CliRunner().invoke(app, list(args), env=env)

    def json(self, *args: str) -> dict[str, Any]:
        """The one JSON object that a command that succeeds prints."""
        done = self.run(*args, "--json")
        assert done.exit_code == 0, done.output
        (line,) = done.stdout.splitlines()
        printed = json.loads(line)
        assert isinstance(printed, dict)
        return printed

    def process(self, *args: str, code: str | None = None) -> subprocess.CompletedProcess[str]:
        """The command in a process and process group of its own; `code` runs instead of the module."""
        start = ["-c", code] if code is not None else ["-m", "rag_pipelines.cli"]
        env = {**os.environ, **self.project.environ}
        env.pop("DAGSTER_HOME", None)
        return subprocess.run(
            [sys.executable, *start, *args],
            env=env,
            capture_output=True,
            text=True,
            check=False,
            start_new_session=True,
        )


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Commands:
    """Three pages, long prose, a broken file and a paper of the board; synced by the first test."""
    project = Project(tmp_path_factory.mktemp("commanded"))
    project.source("docs", chunking={"max_tokens": 24})
    for name, text in PAGES.items():
        project.write(name, text)
    for page in range(4):
        sections = (
            f"## Part {n}\n\nGröße 🚲 {n} of page {page} is about gear {n * page}.\n" for n in range(8)
        )
        project.write(f"gears{page}.md", f"# Gears {page}\n\n" + "\n".join(sections))
    project.write("broken.md", b"\x00\x01\x02\x03" * 500)
    project.source("board", acl=["group:board"])
    project.write("salaries.md", "# Salaries\n\nThe board leaves salaries as they are.\n", "board")
    return Commands(project)


@pytest.fixture
def fresh(tmp_path: Path) -> Commands:
    """Three pages, not synced, for tests that change or break something."""
    project = Project(tmp_path)
    for name, text in PAGES.items():
        project.write(name, text)
    return Commands(project)

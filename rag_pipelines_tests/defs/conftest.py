"""Dagster on a scratch project, with an instance that lives as long as the test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from rag_pipelines.core.errors import SourceError
from rag_pipelines.defs.build import build_definitions
from rag_pipelines_tests.project import Project


def definitions(project: Project, **options: Any) -> dg.Definitions:
    """What Dagster knows of the project."""
    with project.workspace() as workspace:
        return build_definitions(project.environment, workspace.configuration, **options)


def execute(
    project: Project, job: str, instance: dg.DagsterInstance, **options: Any
) -> dg.ExecuteInProcessResult:
    """Run a job as it is launched from the UI, with nothing but its own tags."""
    return (
        definitions(project)
        .resolve_job_def(job)
        .execute_in_process(instance=instance, raise_on_error=False, **options)
    )


class Failing:
    """Stands in for `observe`: the first `times` calls raise."""

    def __init__(self, original: Any, times: int, *, transient: bool) -> None:
        self.calls = 0
        self._original, self._times, self._transient = original, times, transient

    def __call__(self, *args: Any) -> Any:
        """Fail or pass on."""
        self.calls += 1
        if self.calls <= self._times:
            raise SourceError("the share does not answer", transient=self._transient)
        return self._original(*args)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Two sources of one page each, not synced."""
    made = Project(tmp_path)
    made.source(
        "docs",
        owner="docs@acme.example",
        description="The handbook",
        schedule="*/15 * * * *",
        freshness={"warn_after": "1h", "fail_after": "6h"},
    )
    made.source("board", owner="Board Office@intranet", shards=3)
    made.write("leave.md", "# Leave\n\nThirty days of leave a year.\n")
    made.write("paper.md", "# Paper\n\nA paper of the board.\n", "board")
    return made


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """An instance of its own."""
    with dg.DagsterInstance.ephemeral() as opened:
        yield opened

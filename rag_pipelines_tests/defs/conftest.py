"""Dagster on a scratch project, with an instance that lives as long as the test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from rag_pipelines.core.errors import SourceError
from rag_pipelines.defs.build import build_definitions
from rag_pipelines.defs.observations import DATA_VERSION
from rag_pipelines.defs.partitions import RANGE_END, RANGE_START
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


def materialize(
    project: Project, instance: dg.DagsterInstance, *names: str, partition: str = ""
) -> dg.ExecuteInProcessResult:
    """One run over these assets, as the UI's button or the automation starts it."""
    tags = {RANGE_START: partition, RANGE_END: partition} if partition else {}
    return (
        definitions(project)
        .resolve_implicit_global_asset_job_def()
        .execute_in_process(
            instance=instance, asset_selection=[dg.AssetKey(name.split("/")) for name in names], tags=tags
        )
    )


def updates(instance: dg.DagsterInstance, name: str) -> list[tuple[str | None, str | None]]:
    """(partition, data version) of every materialization of an asset, oldest first."""
    found = instance.fetch_materializations(dg.AssetKey(name.split("/")), limit=1000, ascending=True).records
    events = [record.asset_materialization for record in found]
    return [(event.partition, (event.tags or {}).get(DATA_VERSION)) for event in events if event]


class Automation:
    """The automation as the daemon evaluates it, tick by tick."""

    def __init__(self, project: Project, instance: dg.DagsterInstance) -> None:
        self._project, self._instance = project, instance
        self._cursor: Any = None

    def tick(self) -> dict[str, list[str]]:
        """Asset -> the partitions that are asked for ("" for an asset without partitions)."""
        defs = definitions(self._project)
        result = dg.evaluate_automation_conditions(defs, self._instance, cursor=self._cursor)
        self._cursor = result.cursor
        graph = defs.resolve_asset_graph()
        asked: dict[str, list[str]] = {}
        for key in graph.materializable_asset_keys:
            if result.get_num_requested(key):
                partitions = result.get_requested_partitions(key) if graph.get(key).is_partitioned else {""}
                asked[key.to_user_string()] = sorted(str(name) for name in partitions)
        return asked

    def run(self, asked: dict[str, list[str]]) -> None:
        """Do what a tick asked for, a run a partition."""
        for partition in sorted({name for names in asked.values() for name in names}):
            names = [asset for asset, partitions in asked.items() if partition in partitions]
            assert materialize(self._project, self._instance, *names, partition=partition).success


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

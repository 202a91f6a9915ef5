"""Change sensors: when they ask for a sync, when they wait, and when they ask again."""

from __future__ import annotations

import json

import dagster as dg
import pytest
from dagster._core.remote_origin import InProcessCodeLocationOrigin, RemoteRepositoryOrigin
from dagster._core.test_utils import create_run_for_test
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

from rag_pipelines_tests.defs.conftest import definitions
from rag_pipelines_tests.project import Project


class Ticking:
    """The sensor of `docs` with its cursor, at moments that the test chooses."""

    def __init__(
        self, project: Project, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.cursor: str | None = None
        self.moment = 1_800_000_000.0
        self._project, self._instance = project, instance
        monkeypatch.setattr("rag_pipelines.defs.sensors.time.time", lambda: self.moment)

    def tick(self) -> bool:
        """Whether it asks for a run."""
        return isinstance(self.answer(), dg.RunRequest)

    def answer(self) -> object:
        """What it answers."""
        found = {sensor.name: sensor for sensor in definitions(self._project).sensors or []}
        context = dg.build_sensor_context(instance=self._instance, cursor=self.cursor)
        answer = found["docs_changes"](context)
        self.cursor = context.cursor
        return answer


@pytest.fixture
def ticking(project: Project, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> Ticking:
    """The sensor before its first tick."""
    return Ticking(project, instance, monkeypatch)


def test_one_sensor_a_source_is_on_where_there_is_a_schedule(project: Project) -> None:
    found = {sensor.name: sensor.default_status for sensor in definitions(project).sensors or []}
    assert found == {
        "docs_changes": dg.DefaultSensorStatus.RUNNING,
        "board_changes": dg.DefaultSensorStatus.STOPPED,
        "changed_shards": dg.DefaultSensorStatus.RUNNING,
        "reindex_requests": dg.DefaultSensorStatus.RUNNING,
    }


def test_sensor_asks_for_a_run_when_something_is_new_and_says_why_not(
    project: Project, ticking: Ticking
) -> None:
    assert ticking.tick()
    project.sync("docs")
    assert ticking.answer() == dg.SkipReason("nothing new")

    project.write("new.md", "# New\n\nSomething new.\n")
    assert ticking.tick()

    (project.root / "docs").rename(project.root / "away")
    refused = ticking.answer()
    assert isinstance(refused, dg.SkipReason)
    assert "docs" in str(refused.skip_message)


def test_a_change_whose_run_failed_is_asked_for_again_with_growing_waits(
    project: Project, ticking: Ticking
) -> None:
    assert ticking.tick()
    asked_at = [0]
    for minute in (1, 4, 5, 6, 14, 15, 34, 35, 74, 75, 134, 135, 194, 195):
        ticking.moment = 1_800_000_000.0 + 60 * minute
        if ticking.tick():
            asked_at.append(minute)
    assert asked_at == [0, 5, 15, 35, 75, 135, 195]  # waits of 5, 10, 20, 40, then 60 minutes

    project.write("new.md", "# New\n\nSomething new does not wait.\n")
    assert ticking.tick()
    assert json.loads(str(ticking.cursor))["times"] == 1


@pytest.mark.parametrize("job", ["sync_docs", "sync_all"])
def test_a_queued_sync_will_see_the_change(ticking: Ticking, instance: dg.DagsterInstance, job: str) -> None:
    origin = RemoteRepositoryOrigin(
        InProcessCodeLocationOrigin(LoadableTargetOrigin()), "any"
    ).get_job_origin(job)
    run = create_run_for_test(
        instance, job_name=job, status=dg.DagsterRunStatus.QUEUED, remote_job_origin=origin
    )
    refused = ticking.answer()
    assert isinstance(refused, dg.SkipReason)
    assert job in str(refused.skip_message)

    instance.delete_run(run.run_id)
    assert ticking.tick()


def test_cursor_of_an_earlier_release_is_no_error(ticking: Ticking) -> None:
    ticking.cursor = "a bare token"
    assert ticking.tick()

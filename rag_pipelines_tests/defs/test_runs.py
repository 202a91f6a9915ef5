"""Runs of the jobs: what they materialize, retry, refuse and wait for."""

from __future__ import annotations

import threading
from pathlib import Path

import dagster as dg
import pytest

from rag_pipelines.defs import resources, sources
from rag_pipelines.defs.partitions import RANGE_END, RANGE_START
from rag_pipelines.defs.run import prepare_dagster_home, run_sync
from rag_pipelines.pipeline.observe import observe
from rag_pipelines_tests.defs.conftest import Failing, execute
from rag_pipelines_tests.project import Project


def test_one_run_materializes_exactly_the_partitions_of_its_source(
    project: Project, instance: dg.DagsterInstance
) -> None:
    result = execute(project, "sync_docs", instance)

    assert result.success
    done = {
        key.to_user_string(): sorted(
            str(event.partition)
            for event in result.get_asset_materialization_events()
            if event.asset_key == key
        )
        for key in (event.asset_key for event in result.get_asset_materialization_events() if event.asset_key)
    }
    shards = ["docs/00", "docs/01"]
    assert done == {
        "sources/docs": ["None"],
        "documents": shards,
        "parsed_documents": shards,
        "knowledge/duplicates": shards,
        "knowledge/chunks": shards,
        "knowledge/embeddings": shards,
        "knowledge/staged": shards,
        "knowledge/published": ["None"],
    }
    assert len(instance.get_runs()) == 1
    assert project.uris("leave") == ["leave.md"]
    checks = {check.check_name: check.passed for check in result.get_asset_check_evaluations()}
    assert checks == {"listing_complete": True, "deletions_within_limit": True}
    metadata = {
        event.asset_key.to_user_string(): event.materialization.metadata
        for event in result.get_asset_materialization_events()
        if event.asset_key
    }
    assert metadata["sources/docs"]["listed"].value == 1
    assert str(metadata["parsed_documents"]["samples"].value).count("leave.md") == 1
    assert metadata["knowledge/embeddings"]["embedded"].value == 1
    assert metadata["knowledge/published"]["live_version"].value == 1
    assert all("seconds" in found for name, found in metadata.items() if name != "documents")


def test_transient_error_is_retried_and_a_permanent_one_is_not(
    project: Project, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources, "FIRST_WAIT_SECONDS", 0.0)
    hiccup = Failing(observe, 2, transient=True)
    monkeypatch.setattr(sources, "observe", hiccup)
    assert execute(project, "sync_docs", instance).success
    assert hiccup.calls == 3

    away = Failing(observe, 99, transient=True)
    monkeypatch.setattr(sources, "observe", away)
    assert not execute(project, "sync_docs", instance).success
    assert away.calls == 1 + resources.MAX_RETRIES

    wrong = Failing(observe, 99, transient=False)
    monkeypatch.setattr(sources, "observe", wrong)
    result = execute(project, "sync_docs", instance)
    assert wrong.calls == 1
    (failed,) = [event for event in result.all_events if event.is_step_failure]
    failure = failed.step_failure_data.user_failure_data
    assert failure is not None
    assert failure.description == "the share does not answer"


def test_sync_all_goes_on_without_a_source_that_cannot_be_listed(
    project: Project, instance: dg.DagsterInstance
) -> None:
    (project.root / "board").rename(project.root / "away")

    result = execute(project, "sync_all", instance)

    assert result.success
    checks = {
        check.asset_key.to_user_string(): check
        for check in result.get_asset_check_evaluations()
        if check.check_name == "listing_complete"
    }
    assert checks["sources/docs"].passed
    assert not checks["sources/board"].passed
    assert "board" in str(checks["sources/board"].metadata["error"].value)
    assert project.uris("leave") == ["leave.md"]
    assert not execute(project, "sync_board", instance).success


def test_inverted_range_fails_instead_of_doing_nothing(
    project: Project, instance: dg.DagsterInstance
) -> None:
    tags = {RANGE_START: "docs/01", RANGE_END: "docs/00"}

    result = execute(project, "sync_docs", instance, tags=tags)

    (failed,) = [event for event in result.all_events if event.is_step_failure]
    failure = failed.step_failure_data.user_failure_data
    assert failure is not None
    assert "its range is empty or inverted" in str(failure.description)
    assert project.live() is None


def test_two_syncs_at_once_wait_for_each_other(project: Project) -> None:
    waiting: list[str] = []
    told = threading.Event()

    def wait(holder: str) -> None:
        waiting.append(holder)
        told.set()

    with project.workspace() as workspace:
        environment, configuration = project.environment, workspace.configuration
        outcomes: list[object] = []
        sync = threading.Thread(
            target=lambda: outcomes.extend(run_sync(environment, configuration, ["docs"], None, wait))
        )
        with workspace.catalog.exclusive("sync", lambda _: pytest.fail("the lock is free")):
            sync.start()
            assert told.wait(120)
            assert project.live() is None
        sync.join(120)
    assert not sync.is_alive()
    assert len(waiting) == 1
    assert [outcome.error for outcome in outcomes] == [None]  # type: ignore[attr-defined]
    assert project.live() == 1


def test_dagster_home_of_somebody_else_keeps_its_settings(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "")
    (project.root / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    prepare_dagster_home(project.environment, project.root)
    ours = project.home / "dagster/dagster.yaml"
    assert ours.read_text() == "telemetry:\n  enabled: false\n"
    (project.root / "dagster.yaml").write_text("telemetry:\n  enabled: true\n")
    prepare_dagster_home(project.environment, project.root)
    assert ours.read_text() == "telemetry:\n  enabled: true\n"

    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "dagster.yaml").write_text("# theirs\n")
    project.variables["DAGSTER_HOME"] = str(theirs)
    prepare_dagster_home(project.environment, project.root)
    assert (theirs / "dagster.yaml").read_text() == "# theirs\n"

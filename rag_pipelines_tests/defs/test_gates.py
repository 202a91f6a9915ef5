"""Release gates in Dagster: blocking checks between staging and publishing."""

from __future__ import annotations

import dagster as dg
import pytest

from rag_pipelines.defs.run import run_sync
from rag_pipelines_tests.defs.conftest import execute
from rag_pipelines_tests.pipeline.test_gates import GATES, spoil, write_pages
from rag_pipelines_tests.project import Project


@pytest.fixture
def gated(project: Project) -> Project:
    """Pages that a suite of questions is about."""
    project.write("leave.md", "# Leave\n\nEveryone has thirty days of paid leave a year.\n")
    project.write("travel.md", "# Travel\n\nHotels cost at most 140 euros a night.\n")
    project.write("pump.md", "# Pump P-880\n\nError ERR_4217 means that the inlet valve is blocked.\n")
    write_pages(project)
    project.index("knowledge", gates=GATES)
    return project


def test_checks_stand_between_staging_and_publishing(gated: Project, instance: dg.DagsterInstance) -> None:
    result = execute(gated, "sync_docs", instance)
    assert result.success
    found = {check.check_name: check for check in result.get_asset_check_evaluations()}
    assert {"security", "suite_pages"} <= found.keys()
    suite = found["suite_pages"]
    assert suite.asset_key == dg.AssetKey(["knowledge", "staged"])
    assert (suite.passed, suite.blocking) == (True, True)
    measures = suite.metadata["measures"]
    assert isinstance(measures, dg.TableMetadataValue)
    assert measures.records[0].data["mean"] == 1.0
    assert gated.live() == 1


def test_what_fails_is_not_published_and_says_why(gated: Project, instance: dg.DagsterInstance) -> None:
    assert execute(gated, "sync_docs", instance).success
    spoil(gated)
    result = execute(gated, "sync_docs", instance)
    assert not result.success
    found = {check.check_name: check for check in result.get_asset_check_evaluations()}
    assert not found["suite_pages"].passed
    assert "below its floor of 0.9" in str(found["suite_pages"].description)
    done = {
        event.asset_key.to_user_string()
        for event in result.get_asset_materialization_events()
        if event.asset_key
    }
    assert "knowledge/staged" in done
    assert "knowledge/published" not in done
    assert gated.live() == 1


def test_a_sync_says_that_nothing_failed_but_a_gate(gated: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    with gated.workspace() as workspace:
        environment, configuration = workspace.environment, workspace.configuration
    (first,) = run_sync(environment, configuration, ["docs"])
    assert (first.error, first.refused) == (None, False)
    spoil(gated)
    (second,) = run_sync(environment, configuration, ["docs"])
    assert second.refused
    (again,) = run_sync(environment, configuration, ["docs"])
    assert again.refused, "nothing changed, and what is staged is still refused"


def test_publishing_alone_asks_the_gates_too(gated: Project, instance: dg.DagsterInstance) -> None:
    from rag_pipelines_tests.defs.conftest import definitions

    assert execute(gated, "sync_docs", instance).success
    gated.index("knowledge", gates=GATES, publish="manual")
    spoil(gated)
    gated.sync()
    gated.index("knowledge", gates=GATES)
    job = definitions(gated).resolve_implicit_global_asset_job_def()
    result = job.execute_in_process(
        instance=instance, asset_selection=[dg.AssetKey(["knowledge", "published"])], raise_on_error=False
    )
    assert not result.success
    assert gated.live() == 1


def test_an_index_without_gates_has_no_checks(project: Project, instance: dg.DagsterInstance) -> None:
    result = execute(project, "sync_docs", instance)
    assert {check.check_name for check in result.get_asset_check_evaluations()} == {
        "listing_complete",
        "deletions_within_limit",
    }

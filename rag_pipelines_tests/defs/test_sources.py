"""What a source shows: freshness that is true, deletions that wait, and how long changes took."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster._core.definitions.freshness_evaluator import TimeWindowFreshnessPolicyEvaluator
from dagster._core.loader import LoadingContextForTest
from dagster._core.test_utils import freeze_time

from rag_pipelines.catalog.approvals import pending_approvals
from rag_pipelines.pipeline.approve import approve
from rag_pipelines_tests.defs.conftest import definitions, execute, materialize, updates
from rag_pipelines_tests.project import Project

DOCS = dg.AssetKey(["sources", "docs"])


def freshness(project: Project, instance: dg.DagsterInstance, after: timedelta) -> str:
    """The state of `sources/docs` that the UI shows some time from now."""
    node = definitions(project).resolve_asset_graph().get(DOCS)
    with freeze_time(datetime.now(UTC) + after):
        evaluator = TimeWindowFreshnessPolicyEvaluator()
        state = asyncio.run(evaluator.evaluate_freshness(LoadingContextForTest(instance), node))
    return state.value


def test_freshness_warns_and_fails_by_the_yaml(project: Project, instance: dg.DagsterInstance) -> None:
    assert freshness(project, instance, timedelta()) == "UNKNOWN"
    assert execute(project, "sync_docs", instance).success

    assert freshness(project, instance, timedelta(minutes=50)) == "PASS"
    assert freshness(project, instance, timedelta(hours=2)) == "WARN"
    assert freshness(project, instance, timedelta(hours=7)) == "FAIL"


def test_listing_that_failed_is_not_fresh_even_where_the_run_goes_on(
    project: Project, instance: dg.DagsterInstance
) -> None:
    assert execute(project, "sync_all", instance).success
    assert len(updates(instance, "sources/docs")) == len(updates(instance, "sources/board")) == 1
    (project.root / "docs").rename(project.root / "away")
    project.write("second.md", "# Second\n\nA second paper.\n", "board")

    result = execute(project, "sync_all", instance)

    assert result.success
    assert len(updates(instance, "sources/docs")) == 1
    assert len(updates(instance, "sources/board")) == 2
    assert project.uris("second paper", k=1) == ["second.md"]
    failed = [check for check in result.get_asset_check_evaluations() if not check.passed]
    assert [(check.asset_key, check.check_name) for check in failed] == [(DOCS, "listing_complete")]


def test_deletions_beyond_the_limit_fail_a_check_that_lists_them(
    project: Project, instance: dg.DagsterInstance
) -> None:
    project.source("docs", limits={"max_delete_fraction": 0.2, "max_delete_floor": 2})
    for number in range(9):
        project.write(f"page{number}.md", f"# Page {number}\n\nText of page {number}.\n")
    assert execute(project, "sync_docs", instance).success
    for number in range(5):
        (project.root / f"docs/page{number}.md").unlink()

    result = execute(project, "sync_docs", instance)

    assert result.success
    (check,) = [item for item in result.get_asset_check_evaluations() if not item.passed]
    assert (check.check_name, check.severity) == ("deletions_within_limit", dg.AssetCheckSeverity.ERROR)
    assert check.metadata["held"].value == 5
    held = check.metadata["held_documents"]
    assert isinstance(held, dg.TableMetadataValue)
    assert [record.data["uri"] for record in held.records] == [f"page{number}.md" for number in range(5)]
    with project.workspace() as workspace:
        (request,) = pending_approvals(workspace.catalog, "docs")
        assert f"`rag-pipelines approve {request['id']}`" in str(check.metadata["to_approve"].value)
        assert len(project.visible()) == 10

        approve(workspace, request, "ana")

    done = execute(project, "sync_docs", instance)
    assert [item for item in done.get_asset_check_evaluations() if not item.passed] == []
    assert len(project.visible()) == 5


def test_source_and_published_version_say_how_long_changes_took(
    project: Project, instance: dg.DagsterInstance
) -> None:
    assert execute(project, "sync_docs", instance).success
    project.write("leave.md", "# Leave\n\nThirty-one days of leave a year.\n")
    result = execute(project, "sync_docs", instance)
    published = result.asset_materializations_for_node("knowledge__published")[0].metadata
    assert isinstance(published["edit_to_searchable_p95_seconds"].value, float)
    assert "| docs | edit to searchable |" in str(published["freshness_figures"].value)

    (listed,) = materialize(project, instance, "sources/docs").get_asset_materialization_events()

    assert isinstance(listed.materialization.metadata["edit_to_searchable_p50_seconds"].value, float)
    assert "| docs/01 | 1 |" in str(listed.materialization.metadata["shards"].value)

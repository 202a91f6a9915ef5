"""The nightly jobs: their numbers, and the check that says whether the engine had to be repaired."""

from __future__ import annotations

import dagster as dg

from rag_pipelines_tests.defs.conftest import execute
from rag_pipelines_tests.project import Project


def test_reconcile_repairs_the_engine_and_warns(project: Project, instance: dg.DagsterInstance) -> None:
    assert execute(project, "sync_all", instance).success
    before = project.visible()

    right = execute(project, "reconcile", instance)
    (event,) = right.get_asset_materialization_events()
    assert event.asset_key == dg.AssetKey(["knowledge", "reconciled"])
    assert (
        event.materialization.metadata["points"].value,
        event.materialization.metadata["missing"].value,
    ) == (2, 0)
    assert [(check.check_name, check.passed) for check in right.get_asset_check_evaluations()] == [
        ("engine_agrees", True)
    ]

    with project.workspace() as workspace:
        (collection,) = workspace.engine.collections()
        workspace.engine.drop(collection)
    repaired = execute(project, "reconcile", instance)
    (event,) = repaired.get_asset_materialization_events()
    assert event.materialization.metadata["missing"].value == 2
    (check,) = repaired.get_asset_check_evaluations()
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert project.visible() == before
    assert execute(project, "reconcile", instance).get_asset_check_evaluations()[0].passed


def test_vacuum_says_what_it_cleared_away(project: Project, instance: dg.DagsterInstance) -> None:
    project.index("knowledge", retain_versions=1)
    for day in ("Monday", "Tuesday"):
        project.write("leave.md", f"# Leave\n\nApply by {day}.\n")
        assert execute(project, "sync_docs", instance).success

    (event,) = execute(project, "vacuum", instance).get_asset_materialization_events()

    metadata = event.materialization.metadata
    assert (metadata["points"].value, metadata["vacuumed"].value) == (1, [1])
    assert project.uris("leave") == ["leave.md"]

"""An engine that lost a published collection stops a sync, which would otherwise publish the change alone."""

from __future__ import annotations

import shutil

import pytest

from rag_pipelines.core.errors import EngineError
from rag_pipelines.pipeline.reconcile import reconcile
from rag_pipelines_tests.project import Project


def test_sync_after_a_lost_engine_asks_for_reconcile_and_then_goes_on(project: Project) -> None:
    project.sync()
    before = project.visible()
    shutil.rmtree(project.home / "engine")
    project.write("new.md", "# New\n\nA page about compressors.\n")

    with pytest.raises(EngineError, match="reconcile"):
        project.sync()
    with project.workspace() as workspace:
        report = reconcile(workspace, "knowledge")
    assert report.as_json()["embedded"] == 0
    assert project.visible() == before
    project.sync()

    assert {payload["uri"] for payload in project.visible().values()} == {
        "new.md",
        *(payload["uri"] for payload in before.values()),
    }

"""The job `reindex`: its form, and what it does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from rag_pipelines.catalog import requests
from rag_pipelines_tests.defs.conftest import definitions, execute, updates
from rag_pipelines_tests.project import Project


def form(source: str, **values: Any) -> dict[str, Any]:
    """Run configuration as the launchpad sends it."""
    return {"ops": {"redo_documents": {"config": {"source": source, **values}}}}


def test_form_is_filled_in_and_explained(project: Project) -> None:
    job = definitions(project).resolve_job_def("reindex")
    assert job.run_config == form("board", uri_prefix="", force=False)
    assert "**force**" in str(job.description)
    assert job.tags["rag/sync"] == "catalog"
    schema: Any = job.graph.node_named("redo_documents").definition.config_schema
    fields = schema.config_type.fields
    assert set(fields) == {"source", "uri_prefix", "force"}
    assert all(field.description for field in fields.values())
    assert (fields["uri_prefix"].default_value, fields["force"].default_value) == ("", False)


def test_reindex_brings_documents_up_to_date_and_shows_the_version(
    project: Project, instance: dg.DagsterInstance
) -> None:
    assert execute(project, "sync_all", instance).success
    project.write("leave.md", "# Leave\n\nThirty-one days of leave a year.\n")
    project.write("travel.md", "# Travel\n\nTrains before planes.\n")

    result = execute(project, "reindex", instance, run_config=form("docs", uri_prefix="leave", force=True))

    assert result.success
    output = next(event for event in result.all_events if event.is_step_success and event.step_key)
    assert output.step_key == "redo_documents"
    counts = next(event for event in result.all_events if event.is_successful_output)
    assert counts.step_output_data.metadata["selected"].value == 1
    assert project.uris("trains", k=1) == ["travel.md"]
    assert len(updates(instance, "knowledge/published")) == 2


def test_form_refuses_a_source_that_is_not_configured(project: Project) -> None:
    job = definitions(project).resolve_job_def("reindex")
    with pytest.raises(dg.DagsterInvalidConfigError, match="wiki"):
        dg.validate_run_config(job, form("wiki"))


def test_request_of_the_query_service_is_run_once_and_told_what_became_of_it(
    project: Project, instance: dg.DagsterInstance
) -> None:
    assert execute(project, "sync_docs", instance).success
    project.write("travel.md", "# Travel\n\nTrains before planes.\n")
    with project.workspace() as workspace:
        number = requests.request_reindex(workspace.catalog, "docs", "travel", False, "ana")["id"]
    sensors = {sensor.name: sensor for sensor in definitions(project).sensors or []}
    context = dg.build_sensor_context(instance=instance)
    ticked: Any = sensors["reindex_requests"](context)
    (asked,) = list(ticked)
    assert isinstance(asked, dg.RunRequest)

    assert outcome(project, instance, asked, number) == "done"
    assert project.uris("trains", k=1) == ["travel.md"]
    (project.root / "docs").rename(project.root / "away")
    assert outcome(project, instance, asked, number) == "failed"


def outcome(project: Project, instance: dg.DagsterInstance, asked: dg.RunRequest, number: int) -> str:
    """Run what the sensor asked for; returns what the request says afterwards."""
    execute(project, "reindex", instance, run_config=asked.run_config, tags=asked.tags)
    with project.workspace() as workspace:
        row = requests.reindex_request(workspace.catalog, number)
    assert row is not None
    return str(row["status"])


def test_forms_of_several_configurations_live_in_one_process(tmp_path: Path) -> None:
    for name in ("alpha", "beta"):
        project = Project(tmp_path / name)
        project.source(name)
        defs = definitions(project)
        dg.Definitions.validate_loadable(defs)

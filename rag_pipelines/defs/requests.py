"""Requests to reindex that came through the query service: a sensor starts their runs, which tell the outcome."""

import contextlib
from collections.abc import Iterator

import dagster as dg

from rag_pipelines.catalog import requests as rows
from rag_pipelines.config.environment import Environment
from rag_pipelines.config.load import Configuration
from rag_pipelines.core.errors import RagPipelinesError
from rag_pipelines.defs.keys import REDO, REINDEX
from rag_pipelines.pipeline.workspace import Workspace

REQUEST = "rag/reindex_request"


def request_sensor(environment: Environment, configuration: Configuration) -> dg.SensorDefinition:
    """One run a request. The run key names the request, so that asking again while it waits starts no second."""

    @dg.sensor(
        name="reindex_requests",
        job_name=REINDEX,
        minimum_interval_seconds=10,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Starts the runs that were asked for through the query service.",
    )
    def requested() -> Iterator[dg.RunRequest | dg.SkipReason]:
        try:
            with Workspace(environment, configuration) as workspace:
                waiting = rows.pending_requests(workspace.catalog)
                for row in waiting:
                    if row["source"] not in configuration.sources:
                        reason = f"source {row['source']!r} is no longer configured"
                        rows.update_request(workspace.catalog, row["id"], rows.FAILED, reason)
        except RagPipelinesError as error:
            yield dg.SkipReason(str(error))
            return
        known = [row for row in waiting if row["source"] in configuration.sources]
        if not known:
            yield dg.SkipReason("nobody asked")
        for row in known:
            form = {name: row[name] for name in ("source", "uri_prefix", "force")}
            yield dg.RunRequest(
                run_key=f"reindex-{row['id']}",
                run_config={"ops": {REDO: {"config": form}}},
                tags={REQUEST: str(row["id"])},
            )

    return requested


@contextlib.contextmanager
def told(context: dg.OpExecutionContext, workspace: Workspace) -> Iterator[None]:
    """Write down what becomes of the request that the run serves, if it serves one."""
    number = int(context.run.tags.get(REQUEST, "0"))
    if not number:
        yield
        return
    rows.update_request(workspace.catalog, number, rows.STARTED, f"run {context.run_id}")
    try:
        yield
    except dg.RetryRequested:
        raise
    except BaseException as error:
        reason = getattr(error, "description", None) or str(error) or type(error).__name__
        rows.update_request(workspace.catalog, number, rows.FAILED, reason)
        raise
    rows.update_request(workspace.catalog, number, rows.DONE, f"run {context.run_id}")

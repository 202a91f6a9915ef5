"""Change sensors: a cheap probe a source, and a sync where it answers something new."""

import contextlib
import json
import time
from dataclasses import asdict, dataclass

import dagster as dg

from rag_pipelines.catalog import documents as document_rows
from rag_pipelines.config.environment import Environment
from rag_pipelines.config.load import Configuration
from rag_pipelines.config.models import SourceConfig
from rag_pipelines.core.errors import RagPipelinesError
from rag_pipelines.defs.keys import SYNC_ALL, sync_job_name
from rag_pipelines.pipeline.workspace import Workspace

FIRST_WAIT_SECONDS = 300.0
LONGEST_WAIT_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Asked:
    """The cursor: the token that a sync was last asked for, how often, and when (seconds since 1970)."""

    token: str
    times: int
    at: float

    @property
    def again_at(self) -> float:
        """When to ask once more, where no listing has recorded the token until then."""
        return self.at + min(FIRST_WAIT_SECONDS * 2.0 ** (self.times - 1), LONGEST_WAIT_SECONDS)


def change_sensors(environment: Environment, configuration: Configuration) -> list[dg.SensorDefinition]:
    """A cheap probe a source; something new starts its sync. Switched on for sources with a schedule."""
    return [_change_sensor(environment, configuration, config) for config in configuration.sources.values()]


def _change_sensor(
    environment: Environment, configuration: Configuration, config: SourceConfig
) -> dg.SensorDefinition:
    name = config.source
    running = dg.DefaultSensorStatus.RUNNING if config.schedule else dg.DefaultSensorStatus.STOPPED

    @dg.sensor(
        name=f"{name}_changes",
        job_name=sync_job_name(name),
        minimum_interval_seconds=60,
        default_status=running,
        description=f"Asks {name} whether anything is new and syncs it if so.",
    )
    def changes(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        try:
            with Workspace(environment, configuration) as workspace:
                known = document_rows.source_row(workspace.catalog, name)
                with workspace.opened_source(name) as source:
                    token = source.probe()
        except RagPipelinesError as error:
            return dg.SkipReason(str(error))
        if token is None:
            return dg.SkipReason(f"{name} has no cheap probe; its schedule lists it")
        if known is not None and known["probe_token"] == token:
            return dg.SkipReason("nothing new")
        return _ask(context, name, token)

    return changes


def _ask(context: dg.SensorEvaluationContext, source: str, token: str) -> dg.RunRequest | dg.SkipReason:
    """Ask for a sync, unless one is queued that will see the change, or one was asked for a moment ago.

    Only a listing that reached its end records the token. A run that failed or vanished leaves it new, and
    is asked for again after 5 minutes, then 10, up to an hour.
    """
    moment = time.time()
    before = _asked(context.cursor)
    if before is not None and before.token == token and moment < before.again_at:
        return dg.SkipReason(
            f"a sync was asked for {moment - before.at:.0f} s ago and has not finished its listing; "
            f"asked again in {before.again_at - moment:.0f} s"
        )
    for job in (sync_job_name(source), SYNC_ALL):
        queued = dg.RunsFilter(job_name=job, statuses=[dg.DagsterRunStatus.QUEUED])
        if context.instance.get_runs_count(queued):
            return dg.SkipReason(f"a run of {job} is queued and will see the change")
    times = before.times + 1 if before is not None and before.token == token else 1
    context.update_cursor(json.dumps(asdict(Asked(token, times, moment))))
    return dg.RunRequest()


def _asked(cursor: str | None) -> Asked | None:
    """What the cursor says; None for none, and for the bare token that earlier releases wrote."""
    with contextlib.suppress(ValueError, TypeError):
        return Asked(**json.loads(cursor or "null"))
    return None

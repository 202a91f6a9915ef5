"""Jobs, schedules and change sensors: one of each a source, and a job for everything."""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from rag_pipelines.catalog import documents as document_rows
from rag_pipelines.config.environment import Environment
from rag_pipelines.config.load import Configuration
from rag_pipelines.config.models import SourceConfig
from rag_pipelines.core.errors import ConfigError, RagPipelinesError
from rag_pipelines.defs.assets import CONTINUE, PARSED, source_key
from rag_pipelines.defs.partitions import range_tags
from rag_pipelines.pipeline.workspace import Workspace

SYNC_ALL = "sync_all"
QUEUE_TAG = {"rag/sync": "catalog"}


def sync_job_name(source: str) -> str:
    """`sync_<source>`."""
    return f"sync_{source}"


def sync_jobs(configuration: Configuration, partitions: dg.PartitionsDefinition[str]) -> list[Any]:
    """A job per source over its range of partitions, one run each, and one for all sources."""
    jobs = [
        dg.define_asset_job(
            sync_job_name(name),
            selection=_selection(configuration, [name]),
            partitions_def=partitions,
            tags=range_tags(configuration, [name]) | QUEUE_TAG,
            description=f"Sync {name}: list, parse, chunk, embed, stage, publish; only what changed.",
        )
        for name in configuration.sources
    ]
    if configuration.sources:
        everything = list(configuration.sources)
        jobs.append(
            dg.define_asset_job(
                SYNC_ALL,
                selection=_selection(configuration, everything),
                partitions_def=partitions,
                tags=range_tags(configuration, everything) | QUEUE_TAG | {CONTINUE: "true"},
                description="Sync every source; one that cannot be reached is reported and does not stop the others.",
            )
        )
    return jobs


def schedules(configuration: Configuration) -> list[dg.ScheduleDefinition]:
    """The cron expressions of the sources' YAML, switched on. Raises ConfigError for one that means nothing."""
    return [
        _schedule(name, config.schedule)
        for name, config in configuration.sources.items()
        if config.schedule is not None
    ]


def _schedule(name: str, cron: str) -> dg.ScheduleDefinition:
    try:
        return dg.ScheduleDefinition(
            name=f"{name}_schedule",
            job_name=sync_job_name(name),
            cron_schedule=cron,
            default_status=dg.DefaultScheduleStatus.RUNNING,
            description=f"{cron}, from the source's YAML",
        )
    except dg.DagsterInvalidDefinitionError as error:
        raise ConfigError(
            f"source {name!r}: schedule {cron!r} is not a cron expression with five sensible fields, such as "
            "*/15 * * * *"
        ) from error


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
        if (known is not None and known["probe_token"] == token) or context.cursor == token:
            return dg.SkipReason("nothing new")
        context.update_cursor(token)
        return dg.RunRequest()

    return changes


def _selection(configuration: Configuration, sources: Sequence[str]) -> dg.AssetSelection:
    keys = [source_key(name) for name in sources] + [PARSED]
    for index, config in configuration.indexes.items():
        if any(config.covers(name) for name in sources):
            keys += [dg.AssetKey([index, step]) for step in ("chunks", "embeddings", "staged", "published")]
    return dg.AssetSelection.assets(*keys)

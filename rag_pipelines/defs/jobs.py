"""Sync jobs and their schedules: one of each a source, and a job for everything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dagster as dg

from rag_pipelines.config.load import Configuration
from rag_pipelines.core.errors import ConfigError
from rag_pipelines.defs.keys import CONTINUE, QUEUE_TAG, SYNC_ALL, sync_job_name, synced_assets
from rag_pipelines.defs.partitions import range_tags


def sync_jobs(configuration: Configuration, partitions: dg.PartitionsDefinition[str]) -> list[Any]:
    """A job per source over its range of partitions, one run each, and one for all sources."""
    everything = list(configuration.sources)
    jobs = [
        _sync_job(
            configuration,
            partitions,
            sync_job_name(name),
            [name],
            {},
            f"Sync {name}: list, parse, chunk, embed, stage, publish; only what changed.",
        )
        for name in everything
    ]
    if everything:
        jobs.append(
            _sync_job(
                configuration,
                partitions,
                SYNC_ALL,
                everything,
                {CONTINUE: "true"},
                "Sync every source; one that cannot be reached is reported and does not stop the others.",
            )
        )
    return jobs


def _sync_job(
    configuration: Configuration,
    partitions: dg.PartitionsDefinition[str],
    name: str,
    sources: Sequence[str],
    tags: dict[str, str],
    description: str,
) -> Any:
    return dg.define_asset_job(
        name,
        selection=synced_assets(configuration, sources),
        partitions_def=partitions,
        tags=range_tags(configuration, sources) | QUEUE_TAG | tags,
        description=description,
    )


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

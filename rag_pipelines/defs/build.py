"""Configuration -> Dagster definitions."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import dagster as dg

from rag_pipelines.config.environment import Environment
from rag_pipelines.config.load import Configuration
from rag_pipelines.core.ports import Progress
from rag_pipelines.defs.assets import index_assets, parsed_asset
from rag_pipelines.defs.automation import automation_sensor
from rag_pipelines.defs.gates import gate_checks
from rag_pipelines.defs.jobs import schedules, sync_jobs
from rag_pipelines.defs.maintenance import maintenance_assets, maintenance_jobs, maintenance_schedules
from rag_pipelines.defs.observations import documents_spec
from rag_pipelines.defs.partitions import shard_partitions
from rag_pipelines.defs.reindexing import reindex_job
from rag_pipelines.defs.requests import request_sensor
from rag_pipelines.defs.resources import rag_resource
from rag_pipelines.defs.sensors import change_sensors
from rag_pipelines.defs.sources import deletions_check, source_asset


def build_definitions(
    environment: Environment,
    configuration: Configuration,
    progress: Progress | None = None,
    waiting: Callable[[str], None] | None = None,
) -> dg.Definitions:
    """Everything that Dagster knows of a configuration; no source yet means no asset, and no error."""
    warnings.filterwarnings("ignore", category=dg.BetaWarning)
    if not configuration.sources:
        return dg.Definitions()
    partitions = shard_partitions(configuration)
    sources = list(configuration.sources.values())
    assets: list[Any] = [source_asset(config) for config in sources]
    assets += [documents_spec(partitions, configuration.sources), parsed_asset(partitions, sources)]
    for index in configuration.indexes.values():
        assets += index_assets(index, partitions) + maintenance_assets(index)
    return dg.Definitions(
        assets=assets,
        asset_checks=[
            *(deletions_check(config) for config in sources),
            *(check for index in configuration.indexes.values() for check in gate_checks(index)),
        ],
        jobs=[
            *sync_jobs(configuration, partitions),
            reindex_job(configuration),
            *maintenance_jobs(configuration),
        ],
        schedules=[*schedules(configuration), *maintenance_schedules(configuration)],
        sensors=[
            *change_sensors(environment, configuration),
            request_sensor(environment, configuration),
            automation_sensor(),
        ],
        resources={"rag": rag_resource(environment, configuration, progress, waiting)},
        executor=dg.in_process_executor,
    )

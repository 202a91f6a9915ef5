"""Configuration -> Dagster definitions."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import dagster as dg

from rag_pipelines.config.environment import Environment
from rag_pipelines.config.load import Configuration
from rag_pipelines.core.ports import Progress
from rag_pipelines.defs.assets import index_assets, parsed_asset, source_asset
from rag_pipelines.defs.jobs import change_sensors, schedules, sync_jobs
from rag_pipelines.defs.partitions import shard_partitions
from rag_pipelines.defs.resources import rag_resource


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
    assets = [*(source_asset(config) for config in sources), parsed_asset(partitions, sources)]
    for index in configuration.indexes.values():
        assets += index_assets(index, partitions)
    return dg.Definitions(
        assets=assets,
        jobs=sync_jobs(configuration, partitions),
        schedules=schedules(configuration),
        sensors=change_sensors(environment, configuration),
        resources={"rag": rag_resource(environment, configuration, progress, waiting)},
        executor=dg.in_process_executor,
    )

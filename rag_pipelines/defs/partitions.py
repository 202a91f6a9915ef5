"""Partitions: flat keys `source/00`, in source order, one per shard; never a document."""

from __future__ import annotations

from collections.abc import Iterable

import dagster as dg

from rag_pipelines.config.load import Configuration
from rag_pipelines.core.ids import partition_key

RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"


def shard_partitions(configuration: Configuration) -> dg.StaticPartitionsDefinition:
    """Every shard of every source."""
    return dg.StaticPartitionsDefinition(
        [
            partition_key(source, shard)
            for source, config in configuration.sources.items()
            for shard in range(config.shards)
        ]
    )


def range_tags(configuration: Configuration, sources: Iterable[str]) -> dict[str, str]:
    """Run tags that select the whole range of the sources, which must be neighbours in source order."""
    names = sorted(sources)
    last = configuration.sources[names[-1]]
    return {
        RANGE_START: partition_key(names[0], 0),
        RANGE_END: partition_key(names[-1], last.shards - 1),
    }


def shards_by_source(keys: Iterable[str]) -> dict[str, list[int]]:
    """Partition keys -> shards of each source. Raises where the range was empty or inverted."""
    found: dict[str, list[int]] = {}
    for key in keys:
        source, _, shard = key.rpartition("/")
        found.setdefault(source, []).append(int(shard))
    if not found:
        raise dg.Failure(
            "the run selects no partition; its range is empty or inverted: start must come before end",
            allow_retries=False,
        )
    return found

"""Data versions of shards: what a listing changed, told to Dagster shard by shard."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import dagster as dg

from rag_pipelines.catalog.marks import shard_versions
from rag_pipelines.catalog.observations import live_by_shard
from rag_pipelines.core.ids import partition_key
from rag_pipelines.defs.keys import DOCUMENTS, source_key
from rag_pipelines.pipeline.workspace import Workspace

DATA_VERSION = "dagster/data_version"


def documents_spec(partitions: dg.PartitionsDefinition[str], sources: Iterable[str]) -> dg.AssetSpec:
    """The documents of every source by shard, with a data version each that only a changed document changes.

    Nothing executes it: the listing of a source reports what it found. An asset of its own for that keeps
    the listing unpartitioned, so that one run can list several sources, and keeps a partition of
    `parsed_documents` from depending on anything but its own shard.
    """
    return dg.AssetSpec(
        DOCUMENTS,
        deps=[source_key(source) for source in sources],
        partitions_def=partitions,
        group_name="documents",
        kinds={"sql"},
        description="Documents as the last listing left them. The data version of a shard changes when one of its "
        "documents came, changed, moved or went, and at no other time.",
    )


def record_shards(context: dg.AssetExecutionContext, workspace: Workspace, source: str) -> list[str]:
    """Report every shard whose data version is not the one that Dagster knows; returns their partition keys.

    Compared with what Dagster has recorded, not with the catalog before the listing: a run that was killed
    between the two is made up for by the next. The observation is what "unsynced" compares, the
    materialization what the automation and the partitions' view look at.
    """
    versions = {
        partition_key(source, shard): version
        for shard, version in shard_versions(workspace.catalog, source).items()
    }
    recorded = context.instance.event_log_storage.get_latest_tags_by_partition(
        DOCUMENTS,
        event_type=dg.DagsterEventType.ASSET_OBSERVATION,
        tag_keys=[DATA_VERSION],
        asset_partitions=list(versions),
    )
    changed = [key for key, version in versions.items() if recorded.get(key, {}).get(DATA_VERSION) != version]
    counts = live_by_shard(workspace.catalog, source) if changed else {}
    for key in changed:
        metadata: dict[str, Any] = {
            "data_version": versions[key],
            "dagster/row_count": counts.get(int(key.rpartition("/")[2]), 0),
        }
        tags = {DATA_VERSION: versions[key]}
        for event in (dg.AssetObservation, dg.AssetMaterialization):
            context.log_event(event(DOCUMENTS, partition=key, metadata=metadata, tags=tags))
    return changed

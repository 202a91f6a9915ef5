"""The assets after the listings: parsed documents, and per index chunks to published."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import dagster as dg

from rag_pipelines.catalog import documents as document_rows
from rag_pipelines.catalog import reports, versions
from rag_pipelines.config.models import IndexConfig, SourceConfig
from rag_pipelines.core.ports import Progress
from rag_pipelines.defs.automation import follows, shard_changed
from rag_pipelines.defs.keys import DOCUMENTS, PARSED, source_key
from rag_pipelines.defs.metadata import (
    count_metadata,
    parsed_metadata,
    published_metadata,
    show_shards,
    version_metadata,
)
from rag_pipelines.defs.partitions import shards_by_source
from rag_pipelines.defs.resources import Rag, explained
from rag_pipelines.pipeline.chunk import chunk
from rag_pipelines.pipeline.embed import embed
from rag_pipelines.pipeline.parse import parse
from rag_pipelines.pipeline.publish import publish
from rag_pipelines.pipeline.stage import finish_staging, stage
from rag_pipelines.pipeline.sync import mark_synced
from rag_pipelines.pipeline.workspace import Workspace

SINGLE_RUN = dg.BackfillPolicy.single_run()
Verb = Callable[[Workspace, str, str, Sequence[int], str, Progress | None], Counter[str]]
CHUNKS = "Passages with exact offsets, cut along headings; only documents whose text changed are cut again."
EMBEDDINGS = "Vectors by (text, model); a text that was ever embedded is not embedded again."
STAGED = "Points of the next version, written beside the live one and visible to nobody yet."
PUBLISHED = "The version that the query service reads: one pointer that moves, whole or not at all."


def parsed_asset(
    partitions: dg.PartitionsDefinition[str], configs: Sequence[SourceConfig]
) -> dg.AssetsDefinition:
    """Text and structure of every document, read in the sandbox.

    It depends on the listings for the order of a run, and on the same shard of `documents` for its data.
    """

    @dg.asset(
        key=PARSED,
        group_name="documents",
        kinds={"python"},
        deps=[DOCUMENTS, *(source_key(config.source) for config in configs)],
        partitions_def=partitions,
        backfill_policy=SINGLE_RUN,
        automation_condition=shard_changed(),
        required_resource_keys={"rag"},
        description="Text and structure of every document, read in a sandbox. What cannot be read is quarantined.",
    )
    def parsed_documents(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        rag: Rag = context.resources.rag
        began = time.monotonic()
        counts: Counter[str] = Counter()
        selected = shards_by_source(context.partition_keys)
        for source, shards in selected.items():
            with explained(context):
                counts.update(parse(rag.workspace, source, shards, context.run_id, rag.progress))
        metadata = count_metadata(counts, time.monotonic() - began)
        show_shards(context, reports.documents_by_shard(rag.workspace.catalog))
        return dg.MaterializeResult(metadata=metadata | parsed_metadata(rag.workspace, list(selected)))

    return parsed_documents


def index_assets(config: IndexConfig, partitions: dg.PartitionsDefinition[str]) -> list[dg.AssetsDefinition]:
    """Chunks, embeddings, staged points and the published version of one index."""
    chunks = _stage_asset(config, "chunks", PARSED, chunk, partitions, CHUNKS)
    embeddings = _stage_asset(config, "embeddings", chunks.key, embed, partitions, EMBEDDINGS)
    staged = _stage_asset(config, "staged", embeddings.key, _stage_whole, partitions, STAGED)
    return [chunks, embeddings, staged, _published_asset(config, staged.key)]


def _published_asset(config: IndexConfig, upstream: dg.AssetKey) -> dg.AssetsDefinition:
    name = config.index

    @dg.asset(
        key=[name, "published"],
        group_name=f"index_{name}",
        kinds={"qdrant"},
        deps=[upstream],
        automation_condition=follows(),
        required_resource_keys={"rag"},
        description=PUBLISHED,
    )
    def published(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        rag: Rag = context.resources.rag
        began = time.monotonic()
        with explained(context):
            if config.publish == "auto":
                publish(rag.workspace, name, context.run_id)
        metadata = {"seconds": round(time.monotonic() - began, 3)} | published_metadata(rag.workspace, name)
        return dg.MaterializeResult(
            metadata=metadata | version_metadata(versions.versions_of(rag.workspace.catalog, name))
        )

    return published


def _stage_asset(
    config: IndexConfig,
    step: str,
    upstream: dg.AssetKey,
    verb: Verb,
    partitions: dg.PartitionsDefinition[str],
    description: str,
) -> dg.AssetsDefinition:
    @dg.asset(
        key=[config.index, step],
        group_name=f"index_{config.index}",
        kinds={"qdrant"} if step == "staged" else {"python"},
        deps=[upstream],
        partitions_def=partitions,
        backfill_policy=SINGLE_RUN,
        automation_condition=follows(),
        required_resource_keys={"rag"},
        description=description,
    )
    def stage_of_index(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        rag: Rag = context.resources.rag
        began = time.monotonic()
        counts: Counter[str] = Counter()
        for source, shards in shards_by_source(context.partition_keys).items():
            if config.covers(source):
                with explained(context):
                    counts.update(
                        verb(rag.workspace, config.index, source, shards, context.run_id, rag.progress)
                    )
        totals = reports.index_totals(rag.workspace.catalog, config.index)
        show_shards(context, reports.chunks_by_shard(rag.workspace.catalog, config.index))
        return dg.MaterializeResult(metadata=count_metadata(counts, time.monotonic() - began) | totals)

    return stage_of_index


def _stage_whole(
    workspace: Workspace,
    index: str,
    source: str,
    shards: Sequence[int],
    run_id: str,
    progress: Progress | None,
) -> Counter[str]:
    """Some shards of a source are no complete change of it: publishing looks at the others first."""
    counts = stage(workspace, index, source, shards, run_id, progress)
    if len(set(shards)) < workspace.configuration.source_named(source).shards:
        return counts
    finish_staging(workspace, index, source)
    row = document_rows.source_row(workspace.catalog, source)
    if row is None or row["error"] is None:  # what could not be listed is not fresh
        mark_synced(workspace, source)
    return counts

"""The assets after the listings: parsed documents, and per index duplicates to published."""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import dagster as dg

from rag_pipelines.catalog import documents as document_rows
from rag_pipelines.catalog import reports, versions
from rag_pipelines.catalog.duplicate_reports import compared_by_shard
from rag_pipelines.catalog.store import Catalog
from rag_pipelines.config.models import IndexConfig, SourceConfig
from rag_pipelines.core.errors import GateFailed
from rag_pipelines.core.ports import Progress
from rag_pipelines.defs.automation import follows, shard_changed
from rag_pipelines.defs.keys import DOCUMENTS, PARSED, source_key
from rag_pipelines.defs.metadata import (
    count_metadata,
    duplicates_metadata,
    parsed_metadata,
    published_metadata,
    show_shards,
    staged_metadata,
    version_metadata,
)
from rag_pipelines.defs.partitions import shards_by_source
from rag_pipelines.defs.resources import Rag, explained
from rag_pipelines.pipeline.chunk import chunk
from rag_pipelines.pipeline.deduplicate import deduplicate
from rag_pipelines.pipeline.embed import embed
from rag_pipelines.pipeline.parse import parse
from rag_pipelines.pipeline.publish import publish
from rag_pipelines.pipeline.stage import finish_staging, stage
from rag_pipelines.pipeline.sync import mark_synced
from rag_pipelines.pipeline.workspace import Workspace

SINGLE_RUN = dg.BackfillPolicy.single_run()
Verb = Callable[[Workspace, str, str, Sequence[int], str, Progress | None], Counter[str]]
DUPLICATES = (
    "Documents that say the same, and which of them stands for which others; only changes are compared."
)
CHUNKS = "Passages with exact offsets, cut along headings; only documents whose text changed are cut again."
EMBEDDINGS = "Vectors by (text, model); a text that was ever embedded is not embedded again."
STAGED = "Points of the next version, written beside the live one and visible to nobody yet."
PUBLISHED = "The version that the query service reads: one pointer that moves, whole or not at all."


class _Step(NamedTuple):
    """A verb that takes shards of a source through an index, and what the UI shows of it afterwards."""

    name: str
    verb: Verb
    description: str
    rows: Callable[[Catalog, str, Sequence[str]], Mapping[tuple[str, int], int]]
    metadata: Callable[[Catalog, str], Mapping[str, Any]] = reports.index_totals
    kind: str = "python"


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
    """Clusters of duplicates, chunks, embeddings, staged points and the published version of one index."""
    assets: list[dg.AssetsDefinition] = []
    upstream = PARSED
    for step in STEPS_BY_SHARD:
        assets.append(_stage_asset(config, step, upstream, partitions))
        upstream = assets[-1].key
    return [*assets, _published_asset(config, upstream)]


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
                done = publish(rag.workspace, name, context.run_id, progress=rag.progress)
                if done.refused is not None:
                    raise GateFailed(f"version refused by its gates: {done.refused}")
        metadata = {"seconds": round(time.monotonic() - began, 3)} | published_metadata(rag.workspace, name)
        return dg.MaterializeResult(
            metadata=metadata | version_metadata(versions.versions_of(rag.workspace.catalog, name))
        )

    return published


def _stage_asset(
    config: IndexConfig, step: _Step, upstream: dg.AssetKey, partitions: dg.PartitionsDefinition[str]
) -> dg.AssetsDefinition:
    @dg.asset(
        key=[config.index, step.name],
        group_name=f"index_{config.index}",
        kinds={step.kind},
        deps=[upstream],
        partitions_def=partitions,
        backfill_policy=SINGLE_RUN,
        automation_condition=follows(),
        required_resource_keys={"rag"},
        description=step.description,
    )
    def stage_of_index(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        rag: Rag = context.resources.rag
        began = time.monotonic()
        counts: Counter[str] = Counter()
        selected = shards_by_source(context.partition_keys)
        for source, shards in selected.items():
            if config.covers(source):
                with explained(context):
                    counts.update(
                        step.verb(rag.workspace, config.index, source, shards, context.run_id, rag.progress)
                    )
        metadata = count_metadata(counts, time.monotonic() - began)
        show_shards(context, step.rows(rag.workspace.catalog, config.index, list(selected)))
        return dg.MaterializeResult(
            metadata={**metadata, **step.metadata(rag.workspace.catalog, config.index)}
        )

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


def _chunk_rows(catalog: Catalog, index: str, _: Sequence[str]) -> dict[tuple[str, int], int]:
    return reports.chunks_by_shard(catalog, index)


STEPS_BY_SHARD = (
    _Step("duplicates", deduplicate, DUPLICATES, compared_by_shard, duplicates_metadata),
    _Step("chunks", chunk, CHUNKS, _chunk_rows),
    _Step("embeddings", embed, EMBEDDINGS, _chunk_rows),
    _Step("staged", _stage_whole, STAGED, _chunk_rows, staged_metadata, kind="qdrant"),
)

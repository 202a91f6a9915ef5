"""The assets: one per source connector, then parsed documents, and per index chunks to published."""

import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import dagster as dg

from rag_pipelines.catalog import documents as document_rows
from rag_pipelines.catalog import reports, versions
from rag_pipelines.config.models import IndexConfig, SourceConfig
from rag_pipelines.core.errors import SourceError
from rag_pipelines.core.ports import Progress
from rag_pipelines.defs.metadata import (
    count_metadata,
    parsed_metadata,
    show_shards,
    source_metadata,
    version_metadata,
)
from rag_pipelines.defs.partitions import shards_by_source
from rag_pipelines.defs.resources import Rag, explained
from rag_pipelines.pipeline.chunk import chunk
from rag_pipelines.pipeline.embed import embed
from rag_pipelines.pipeline.observe import observe
from rag_pipelines.pipeline.parse import parse
from rag_pipelines.pipeline.publish import publish
from rag_pipelines.pipeline.stage import finish_staging, stage
from rag_pipelines.pipeline.sync import mark_synced
from rag_pipelines.pipeline.workspace import Workspace

EMAIL = r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,7}"
CONTINUE = "rag/continue_without_unreachable_sources"
PARSED = dg.AssetKey("parsed_documents")
SINGLE_RUN = dg.BackfillPolicy.single_run()
Verb = Callable[[Workspace, str, str, Sequence[int], str, Progress | None], Counter[str]]


def source_key(source: str) -> dg.AssetKey:
    """`sources/<source>`."""
    return dg.AssetKey(["sources", source])


def source_asset(config: SourceConfig) -> dg.AssetsDefinition:
    """The listing of one source, compared with the catalog."""
    name = config.source

    @dg.asset(
        key=source_key(name),
        group_name="sources",
        kinds={config.connector},
        owners=_owners(config.owner),
        description=config.description or f"Documents of the {config.connector} source {name}.",
        metadata={"tenant": config.tenant, "classification": config.classification.value},
        tags={"rag/tenant": _tag(config.tenant)},
        freshness_policy=_freshness(config),
        required_resource_keys={"rag"},
        check_specs=[dg.AssetCheckSpec("listing_complete", asset=source_key(name), description=LISTING)],
    )
    def listing(context: dg.AssetExecutionContext) -> dg.MaterializeResult:  # type: ignore[type-arg]
        rag: Rag = context.resources.rag
        began = time.monotonic()
        error = ""
        counts: Counter[str] = Counter()
        try:
            with explained(context):
                counts = observe(rag.workspace, name, context.run_id, rag.progress)
        except dg.Failure as failure:
            if CONTINUE not in context.run.tags or not isinstance(failure.__cause__, SourceError):
                raise
            error = failure.description or "the source could not be listed"
        metadata = count_metadata(counts, time.monotonic() - began) | source_metadata(rag.workspace, name)
        check = dg.AssetCheckResult(
            passed=not error, check_name="listing_complete", metadata={"error": error}
        )
        return dg.MaterializeResult(metadata=metadata, check_results=[check])

    return listing


LISTING = "The source could be listed to its end; until it can, nothing of it is deleted."


def parsed_asset(
    partitions: dg.PartitionsDefinition[str], configs: Sequence[SourceConfig]
) -> dg.AssetsDefinition:
    """Text and structure of every document, read in the sandbox."""

    @dg.asset(
        key=PARSED,
        group_name="documents",
        kinds={"python"},
        deps=[source_key(config.source) for config in configs],
        partitions_def=partitions,
        backfill_policy=SINGLE_RUN,
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
    name = config.index
    chunks = _stage_asset(config, "chunks", PARSED, chunk, partitions, CHUNKS)
    embeddings = _stage_asset(config, "embeddings", chunks.key, embed, partitions, EMBEDDINGS)
    staged = _stage_asset(config, "staged", embeddings.key, _stage_whole, partitions, STAGED)

    @dg.asset(
        key=[name, "published"],
        group_name=f"index_{name}",
        kinds={"qdrant"},
        deps=[staged.key],
        required_resource_keys={"rag"},
        description="The version that the query service reads: one pointer that moves, whole or not at all.",
    )
    def published(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        rag: Rag = context.resources.rag
        began = time.monotonic()
        with explained(context):
            if config.publish == "auto":
                publish(rag.workspace, name, context.run_id)
        rows = versions.versions_of(rag.workspace.catalog, name)
        live = versions.pointer(rag.workspace.catalog, name)
        metadata = {
            "live_version": live.version if live else 0,
            "seconds": round(time.monotonic() - began, 3),
        }
        return dg.MaterializeResult(metadata=metadata | version_metadata(rows))

    return [chunks, embeddings, staged, published]


CHUNKS = "Passages with exact offsets, cut along headings; only documents whose text changed are cut again."
EMBEDDINGS = "Vectors by (text, model); a text that was ever embedded is not embedded again."
STAGED = "Points of the next version, written beside the live one and visible to nobody yet."


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
    counts = stage(workspace, index, source, shards, run_id, progress)
    finish_staging(workspace, index, source)
    row = document_rows.source_row(workspace.catalog, source)
    if row is None or row["error"] is None:  # what could not be listed is not fresh
        mark_synced(workspace, source)
    return counts


def _owners(owner: str | None) -> list[str] | None:
    """Dagster takes e-mail addresses of public domains, and calls everybody else a team."""
    if not owner:
        return None
    return [owner if re.fullmatch(EMAIL, owner) else f"team:{owner}"]


def _tag(value: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in value)[:63]


def _freshness(config: SourceConfig) -> dg.FreshnessPolicy | None:
    if config.freshness is None:
        return None
    return dg.FreshnessPolicy.time_window(
        fail_window=config.freshness.fail_after, warn_window=config.freshness.warn_after
    )

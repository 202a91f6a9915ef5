"""One asset a source: its listing, how fresh it is, and whether its deletions wait for a person."""

import time
from collections import Counter

import dagster as dg
from dagster._core.definitions.source_asset import SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION

from rag_pipelines.catalog.approvals import pending_approvals
from rag_pipelines.config.models import SourceConfig
from rag_pipelines.core.errors import SourceError
from rag_pipelines.defs.keys import CONTINUE, owners_of, source_key, tag_value
from rag_pipelines.defs.metadata import approval_metadata, count_metadata, source_metadata
from rag_pipelines.defs.observations import record_shards
from rag_pipelines.defs.resources import Rag, explained
from rag_pipelines.pipeline.observe import observe

LISTING = "The source could be listed to its end; until it can, nothing of it is deleted."
HELD = (
    "No deletion waits for approval. A listing that would delete too much of the source at once is held here."
)
NOT_A_MATERIALIZATION = {SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION: True}
"""Lets a step succeed without recording its asset as updated. Dagster has no public way to say that."""
LISTED = dg.DataVersion("listed")
"""Always the same: what the source holds has a version a shard, on `documents`."""


def source_asset(config: SourceConfig) -> dg.AssetsDefinition:
    """The listing of one source, compared with the catalog.

    In a run over all sources one that cannot be listed fails its check and lets the run go on, but is not
    recorded as updated: its freshness is the age of the last listing that reached its end.
    """
    name = config.source

    @dg.asset(
        key=source_key(name),
        group_name="sources",
        kinds={config.connector},
        owners=owners_of(config.owner),
        description=config.description or f"Documents of the {config.connector} source {name}.",
        metadata={"tenant": config.tenant, "classification": config.classification.value},
        tags={"rag/tenant": tag_value(config.tenant)},
        freshness_policy=_freshness(config),
        required_resource_keys={"rag"},
        check_specs=[dg.AssetCheckSpec("listing_complete", asset=source_key(name), description=LISTING)],
    )
    def listing(context: dg.AssetExecutionContext) -> dg.MaterializeResult:  # type: ignore[type-arg]
        rag: Rag = context.resources.rag
        began = time.monotonic()
        counts, error = _listed(context, rag, name)
        changed = record_shards(context, rag.workspace, name)
        metadata = count_metadata(counts, time.monotonic() - began) | {"changed_shards": len(changed)}
        check = dg.AssetCheckResult(
            passed=not error, check_name="listing_complete", metadata={"error": error}
        )
        return dg.MaterializeResult(
            metadata=NOT_A_MATERIALIZATION if error else metadata | source_metadata(rag.workspace, name),
            data_version=LISTED,
            check_results=[check],
        )

    return listing


def deletions_check(config: SourceConfig) -> dg.AssetChecksDefinition:
    """Fails while deletions of the source wait for a person; can be run again by itself after a decision."""
    name = config.source

    @dg.asset_check(
        asset=source_key(name),
        name="deletions_within_limit",
        description=HELD,
        blocking=False,
        required_resource_keys={"rag"},
    )
    def deletions_within_limit(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        waiting = pending_approvals(context.resources.rag.workspace.catalog, name)
        return dg.AssetCheckResult(
            passed=not waiting,
            severity=dg.AssetCheckSeverity.ERROR,
            description="; ".join(row["reason"] for row in waiting) or None,
            metadata=approval_metadata(waiting),
        )

    return deletions_within_limit


def _listed(context: dg.AssetExecutionContext, rag: Rag, source: str) -> tuple[Counter[str], str]:
    """The counts of the listing, and why it did not reach its end where the run may go on without it."""
    try:
        with explained(context):
            return observe(rag.workspace, source, context.run_id, rag.progress), ""
    except dg.Failure as failure:
        if CONTINUE not in context.run.tags or not isinstance(failure.__cause__, SourceError):
            raise
        return Counter(), failure.description or "the source could not be listed"


def _freshness(config: SourceConfig) -> dg.FreshnessPolicy | None:
    if config.freshness is None:
        return None
    return dg.FreshnessPolicy.time_window(
        fail_window=config.freshness.fail_after, warn_window=config.freshness.warn_after
    )

"""All stages of a source, in order: what the Dagster job does in separate assets."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rag_pipelines.catalog import documents as document_rows
from rag_pipelines.catalog import duplicates as duplicate_rows
from rag_pipelines.catalog import reports, versions
from rag_pipelines.catalog.store import now
from rag_pipelines.core.faults import fault_point
from rag_pipelines.core.ports import Progress
from rag_pipelines.pipeline.chunk import chunk
from rag_pipelines.pipeline.deduplicate import deduplicate
from rag_pipelines.pipeline.embed import embed
from rag_pipelines.pipeline.observe import observe
from rag_pipelines.pipeline.parse import parse
from rag_pipelines.pipeline.publish import publish
from rag_pipelines.pipeline.stage import finish_staging, stage
from rag_pipelines.pipeline.workspace import Workspace, indexes_of

COUNTS = (
    "listed",
    "added",
    "changed",
    "moved",
    "access_changed",
    "deleted",
    "held",
    "unchanged",
    "quarantined",
    "excluded",
    "duplicates",
    "chunks_added",
    "chunks_removed",
    "embedded",
    "reused",
)


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What a sync did to one index; `sources` holds the counts of `COUNTS` a source."""

    index: str
    version: int | None
    published: bool
    seconds: float
    sources: dict[str, dict[str, int]]

    def as_json(self) -> dict[str, Any]:
        """The object that `sync --json` prints."""
        return {
            "index": self.index,
            "version": self.version,
            "published": self.published,
            "seconds": round(self.seconds, 3),
            "sources": self.sources,
        }


def sync(
    workspace: Workspace, sources: Sequence[str], run_id: str = "", progress: Progress | None = None
) -> str:
    """Run every stage of the sources in this process and publish; returns the run's id for `sync_report`."""
    run_id = run_id or uuid.uuid4().hex
    for source in sources:
        observe(workspace, source, run_id, progress)
    process(workspace, sources, run_id, progress)
    return run_id


def process(
    workspace: Workspace, sources: Sequence[str], run_id: str, progress: Progress | None = None
) -> Counter[str]:
    """Everything after the listing: bring the indexes in line with what the catalog knows, and publish."""
    counts: Counter[str] = Counter()
    for source in sources:
        shards = range(workspace.configuration.sources[source].shards)
        counts.update(parse(workspace, source, shards, run_id, progress))
        for index in indexes_of(workspace, [source]):
            counts.update(deduplicate(workspace, index, source, shards, run_id, progress))
            counts.update(chunk(workspace, index, source, shards, run_id, progress))
            counts.update(embed(workspace, index, source, shards, run_id, progress))
            counts.update(stage(workspace, index, source, shards, run_id, progress))
            finish_staging(workspace, index, source)
        mark_synced(workspace, source)
    for index in indexes_of(workspace, sources):
        if workspace.configuration.indexes[index].publish == "auto":
            publish(workspace, index, run_id)
    return counts


def mark_synced(workspace: Workspace, source: str) -> None:
    """The source went through every stage."""
    with workspace.catalog.begin() as tx:
        document_rows.update_source(tx, source, synced_at=now())
    fault_point("sync.marked")


def sync_report(
    workspace: Workspace, index: str, sources: Sequence[str], run_id: str, seconds: float
) -> SyncReport:
    """Counts of a finished run, from the catalog."""
    tally = reports.run_counts(workspace.catalog, run_id)
    live = versions.pointer(workspace.catalog, index)
    rows = versions.versions_of(workspace.catalog, index)
    newest = rows[0]["number"] if rows else None
    found: dict[str, dict[str, int]] = {}
    for source in sources:
        counts = tally.get(source, {})
        totals = reports.source_totals(workspace.catalog, source)
        values = {name: counts.get(name, 0) for name in COUNTS}
        values["quarantined"] = totals["quarantined"]
        values["duplicates"] = duplicate_rows.count_duplicates(workspace.catalog, index, source)["duplicates"]
        values["reused"] = max(values["chunks_added"] - values["embedded"], 0)
        found[source] = values
    return SyncReport(index, newest, live is not None and live.version == newest, seconds, found)

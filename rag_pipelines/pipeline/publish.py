"""Moves the pointer that readers follow, and nothing else decides what they see."""

from __future__ import annotations

from dataclasses import dataclass

from rag_pipelines.catalog import versions
from rag_pipelines.catalog.store import now
from rag_pipelines.core.errors import NotPublished
from rag_pipelines.pipeline.chunk import chunk
from rag_pipelines.pipeline.embed import embed
from rag_pipelines.pipeline.readers import prune_snapshots
from rag_pipelines.pipeline.space import open_space
from rag_pipelines.pipeline.stage import finish_staging, stage
from rag_pipelines.pipeline.workspace import Workspace
from rag_pipelines.pipeline.writers import opened_writer


@dataclass(frozen=True, slots=True)
class Published:
    """What publishing did; `version` is the live one afterwards, None where nothing was ever staged."""

    index: str
    version: int | None
    moved: bool
    documents: int = 0
    chunks: int = 0


def close_candidate(workspace: Workspace, index: str, run_id: str) -> int | None:
    """Complete the candidate: sources whose staging was interrupted, or that still lie in another
    collection, are staged as a whole. Returns its number, or None where nothing is staged.
    """
    with workspace.catalog.begin() as tx:
        row = versions.candidate(tx, index)
    if row is None:
        return None
    space = open_space(workspace, index)
    behind = versions.unfinished_sources(workspace.catalog, index)
    if row["collection"] == space.collection:
        behind += versions.sources_elsewhere(workspace.catalog, index, space.collection)
    for source in sorted(set(behind) & set(workspace.configuration.sources)):
        shards = range(workspace.configuration.sources[source].shards)
        chunk(workspace, index, source, shards, run_id)
        embed(workspace, index, source, shards, run_id)
        stage(workspace, index, source, shards, run_id)
        finish_staging(workspace, index, source)
    with workspace.catalog.begin() as tx:
        per_source = versions.count_points(tx, row["collection"])
        stats = {
            "documents": sum(documents for documents, _ in per_source.values()),
            "chunks": sum(chunks for _, chunks in per_source.values()),
            "sources": {
                name: {"documents": documents, "chunks": chunks}
                for name, (documents, chunks) in per_source.items()
            },
        }
        versions.set_version(tx, index, row["number"], status="staged", stats=stats)
    return int(row["number"])


def publish(workspace: Workspace, index: str, run_id: str = "") -> Published:
    """Make the staged version the live one. Nothing staged: the live one stays, and that is no error."""
    number = close_candidate(workspace, index, run_id)
    if number is None:
        live = versions.pointer(workspace.catalog, index)
        return Published(index, live.version if live else None, moved=False)
    with workspace.catalog.begin() as tx:
        row = versions.candidate(tx, index)
    if row is None:
        raise NotPublished(f"version {number} of index {index!r} was published or withdrawn by another run")
    collection = row["collection"]
    with opened_writer(workspace, collection) as writer:
        writer.optimize()
        writer.flush()
        snapshot = workspace.engine.snapshot(collection)
    with workspace.catalog.begin() as tx:
        versions.move_pointer(tx, index, number, collection, snapshot)
        versions.set_version(tx, index, number, status="published", published_at=now())
        versions.supersede(tx, index, number)
    prune_snapshots(workspace, collection)
    return Published(index, number, True, row["stats"].get("documents", 0), row["stats"].get("chunks", 0))

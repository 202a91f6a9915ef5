"""Gives readers what was written in place, without a new version."""

from __future__ import annotations

from rag_pipelines.catalog import versions
from rag_pipelines.catalog.versions import Pointer
from rag_pipelines.pipeline.workspace import Workspace
from rag_pipelines.pipeline.writers import opened_writer


def refresh_readers(workspace: Workspace, index: str) -> Pointer | None:
    """Give readers a new snapshot of the live version, after rights changed in place."""
    live = versions.pointer(workspace.catalog, index)
    if live is None:
        return None
    with opened_writer(workspace, live.collection) as writer:
        writer.flush()
        snapshot = workspace.engine.snapshot(live.collection)
    with workspace.catalog.begin() as tx:
        moved = versions.move_pointer(tx, index, live.version, live.collection, snapshot)
    prune_snapshots(workspace, live.collection)
    return moved


def prune_snapshots(workspace: Workspace, collection: str) -> None:
    """Keep the newest snapshot and, for readers that are just switching, the one before."""
    with workspace.catalog.begin() as tx:
        row = versions.collection_row(tx, collection)
    if row is not None:
        workspace.engine.prune(collection, row["snapshots"])

"""Gives readers what was written in place, without a new version."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from rag_pipelines.catalog import collection_rows, versions
from rag_pipelines.core.faults import fault_point
from rag_pipelines.pipeline.workspace import Workspace
from rag_pipelines.pipeline.writers import opened_writer


def refresh_readers(
    workspace: Workspace, index: str, changed: Collection[str] | None = None, hidden: Sequence[str] = ()
) -> None:
    """New snapshots of the changed collections (None: all that readers can open), for the same versions.

    Afterwards no snapshot holds the `hidden` documents, so that they need not be filtered out any more.
    """
    for row in collection_rows.collections_of(workspace.catalog, index):
        collection = row["collection"]
        if row["snapshots"] and (changed is None or collection in changed):
            with opened_writer(workspace, collection) as writer:
                writer.flush()
                snapshot = workspace.engine.snapshot(collection)
                fault_point("refresh.copied")
                with workspace.catalog.begin() as tx:
                    live = versions.pointer_in(tx, index)
                    if live is not None and live.collection == collection:
                        versions.move_pointer(tx, index, live.version, collection, snapshot)
                    collection_rows.remember_snapshot(tx, collection, snapshot)
                fault_point("refresh.moved")
                prune_snapshots(workspace, collection)
    with workspace.catalog.begin() as tx:
        versions.request_refresh(tx, index, wanted=False)
        versions.unhide(tx, index, hidden)
    fault_point("refresh.done")


def prune_snapshots(workspace: Workspace, collection: str) -> None:
    """Keep the newest snapshot and, for readers that are just switching, the one before.

    Called while the collection's writer is open: a snapshot that nobody remembers yet is never another's.
    """
    with workspace.catalog.begin() as tx:
        row = collection_rows.collection_row(tx, collection)
    if row is not None:
        workspace.engine.prune(collection, row["snapshots"])

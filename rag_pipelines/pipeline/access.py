"""Rights that changed apply in place, to every version at once, without waiting for a publish."""

from __future__ import annotations

from collections.abc import Sequence

from rag_pipelines.catalog import versions
from rag_pipelines.catalog.store import Row
from rag_pipelines.pipeline.payload import access_key, access_payload
from rag_pipelines.pipeline.readers import refresh_readers
from rag_pipelines.pipeline.workspace import Workspace
from rag_pipelines.pipeline.writers import opened_writer


def apply_access(workspace: Workspace, index: str, states: Sequence[Row]) -> int:
    """Set the present rights on every stored point of the documents; returns how many documents changed.

    Readers get a new snapshot at once. Killed in between, the next call finishes it.
    """
    changed = [
        row for row in states if row["i_access_key"] is not None and row["i_access_key"] != access_key(row)
    ]
    for row in changed:
        with workspace.catalog.begin() as tx:
            by_collection = versions.all_point_ids(tx, row["doc_id"])
        for collection, ids in by_collection.items():
            with opened_writer(workspace, collection) as writer:
                writer.set_payload(ids, access_payload(row))
                writer.flush()
        with workspace.catalog.begin() as tx:
            versions.save_staged(tx, index, [{"doc_id": row["doc_id"], "access_key": access_key(row)}])
            versions.request_refresh(tx, index)
    if versions.refresh_requested(workspace.catalog, index):
        refresh_readers(workspace, index)
    return len(changed)

"""Rights that changed apply in place, to every version at once, without waiting for a publish."""

from __future__ import annotations

import json
from collections.abc import Sequence

from rag_pipelines.catalog import latencies, staged, versions
from rag_pipelines.catalog import points as point_rows
from rag_pipelines.catalog.documents import access_of
from rag_pipelines.catalog.store import Row, batches
from rag_pipelines.core.events import Event
from rag_pipelines.core.faults import fault_point
from rag_pipelines.pipeline.operator import operator, told_rights
from rag_pipelines.pipeline.payload import access_key, access_payload
from rag_pipelines.pipeline.readers import refresh_readers
from rag_pipelines.pipeline.workspace import Workspace
from rag_pipelines.pipeline.writers import opened_writer


def apply_access(workspace: Workspace, index: str, states: Sequence[Row]) -> int:
    """Set the present rights on every stored point of the documents; returns how many documents changed.

    Readers get new snapshots at once. Killed in between, the next call finishes it.
    """
    changed = [
        row for row in states if row["i_access_key"] is not None and row["i_access_key"] != access_key(row)
    ]
    changed += _returned(workspace, index, [row for row in states if row["i_access_key"] is None])
    interrupted = versions.refresh_requested(workspace.catalog, index)
    touched: set[str] = set()
    for batch in batches(changed):
        touched |= _apply(workspace, index, batch)
    if changed or interrupted:
        refresh_readers(workspace, index, None if interrupted else touched)
    with workspace.catalog.begin() as tx:
        latencies.arrived_for(tx, index, [row["doc_id"] for row in states], latencies.REVOKE)
    fault_point("access.timed")
    return len(changed)


def _returned(workspace: Workspace, index: str, states: Sequence[Row]) -> list[Row]:
    """Documents that were gone and came back: their points in earlier versions have the rights of then."""
    found: set[str] = set()
    for batch in batches(states):
        with workspace.catalog.begin() as tx:
            stored = point_rows.point_ids(tx, index, [row["doc_id"] for row in batch])
        found.update(*stored.values())
    return [row for row in states if row["doc_id"] in found]


def _apply(workspace: Workspace, index: str, batch: Sequence[Row]) -> set[str]:
    rows = {row["doc_id"]: row for row in batch}
    with workspace.catalog.begin() as tx:
        versions.request_refresh(tx, index)
        stored = point_rows.point_ids(tx, index, list(rows))
    fault_point("access.requested")
    for collection, by_document in stored.items():
        alike: dict[str, list[str]] = {}
        for doc_id, ids in by_document.items():
            alike.setdefault(json.dumps(access_payload(rows[doc_id]), sort_keys=True), []).extend(ids)
        with opened_writer(workspace, collection) as writer:
            for payload, ids in alike.items():
                writer.set_payload(ids, json.loads(payload))
            writer.flush()
        fault_point("access.flushed")
    with workspace.catalog.begin() as tx:
        staged.save_staged(
            tx, index, [{"doc_id": name, "access_key": access_key(row)} for name, row in rows.items()]
        )
        told = told_rights((name, None, access_of(row)) for name, row in rows.items())
        workspace.audit.append(tx, Event("rights.apply", operator(), index, details={"rights": told}))
    fault_point("access.saved")
    return set(stored)

"""Documents that no version may show any more: hidden from readers at once, then taken out of the engine.

Hiding is one transaction in the catalog, whatever the size of the index and whoever is writing to it:
readers leave hidden documents out of every search until their snapshot no longer holds them.
"""

from __future__ import annotations

from collections.abc import Sequence

from rag_pipelines.catalog import collection_rows, latencies, marks, staged, versions
from rag_pipelines.catalog import documents as document_rows
from rag_pipelines.catalog import points as point_rows
from rag_pipelines.catalog.store import Transaction
from rag_pipelines.core.faults import fault_point
from rag_pipelines.pipeline.readers import refresh_readers
from rag_pipelines.pipeline.workspace import Workspace
from rag_pipelines.pipeline.writers import opened_writer


def hide_gone(workspace: Workspace, index: str) -> int:
    """Hide what a pinned index still shows although its source no longer has it; returns how many documents.

    An index that is not pinned shows its deletions with the next version, and nothing happens here.
    """
    with workspace.catalog.begin() as tx:
        live = versions.pointer_in(tx, index)
        if live is None or live.pinned is None:
            return 0
        hidden = hide_gone_at(tx, index, live.version)
    fault_point("hide.hidden")
    return len(hidden)


def hide_gone_at(tx: Transaction, index: str, version: int) -> list[str]:
    """Hide the documents that the version shows and that are gone since; returns them."""
    gone = point_rows.gone_but_visible(tx, index, version)
    if gone:
        versions.hide(tx, index, gone)
        latencies.arrived_for(tx, index, gone, latencies.DELETE)
    return gone


def settle_hidden(workspace: Workspace, index: str) -> int:
    """Delete the points of hidden documents from every collection of the index; returns how many documents.

    Killed anywhere, the next call does it again. Needs the writers of the collections.
    """
    hidden = versions.hidden_documents(workspace.catalog, index)
    if not hidden:
        return 0
    with workspace.catalog.begin() as tx:
        stored = point_rows.point_ids(tx, index, hidden)
    for collection, by_document in stored.items():
        ids = [point for points in by_document.values() for point in points]
        with opened_writer(workspace, collection) as writer:
            writer.delete(ids)
            writer.flush()
        fault_point("settle.flushed")
        with workspace.catalog.begin() as tx:
            collection_rows.take_from_totals(tx, collection, list(by_document))
            point_rows.delete_points(tx, collection, ids)
        fault_point("settle.forgotten")
    with workspace.catalog.begin() as tx:
        _stage_again(tx, index, hidden)
    fault_point("settle.restaged")
    refresh_readers(workspace, index, None, hidden)
    return len(hidden)


def _stage_again(tx: Transaction, index: str, doc_ids: Sequence[str]) -> None:
    """One that came back in the meantime needs new points, which the next pass of its source makes."""
    staged.restage(tx, index, doc_ids)
    for source, returned in document_rows.live_among(tx, doc_ids).items():
        marks.touch(tx, returned, marks.next_tick(tx, source))

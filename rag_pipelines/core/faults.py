"""Named places where a process can die, for tests that kill it there and look at what is left.

In production nothing is armed and a fault point costs one look at an empty list.
"""

from __future__ import annotations

from collections.abc import Callable

PLACES: dict[str, dict[str, str]] = {
    "blobs": {
        "blob.written": "the bytes are durable under a temporary name",
        "blob.named": "the blob has its name",
    },
    "index.edge": {
        "engine.created": "an empty shard is made under a temporary name",
        "engine.named": "the shard has its name, its vector space is not written yet",
        "engine.ready": "the collection exists",
        "snapshot.numbered": "a number is given out, nothing is copied yet",
        "snapshot.copied": "the copy is whole and durable under a temporary name",
        "snapshot.named": "readers can open the copy, nobody points to it yet",
    },
    "index.edge_storage": {
        "engine.file_copied": "one file of a shard is copied",
        "engine.trashed": "a directory is renamed to trash, its files are still there",
    },
    "index.edge_shard": {
        "engine.upserted": "one operation's points are in the shard's log",
        "engine.payload_set": "payload is set on some points",
        "engine.deleted": "points are deleted",
        "engine.flushed": "everything written so far is durable",
        "engine.optimized": "segments are merged, not flushed yet",
    },
    "pipeline.workspace": {
        "tally.added": "a stage's counts are added to those of the run",
    },
    "pipeline.observe": {
        "observe.registered": "the source has a row",
        "observe.recorded": "a batch of the listing is compared and committed",
        "observe.settled": "exclusions, deletions and held deletions are committed",
        "observe.listed": "the listing is recorded as complete",
    },
    "pipeline.passes": {
        "pass.ticked": "a stage took a tick for what it will write",
        "pass.marked": "a stage left its mark",
    },
    "pipeline.parse": {
        "parse.stored": "a batch's blobs are durable, no row names them yet",
        "parse.saved": "the batch's rows are committed",
    },
    "catalog.documents": {
        "parse.readmitted": "documents that are what their stored text was read from left the quarantine",
    },
    "pipeline.chunk": {
        "chunk.saved": "a batch's chunks are committed",
    },
    "pipeline.embed": {
        "embed.computed": "a batch of vectors is computed and nowhere stored",
        "embed.saved": "the batch's vectors are committed",
    },
    "pipeline.sign": {
        "dedup.signed": "a batch of texts is signed and compared, no document is looked at yet",
    },
    "pipeline.deduplicate": {
        "dedup.chosen": "a batch's duplicates are committed, what follows from them is not done",
    },
    "pipeline.stage": {
        "stage.opened": "the candidate is open and the source marked as staged in part",
        "stage.intended": "a batch's intention is committed, the engine untouched",
        "stage.flushed": "the batch is durable in the engine, not confirmed",
        "stage.confirmed": "the batch is confirmed",
        "stage.left": "gone documents left the engine's other collections, the catalog does not know",
        "stage.whole": "the source's change is declared staged as a whole",
    },
    "pipeline.sync": {
        "sync.marked": "the source went through every stage",
    },
    "pipeline.access": {
        "access.requested": "new snapshots are asked for, no right is changed yet",
        "access.flushed": "rights are durable in the engine, not in the catalog",
        "access.saved": "a batch's rights are committed",
        "access.timed": "the rights' arrival is recorded",
    },
    "pipeline.readers": {
        "refresh.copied": "a new snapshot is made, nobody points to it",
        "refresh.moved": "readers are pointed to the new snapshot of the same version",
        "refresh.done": "no snapshot is asked for any more, hidden documents are let go",
    },
    "pipeline.publish": {
        "publish.closed": "the candidate is complete",
        "publish.copied": "the snapshot is made, the pointer has not moved",
        "publish.moving": "the pointer is moved inside the transaction",
        "publish.moved": "the new version is live",
        "publish.pruned": "older snapshots are deleted",
    },
    "pipeline.candidates": {
        "gates.copied": "a copy of the candidate is made for its gates, nobody points to it",
    },
    "pipeline.gates": {
        "gates.judged": "the verdict about the candidate is stored, the pointer has not moved",
    },
    "pipeline.hiding": {
        "hide.hidden": "documents are hidden from every reader of a pinned index",
        "settle.flushed": "hidden documents' points are gone from the engine, not from the catalog",
        "settle.forgotten": "their points are gone from the catalog",
        "settle.restaged": "those that came back are to be staged again",
    },
    "pipeline.rollback": {
        "rollback.moving": "pointer, pin and hidden documents are written inside the transaction",
        "rollback.moved": "the earlier version is live",
        "rollback.released": "the index is no longer pinned",
    },
    "pipeline.approve": {
        "approve.decided": "held deletions are approved and the documents marked as gone",
    },
    "pipeline.reindex": {
        "reindex.chosen": "the selected documents are to be done again",
    },
    "pipeline.vacuum": {
        "vacuum.retired": "versions are no longer readable, their points are still there",
        "vacuum.requested": "new snapshots are asked for, no point is deleted yet",
        "vacuum.flushed": "points are gone from the engine, not from the catalog",
        "vacuum.forgotten": "the points are gone from the catalog",
        "vacuum.dropped": "a collection is gone from the engine, the catalog has it still",
        "vacuum.emptied": "the catalog has some of its points no more",
        "vacuum.tidied": "some gone documents are forgotten",
    },
    "pipeline.artifacts": {
        "vacuum.settings_forgotten": "signatures made with other settings are deleted",
        "vacuum.signatures_forgotten": "some texts that no document has are no longer compared with",
        "vacuum.artifact_deleted": "one artifact that nothing refers to is deleted",
    },
    "pipeline.reconcile": {
        "reconcile.requested": "new snapshots are asked for, nothing is repaired yet",
        "reconcile.copied": "a snapshot is made where the remembered ones are lost, nobody points to it",
        "reconcile.moved": "readers are pointed to it",
        "reconcile.dropped": "collections that the catalog does not know are gone",
        "reconcile.recounted": "totals that were wrong are forgotten",
    },
    "pipeline.compare": {
        "reconcile.repaired": "one batch of repairs is in the engine",
    },
    "pipeline.rebuild": {
        "reconcile.embedded": "vectors that the catalog lacked are committed",
    },
    "evaluation.records": {
        "evaluation.stored": "a run's files are whole, the catalog has no row of it",
        "evaluation.recorded": "the run has a row",
    },
    "catalog.recovery": {
        "reconcile.forgotten": "documents whose artifacts are lost are to be fetched again",
    },
}
"""Module below `rag_pipelines` -> name of each fault point in it -> what has just happened there."""

FAULT_POINTS: dict[str, str] = {name: what for points in PLACES.values() for name, what in points.items()}

_armed: list[Callable[[str], None]] = []


def fault_point(name: str) -> None:
    """Tell the armed action, if there is one; it may end the process. Raises KeyError for unknown names then."""
    if _armed:
        FAULT_POINTS[name]
        _armed[0](name)


def arm(action: Callable[[str], None] | None) -> None:
    """From now on every fault point calls the action; None disarms. For tests."""
    _armed[:] = [] if action is None else [action]

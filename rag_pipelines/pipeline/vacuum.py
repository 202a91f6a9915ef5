"""Clears away what no kept version shows: points, collections, and rows and artifacts that nothing refers to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from rag_pipelines.catalog import audit, collection_rows, latencies, upkeep, versions
from rag_pipelines.catalog.store import Row
from rag_pipelines.core.events import Event
from rag_pipelines.core.faults import fault_point
from rag_pipelines.core.ports import Progress
from rag_pipelines.core.types import CURRENT
from rag_pipelines.pipeline.artifacts import forget_signatures, remove_unreferenced
from rag_pipelines.pipeline.forgetting import forget_old
from rag_pipelines.pipeline.operator import operator
from rag_pipelines.pipeline.progress import Silent
from rag_pipelines.pipeline.readers import refresh_readers
from rag_pipelines.pipeline.workspace import Workspace
from rag_pipelines.pipeline.writers import opened_writer

LATENCIES_KEPT = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class VacuumReport:
    """What was cleared away.

    `kept` and `vacuumed` are version numbers; `points` counts points deleted from engine and catalog, those of
    dropped collections among them; `revisions` what points of a document shared; `documents` rows of gone
    documents; `artifacts` and `artifact_bytes` stay 0 unless artifacts were asked for. `forgotten` counts what the
    policy no longer keeps of queries, searches, feedback and the audit log, whose newest line is `audit_head`.
    """

    index: str
    kept: tuple[int, ...]
    vacuumed: tuple[int, ...]
    points: int = 0
    dropped_collections: tuple[str, ...] = ()
    revisions: int = 0
    documents: int = 0
    artifacts: int = 0
    artifact_bytes: int = 0
    forgotten: int = 0
    audit_head: str = ""

    def as_json(self) -> dict[str, Any]:
        """The fields by name."""
        return {
            "index": self.index,
            "kept": list(self.kept),
            "vacuumed": list(self.vacuumed),
            "points": self.points,
            "dropped_collections": list(self.dropped_collections),
            "revisions": self.revisions,
            "documents": self.documents,
            "artifacts": self.artifacts,
            "artifact_bytes": self.artifact_bytes,
            "forgotten": self.forgotten,
            "audit_head": self.audit_head,
        }


def vacuum(
    workspace: Workspace, index: str, progress: Progress | None = None, *, artifacts: bool = False
) -> VacuumReport:
    """Keep the newest `retain_versions` readable versions, the live and the pinned one and the candidate.

    Every other version can no longer be read or rolled back to, and what only it showed is deleted: first
    from the engine, then from the catalog. Vectors in the catalog stay: one once paid for is never paid for
    again. With `artifacts` stored bytes and parsed texts that no row of any index refers to go as well.
    The caller holds `catalog.exclusive("sync")`. Killed anywhere, the next call goes on. Raises EngineError.
    """
    config = workspace.configuration.index_named(index)
    sources = [name for name in workspace.configuration.sources if config.covers(name)]
    progress = progress or Silent()
    asked_before = versions.refresh_requested(workspace.catalog, index)
    kept, vacuumed = _retire_versions(workspace, index, config.retain_versions)
    with workspace.catalog.begin() as tx:
        needed = upkeep.needed_collections(tx, index, [row["number"] for row in kept], sources)
    deleted = revisions = 0
    changed: set[str] = set()
    dropped: list[str] = []
    progress.start("vacuum", None)
    for row in collection_rows.collections_of(workspace.catalog, index):
        collection = row["collection"]
        if collection in needed:
            numbers = [version["number"] for version in kept if version["collection"] == collection]
            found, forgotten = _thin(workspace, index, collection, min(numbers, default=CURRENT), progress)
            if found:
                changed.add(collection)
        else:
            found, forgotten = _drop(workspace, index, collection, progress)
            dropped.append(collection)
        deleted += found
        revisions += forgotten
    if changed or asked_before:
        refresh_readers(workspace, index, None if asked_before else changed)
    gone = _forget_rows(workspace)
    old = forget_old(workspace)
    removed = size = 0
    if artifacts:
        with workspace.catalog.begin() as tx:
            revisions += upkeep.forget_orphans(tx)
        forget_signatures(workspace)
        removed, size = remove_unreferenced(workspace)
    progress.finish("vacuum")
    return VacuumReport(
        index,
        tuple(sorted(row["number"] for row in kept)),
        vacuumed,
        deleted,
        tuple(dropped),
        revisions,
        gone,
        removed,
        size,
        old.total,
        audit.anchor(workspace.catalog),
    )


def _retire_versions(workspace: Workspace, index: str, retain: int) -> tuple[list[Row], tuple[int, ...]]:
    """The kept versions, and the numbers of those that were readable until now and are not any more."""
    with workspace.catalog.begin() as tx:
        stored = versions.versions_of(workspace.catalog, index)
        readable = versions.readable(stored)
        live = versions.pointer_in(tx, index)
        held = {live.version, live.pinned} if live is not None else set()
        kept = readable[:retain] + [row for row in readable[retain:] if row["number"] in held]
        numbers = {row["number"] for row in kept}
        vacuumed = tuple(sorted(row["number"] for row in readable if row["number"] not in numbers))
        for number in vacuumed:
            versions.set_version(tx, index, number, status="vacuumed")
        open_ = versions.candidate(tx, index)
        told = {"vacuumed": list(vacuumed), "kept": sorted(numbers)}
        workspace.audit.append(tx, Event("vacuum", operator(), index, details=told))
    fault_point("vacuum.retired")
    return [*([open_] if open_ is not None else []), *kept], vacuumed


def _thin(
    workspace: Workspace, index: str, collection: str, oldest: int, progress: Progress
) -> tuple[int, int]:
    """Delete the points that were removed by the oldest kept version; returns points and revisions.

    Points of an interrupted staging are left: the next sync still has to deal with them.
    """
    with workspace.catalog.begin() as tx:
        ids = upkeep.removable_points(tx, collection, oldest)
    if not ids:
        return 0, 0
    deleted = revisions = 0
    with workspace.catalog.begin() as tx:
        versions.request_refresh(tx, index)
    fault_point("vacuum.requested")
    with opened_writer(workspace, collection) as writer:
        while ids:
            writer.delete(ids)
            writer.flush()
            fault_point("vacuum.flushed")
            with workspace.catalog.begin() as tx:
                revisions += upkeep.forget_points(tx, collection, ids)
            fault_point("vacuum.forgotten")
            deleted += len(ids)
            progress.advance("vacuum", len(ids))
            with workspace.catalog.begin() as tx:
                ids = upkeep.removable_points(tx, collection, oldest)
        writer.optimize()
        writer.flush()
    return deleted, revisions


def _drop(workspace: Workspace, index: str, collection: str, progress: Progress) -> tuple[int, int]:
    """Delete a collection that no version needs; returns points and revisions."""
    deleted = revisions = 0
    workspace.engine.drop(collection)
    fault_point("vacuum.dropped")
    while True:
        with workspace.catalog.begin() as tx:
            ids = upkeep.removable_points(tx, collection, None)
            revisions += upkeep.forget_points(tx, collection, ids)
            if not ids:
                upkeep.forget_collection(tx, index, collection)
                return deleted, revisions
        fault_point("vacuum.emptied")
        deleted += len(ids)
        progress.advance("vacuum", len(ids))


def _forget_rows(workspace: Workspace) -> int:
    """Gone documents that nothing refers to, and measurements that are too old; returns how many documents."""
    gone = 0
    while True:
        with workspace.catalog.begin() as tx:
            found = upkeep.forget_gone(tx)
        fault_point("vacuum.tidied")
        gone += found
        if not found:
            break
    before = (datetime.now(UTC) - LATENCIES_KEPT).isoformat(timespec="milliseconds")
    with workspace.catalog.begin() as tx:
        latencies.forget_before(tx, before)
    return gone

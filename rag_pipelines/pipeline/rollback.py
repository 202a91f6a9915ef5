"""Moves the live pointer back, or to any stored version, and holds it there until it is let go."""

from __future__ import annotations

import time
from dataclasses import dataclass

from rag_pipelines.catalog import collection_rows, versions
from rag_pipelines.catalog.store import Row
from rag_pipelines.core.errors import NotFound, NotPublished
from rag_pipelines.core.events import Event
from rag_pipelines.core.faults import fault_point
from rag_pipelines.pipeline.hiding import hide_gone, hide_gone_at, settle_hidden
from rag_pipelines.pipeline.operator import operator
from rag_pipelines.pipeline.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Moved:
    """The pointer went from `before` to `version`, which is pinned now; `hidden` documents are gone since.

    `switch_seconds` is how long readers had to wait for it, `settle_seconds` how long it took to take the
    hidden documents out of the engine afterwards; `settled` is false where a running sync will do that.
    """

    index: str
    before: int
    version: int
    hidden: int
    switch_seconds: float
    settle_seconds: float = 0.0
    settled: bool = True


def rollback(workspace: Workspace, index: str, to: int | None = None) -> Moved:
    """Make an earlier version live, by default the one before the live one, and pin the index there.

    One transaction in the catalog, also while a sync is running. What was deleted, revoked or erased since
    stays unseen: rights are not versioned, and documents that are gone are hidden from every reader.
    Raises NotPublished and NotFound.
    """
    live, stored = _live(workspace, index)
    if to is None:
        earlier = [row["number"] for row in stored if row["number"] < live.version]
        if not earlier:
            raise NotFound(
                f"index {index!r} has no stored version before {live.version}; `rag-pipelines versions` lists them"
            )
        to = max(earlier)
    return _move(workspace, live, _stored(index, stored, to), "rollback")


def pin(workspace: Workspace, index: str, version: int | None = None) -> Moved:
    """Hold the index at a version, by default the live one: syncs go on staging and publish nothing.

    Raises NotPublished and NotFound.
    """
    live, stored = _live(workspace, index)
    target = _stored(index, stored, live.version if version is None else version)
    return _move(workspace, live, target, "pin")


def unpin(workspace: Workspace, index: str) -> int | None:
    """Let the index go; returns where it was pinned, None where it was not. The next publish moves it."""
    with workspace.catalog.begin() as tx:
        live = versions.pointer_in(tx, index)
        versions.set_pin(tx, index, None)
        if live is not None and live.pinned is not None:
            workspace.audit.append(tx, Event("unpin", operator(), index, details={"version": live.pinned}))
    fault_point("rollback.released")
    return live.pinned if live is not None else None


def _live(workspace: Workspace, index: str) -> tuple[versions.Pointer, list[Row]]:
    workspace.configuration.index_named(index)
    live = versions.pointer(workspace.catalog, index)
    if live is None:
        raise NotPublished(f"index {index!r} has no published version yet; run `rag-pipelines sync`")
    return live, versions.readable(versions.versions_of(workspace.catalog, index))


def _stored(index: str, stored: list[Row], number: int) -> Row:
    for row in stored:
        if row["number"] == number:
            return row
    there = ", ".join(str(row["number"]) for row in stored)
    raise NotFound(f"index {index!r} has no stored published version {number}; there are {there}")


def _move(workspace: Workspace, live: versions.Pointer, target: Row, action: str) -> Moved:
    index, number, collection = live.index, target["number"], target["collection"]
    began = time.monotonic()
    with workspace.catalog.begin() as tx:
        held = versions.pointer_in(tx, index) or live
        row = collection_rows.collection_row(tx, collection)
        found = versions.version_row(tx, index, number)
        if row is None or not row["snapshots"] or found is None or not versions.readable([found]):
            raise NotFound(f"version {number} of index {index!r} is no longer stored")
        hidden = hide_gone_at(tx, index, number)
        if held.version != number or held.collection != collection:
            versions.move_pointer(tx, index, number, collection, row["snapshots"][-1])
            versions.supersede(tx, index, number)
        versions.set_pin(tx, index, number)
        told = {"version": number, "before": held.version, "hidden": len(hidden)}
        workspace.audit.append(tx, Event(action, operator(), index, details=told))
        fault_point("rollback.moving")
    switched = time.monotonic()
    fault_point("rollback.moved")
    settled = (
        _try_to_settle(workspace, index) if versions.hidden_documents(workspace.catalog, index) else True
    )
    return Moved(
        index,
        held.version,
        number,
        len(hidden),
        switched - began,
        time.monotonic() - switched,
        settled,
    )


class _BusyError(Exception):
    """A sync holds the lock."""


def _try_to_settle(workspace: Workspace, index: str) -> bool:
    def busy(_holder: str) -> None:
        raise _BusyError

    try:
        with workspace.catalog.exclusive("sync", busy):
            hide_gone(workspace, index)
            settle_hidden(workspace, index)
    except _BusyError:
        return False
    return True

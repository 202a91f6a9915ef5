"""Moves the pointer that readers follow, and nothing else decides what they see."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from rag_pipelines.catalog import collection_rows, latencies, marks, staged, versions
from rag_pipelines.catalog import gates as gate_rows
from rag_pipelines.catalog.store import Row, Transaction, now
from rag_pipelines.core.errors import NotPublished
from rag_pipelines.core.events import Event
from rag_pipelines.core.faults import fault_point
from rag_pipelines.core.ports import Progress
from rag_pipelines.pipeline.candidates import make_ready
from rag_pipelines.pipeline.chunk import chunk
from rag_pipelines.pipeline.deduplicate import deduplicate
from rag_pipelines.pipeline.embed import embed
from rag_pipelines.pipeline.gates import judged_candidate
from rag_pipelines.pipeline.operator import operator
from rag_pipelines.pipeline.progress import elapsed_ms
from rag_pipelines.pipeline.readers import prune_snapshots
from rag_pipelines.pipeline.space import Space, open_space
from rag_pipelines.pipeline.stage import finish_staging, stage
from rag_pipelines.pipeline.workspace import Workspace
from rag_pipelines.pipeline.writers import opened_writer

NO_SOURCE = ""
"""What a run counts of publishing belongs to no source."""


@dataclass(frozen=True, slots=True)
class Published:
    """What publishing did; `version` is the live one afterwards, None where nothing was ever staged.

    `pinned` is the version that the index is held at, `refused` the sentence of the gates, where that is why
    nothing moved. Seconds: to make the
    index fast to search, to copy it for readers (embedded engine), and to switch them over.
    """

    index: str
    version: int | None
    moved: bool
    documents: int = 0
    chunks: int = 0
    pinned: int | None = None
    refused: str | None = None
    optimize_seconds: float = 0.0
    copy_seconds: float = 0.0
    switch_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Override:
    """A named person's decision to publish what the gates refuse, and why."""

    by: str
    reason: str


def close_candidate(workspace: Workspace, index: str, run_id: str) -> int | None:
    """Complete the candidate: sources whose staging was interrupted, that still lie in another collection, or
    whose documents are indexed now that others no longer stand for them, are staged as a whole. Returns its
    number, or None where nothing is staged.
    """
    _complete(workspace, index, run_id)
    with workspace.catalog.begin() as tx:
        row = versions.candidate(tx, index)
        if row is None:
            return None
        known = sorted(marks.stage_marks(tx, "stage", index))
        per_source = collection_rows.totals(tx, row["collection"], known)
        stats = {
            "documents": sum(documents for documents, _ in per_source.values()),
            "chunks": sum(chunks for _, chunks in per_source.values()),
            "sources": {
                name: {"documents": documents, "chunks": chunks}
                for name, (documents, chunks) in sorted(per_source.items())
                if chunks
            },
        }
        versions.set_version(tx, index, row["number"], status="staged", stats=stats)
    fault_point("publish.closed")
    return int(row["number"])


def _complete(workspace: Workspace, index: str, run_id: str) -> None:
    with workspace.catalog.begin() as tx:
        row = versions.candidate(tx, index)
    behind = set(staged.unfinished_sources(workspace.catalog, index))
    if row is None and not behind:
        return
    space = open_space(workspace, index)
    with workspace.catalog.begin() as tx:
        if behind or (row is not None and row["collection"] == space.collection):
            behind.update(staged.sources_elsewhere(tx, index, space.fingerprint))
    behind &= workspace.configuration.sources.keys()
    compared: set[str] = set()
    while waiting := sorted(behind - compared):  # comparing one source may set another behind
        for source in waiting:
            deduplicate(workspace, index, source, _shards(workspace, source), run_id)
        compared.update(waiting)
        behind.update(staged.unfinished_sources(workspace.catalog, index))
        behind &= workspace.configuration.sources.keys()
    for source in sorted(behind):
        shards = _shards(workspace, source)
        chunk(workspace, index, source, shards, run_id)
        embed(workspace, index, source, shards, run_id)
        stage(workspace, index, source, shards, run_id)
        finish_staging(workspace, index, source)


def _shards(workspace: Workspace, source: str) -> range:
    return range(workspace.configuration.sources[source].shards)


def publish(
    workspace: Workspace,
    index: str,
    run_id: str = "",
    override: Override | None = None,
    progress: Progress | None = None,
) -> Published:
    """Make the newest staged state the live one, unless the index is pinned or its gates refuse it.

    A refused version stays staged and unseen; the next sync goes on from it. `override` publishes it all the
    same and is recorded; where the gates pass it is not needed and nothing is recorded.

    Nothing staged: after a rollback that is no longer pinned the newest version goes live again; otherwise
    the live one stays, and that is no error.
    """
    number = close_candidate(workspace, index, run_id)
    live = versions.pointer(workspace.catalog, index)
    if live is not None and live.pinned is not None:
        return Published(index, live.version, moved=False, pinned=live.pinned)
    refused: str | None = None
    if number is not None:
        verdict = judged_candidate(workspace, index, progress)
        refused = verdict.reason if verdict is not None and not verdict.passed else None
        if refused is not None and override is None:
            return Published(index, live.version if live else None, moved=False, refused=refused)
    else:
        stored = versions.readable(versions.versions_of(workspace.catalog, index))
        newest = stored[0]["number"] if stored else None
        if live is None or newest is None or newest <= live.version:
            return Published(index, live.version if live else None, moved=False)
        number = newest
    with workspace.catalog.begin() as tx:
        row = versions.version_row(tx, index, number)
    if row is None:
        raise NotPublished(f"version {number} of index {index!r} was withdrawn by another run; publish again")
    began = time.monotonic()
    done = _make_live(workspace, open_space(workspace, index), row, override, refused, run_id)
    if run_id and done.moved:
        work = {"published_chunks": done.chunks, "ms_publish": elapsed_ms(began)}
        workspace.count(run_id, NO_SOURCE, work)
    return done


def _make_live(
    workspace: Workspace,
    space: Space,
    row: Row,
    override: Override | None,
    refused: str | None,
    run_id: str,
) -> Published:
    index, number, collection = space.index, row["number"], row["collection"]
    began = time.monotonic()
    with opened_writer(workspace, collection) as writer:
        make_ready(writer)
        optimized = time.monotonic()
        snapshot = workspace.engine.snapshot(collection)
        copied = time.monotonic()
        fault_point("publish.copied")
        with workspace.catalog.begin() as tx:
            live = versions.pointer_in(tx, index)
            if live is not None and live.pinned is not None:
                return Published(index, live.version, moved=False, pinned=live.pinned)
            if override is not None and refused is not None:
                gate_rows.record_override(tx, index, number, override.by, override.reason, refused)
            versions.move_pointer(tx, index, number, collection, snapshot)
            versions.set_version(tx, index, number, published_at=now())
            versions.supersede(tx, index, number)
            _note_arrivals(tx, space)
            workspace.audit.append(tx, *_events(row, live, override if refused is not None else None, run_id))
            fault_point("publish.moving")
        switched = time.monotonic()
        fault_point("publish.moved")
        prune_snapshots(workspace, collection)
        fault_point("publish.pruned")
    return Published(
        index,
        number,
        True,
        row["stats"].get("documents", 0),
        row["stats"].get("chunks", 0),
        optimize_seconds=optimized - began,
        copy_seconds=copied - optimized,
        switch_seconds=switched - copied,
    )


def _events(
    row: Row, live: versions.Pointer | None, override: Override | None, run_id: str
) -> Iterator[Event]:
    """What the audit log says of it."""
    index, told = row["index_name"], {"version": row["number"]}
    if override is not None:
        decided = {**told, "by": override.by, "reason": override.reason}
        yield Event("override", operator(override.by), index, request=run_id or None, details=decided)
    counts = {name: row["stats"].get(name, 0) for name in ("documents", "chunks")}
    moved = {**told, **counts, "before": live.version if live is not None else None}
    yield Event("publish", operator(), index, request=run_id or None, details=moved)


def _note_arrivals(tx: Transaction, space: Space) -> None:
    """What was staged of each source up to its mark is live now."""
    for source, shards in marks.stage_marks(tx, "stage", space.index).items():
        ticks = [tick for fingerprint, tick in shards.values() if fingerprint.startswith(space.fingerprint)]
        latencies.arrived(tx, space.index, source, min(ticks, default=-1))

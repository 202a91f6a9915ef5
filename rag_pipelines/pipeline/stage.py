"""Writes the points of the next version, unseen by anyone who reads the published one.

Every batch of documents goes: intention into the catalog, points into the engine (new before old),
flush, confirmation into the catalog. Killed anywhere, the next run finds the intention and repeats it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from rag_pipelines.catalog import chunks as chunk_rows
from rag_pipelines.catalog import versions
from rag_pipelines.catalog.store import Row
from rag_pipelines.core.errors import EngineError
from rag_pipelines.core.ids import content_hash, point_id
from rag_pipelines.core.ports import CollectionWriter, Progress
from rag_pipelines.core.types import CURRENT, Point, embed_text
from rag_pipelines.pipeline.access import apply_access
from rag_pipelines.pipeline.embed import unpack
from rag_pipelines.pipeline.payload import access_key, access_payload, document_payload, point_payload
from rag_pipelines.pipeline.progress import Silent
from rag_pipelines.pipeline.space import Space, open_space
from rag_pipelines.pipeline.workspace import Workspace
from rag_pipelines.pipeline.writers import opened_writer

BATCH_CHUNKS = 1000


@dataclass(slots=True)
class _Plan:
    """What one batch of documents changes in the engine."""

    points: list[Point] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    retired: list[str] = field(default_factory=list)
    never_seen: list[str] = field(default_factory=list)


def stage(
    workspace: Workspace,
    index: str,
    source: str,
    shards: Collection[int],
    run_id: str,
    progress: Progress | None = None,
) -> Counter[str]:
    """Bring the candidate version in line with the chunks of the shards; open it where something changed.

    Rights that changed are applied first, in place, to every version. Returns counts: staged_documents,
    points_added, points_removed, access_applied. Raises EngineError where a vector is missing: embed first.
    """
    counts: Counter[str] = Counter(staged_documents=0, points_added=0, points_removed=0)
    states = versions.stage_state(workspace.catalog, index, source, shards)
    counts["access_applied"] = apply_access(workspace, index, states)
    space = open_space(workspace, index)
    dirty = versions.dirty_documents(workspace.catalog, space.collection, source)
    work = [
        (row, key)
        for row in states
        if (key := _staged_key(space, row)) != row["i_staged_key"]
        or row["i_collection"] != space.collection
        or row["doc_id"] in dirty
    ]
    if work:
        progress = progress or Silent()
        progress.start("stage", sum(row["i_chunk_count"] for row, _ in work))
        with workspace.catalog.begin() as tx:
            versions.save_collection(tx, space.catalog_row())
            versions.begin_staging(tx, index, source)
            number = versions.open_candidate(tx, index, space.collection, space.fingerprint)
        with opened_writer(workspace, space.collection) as writer:
            for batch in _batches(work):
                _stage_batch(workspace, space, writer, number, batch, counts)
                progress.advance("stage", sum(row["i_chunk_count"] for row, _ in batch))
        progress.finish("stage")
        workspace.count(run_id, source, counts)
    return counts


def finish_staging(workspace: Workspace, index: str, source: str) -> None:
    """Declare the source's change staged as a whole, so that the candidate may be published."""
    with workspace.catalog.begin() as tx:
        versions.end_staging(tx, index, source)


def _stage_batch(
    workspace: Workspace,
    space: Space,
    writer: CollectionWriter,
    number: int,
    batch: Sequence[tuple[Row, str]],
    counts: Counter[str],
) -> None:
    ids = [row["doc_id"] for row, _ in batch]
    with workspace.catalog.begin() as tx:
        chunks = chunk_rows.chunks_of(tx, space.index, ids)
        current = versions.current_points(tx, space.collection, ids)
        plan = _Plan()
        for row, _ in batch:
            _plan_document(space, number, row, chunks[row["doc_id"]], current[row["doc_id"]], plan)
        vectors = chunk_rows.load_embeddings(tx, space.model_fp, {row["embed_hash"] for row in plan.rows})
        _fill_vectors(space, plan, vectors)
        written = {point.point_id for point in plan.points}
        plan.retired = [name for name in plan.retired if name not in written]
        plan.never_seen = [name for name in plan.never_seen if name not in written]
        versions.intend_points(
            tx,
            [{k: v for k, v in row.items() if k not in ("embed_hash", "embed_text")} for row in plan.rows],
            [(space.collection, name) for name in (*plan.retired, *plan.never_seen)],
            number,
        )
    writer.upsert(plan.points)
    writer.set_payload(plan.retired, {"removed": number})
    writer.delete(plan.never_seen)
    writer.flush()
    gone = [row["doc_id"] for row, _ in batch if not row["live"]]
    with workspace.catalog.begin() as tx:
        versions.confirm_points(tx, space.collection, ids)
        versions.save_staged(
            tx,
            space.index,
            [
                {
                    "doc_id": row["doc_id"],
                    "collection": space.collection,
                    "staged_key": key,
                    "access_key": access_key(row),
                }
                for row, key in batch
            ],
        )
        versions.forget_documents(tx, space.index, gone)
    counts.update(
        staged_documents=len(batch),
        points_added=len(plan.points),
        points_removed=len(plan.retired) + len(plan.never_seen),
    )


def _plan_document(
    space: Space, number: int, row: Row, chunks: Sequence[Row], current: Sequence[Row], plan: _Plan
) -> None:
    """Compare the wanted points of one document with those the catalog knows."""
    document = document_payload(row, space)
    in_force = {point["chunk_id"]: point for point in current if point["removed"] == CURRENT}
    for point in current:
        if point["removed"] != CURRENT:
            (plan.never_seen if point["added"] == number else plan.retired).append(point["point_id"])
    for chunk in chunks:
        payload = point_payload(chunk, document)
        payload_hash = content_hash(json.dumps(payload, sort_keys=True))
        known = in_force.get(chunk["chunk_id"])
        if known is not None:
            if known["payload_hash"] == payload_hash and not known["dirty"]:
                del in_force[chunk["chunk_id"]]
                continue
            if known["added"] == number:
                del in_force[chunk["chunk_id"]]
        name = point_id(chunk["chunk_id"], number)
        plan.rows.append(
            {
                "collection": space.collection,
                "point_id": name,
                "chunk_id": chunk["chunk_id"],
                "doc_id": row["doc_id"],
                "source": row["source"],
                "added": number,
                "payload_hash": payload_hash,
                "parsed_hash": row["parsed_hash"],
                "embed_hash": chunk["embed_hash"],
                "embed_text": embed_text(chunk["header"], chunk["text"]),
            }
        )
        plan.points.append(
            Point(
                name,
                space.no_vector,
                None,
                {**payload, **access_payload(row), "added": number, "removed": CURRENT},
            )
        )
    for point in in_force.values():
        (plan.never_seen if point["added"] == number else plan.retired).append(point["point_id"])


def _fill_vectors(space: Space, plan: _Plan, vectors: dict[str, bytes]) -> None:
    missing = [row for row in plan.rows if row["embed_hash"] not in vectors]
    if missing:
        raise EngineError(
            f"{len(missing)} chunks of index {space.index!r} have no vector yet (first: document "
            f"{missing[0]['doc_id']}); materialize the embeddings of this source, then stage again"
        )
    sparse: Sequence[Any] = [None] * len(plan.rows)
    if space.sparse is not None:
        sparse = space.sparse.encode([row["embed_text"] for row in plan.rows], space.average_length)
    plan.points = [
        Point(point.point_id, unpack(vectors[row["embed_hash"]], unit=space.unit), weights, point.payload)
        for point, row, weights in zip(plan.points, plan.rows, sparse, strict=True)
    ]


def _staged_key(space: Space, row: Row) -> str:
    if not row["live"]:
        return "gone"
    document = document_payload(row, space)
    return content_hash(json.dumps([row["i_chunked_from"], row["i_chunk_fp"], document], sort_keys=True))


def _batches(work: Sequence[tuple[Row, str]]) -> Iterator[list[tuple[Row, str]]]:
    batch: list[tuple[Row, str]] = []
    size = 0
    for row, key in work:
        batch.append((row, key))
        size += row["i_chunk_count"]
        if size >= BATCH_CHUNKS or len(batch) >= BATCH_CHUNKS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch

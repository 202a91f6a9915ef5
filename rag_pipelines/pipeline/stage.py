"""Writes the points of the next version, unseen by anyone who reads the published one.

Every batch of documents goes: intention into the catalog, points into the engine (new before old),
flush, confirmation into the catalog. Killed anywhere, the next run finds the intention and repeats it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from rag_pipelines.catalog import chunks as chunk_rows
from rag_pipelines.catalog import collection_rows, marks, staged, versions
from rag_pipelines.catalog import points as point_rows
from rag_pipelines.catalog.store import Row, Transaction
from rag_pipelines.config.models import Chunking
from rag_pipelines.core.errors import EngineError
from rag_pipelines.core.faults import fault_point
from rag_pipelines.core.fingerprints import fingerprint
from rag_pipelines.core.ports import CollectionWriter, Progress
from rag_pipelines.core.types import Point
from rag_pipelines.pipeline.access import apply_access
from rag_pipelines.pipeline.embed import unpack
from rag_pipelines.pipeline.hiding import hide_gone, settle_hidden
from rag_pipelines.pipeline.passes import begin_pass, end_pass
from rag_pipelines.pipeline.payload import LAYOUT, access_key
from rag_pipelines.pipeline.point_changes import PointChanges, compare_points, key_to_stage
from rag_pipelines.pipeline.progress import Silent, elapsed_ms
from rag_pipelines.pipeline.screening import screened
from rag_pipelines.pipeline.space import Space, open_space
from rag_pipelines.pipeline.workspace import Workspace
from rag_pipelines.pipeline.writers import opened_writer

BATCH_CHUNKS = 1000


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
    settle_hidden(workspace, index)
    space, tenant = open_space(workspace, index), workspace.configuration.indexes[index].tenant
    dirty = point_rows.dirty_documents(workspace.catalog, space.collection, source)
    settings = stage_fingerprint(space, workspace.configuration.source_named(source).chunking)
    stage_pass = begin_pass(workspace, "stage", index, source, shards, settings, dirty)
    states = (
        []
        if stage_pass.nothing
        else staged.stage_state(workspace.catalog, index, source, shards, stage_pass.only, tenant)
    )
    outside = (
        []
        if stage_pass.nothing
        else staged.unstaged_documents(workspace.catalog, index, source, shards, stage_pass.only)
    )
    counts["access_applied"] = apply_access(workspace, index, [*states, *outside])
    work = [(row, key) for row in states if (key := key_to_stage(space, row, dirty)) is not None]
    if work:
        began = time.monotonic()
        progress = progress or Silent()
        progress.start("stage", sum(row["i_chunk_count"] for row, _ in work))
        with workspace.catalog.begin() as tx:
            collection_rows.save_collection(tx, space.catalog_row())
            staged.begin_staging(tx, index, source)
            number = versions.open_candidate(tx, index, space.collection, space.fingerprint)
        fault_point("stage.opened")
        _retire_elsewhere(workspace, space, number, [row["doc_id"] for row, _ in work if not row["live"]])
        with opened_writer(workspace, space.collection) as writer:
            for batch in _batches(work):
                try:
                    _stage_batch(workspace, space, writer, number, batch, counts)
                except EngineError:
                    with workspace.catalog.begin() as tx:  # a lost vector is looked for everywhere again
                        marks.forget_marks(tx, source, "embed")
                    raise
                progress.advance("stage", sum(row["i_chunk_count"] for row, _ in batch))
        progress.finish("stage")
        workspace.count(run_id, source, {**counts, "ms_stage": elapsed_ms(began)})
    if not stage_pass.nothing:
        end_pass(workspace, stage_pass)
    if hide_gone(workspace, index):
        settle_hidden(workspace, index)
    return counts


def stage_fingerprint(space: Space, chunking: Chunking) -> str:
    """Of what points look like besides their documents; begins with that of the vector space."""
    settings = [LAYOUT, space.model, chunking.model_dump(mode="json"), space.screen_fp]
    return f"{space.fingerprint}:{fingerprint('stage', 1, settings)}"


def finish_staging(workspace: Workspace, index: str, source: str) -> None:
    """Declare the source's change staged as a whole, so that the candidate may be published."""
    with workspace.catalog.begin() as tx:
        staged.end_staging(tx, index, source)
    fault_point("stage.whole")


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
        stored = chunk_rows.chunks_of(tx, space.index, ids)
    chunks = screened(workspace, [row for row, _ in batch], stored)
    with workspace.catalog.begin() as tx:
        current = point_rows.current_points(tx, space.collection, ids)
        plan = PointChanges()
        for row, _ in batch:
            compare_points(space, number, row, chunks[row["doc_id"]], current[row["doc_id"]], plan)
        vectors = chunk_rows.load_embeddings(tx, space.model_fp, {row["embed_hash"] for row in plan.rows})
        _fill_vectors(space, plan, vectors)
        plan.settle()
        point_rows.save_point_documents(tx, plan.documents)
        point_rows.intend_points(
            tx,
            [{k: v for k, v in row.items() if k != "embed_text"} for row in plan.rows],
            [(space.collection, name) for name in (*plan.retired, *plan.never_seen)],
            number,
        )
    fault_point("stage.intended")
    writer.upsert(plan.points)
    writer.set_payload(plan.retired, {"removed": number})
    writer.delete(plan.never_seen)
    writer.flush()
    fault_point("stage.flushed")
    with workspace.catalog.begin() as tx:
        point_rows.confirm_points(tx, space.collection, ids)
        staged.save_staged(
            tx,
            space.index,
            [
                {
                    "doc_id": row["doc_id"],
                    "collection": space.collection,
                    "staged_key": key,
                    "access_key": access_key(row),
                    "point_count": len(chunks[row["doc_id"]]),
                }
                for row, key in batch
            ],
        )
        staged.forget_documents(tx, space.index, [row["doc_id"] for row, _ in batch if not row["live"]])
        _add_totals(tx, space, batch, chunks)
    fault_point("stage.confirmed")
    removed = len(plan.retired) + len(plan.never_seen)
    counts.update(staged_documents=len(batch), points_added=len(plan.points), points_removed=removed)


def _add_totals(
    tx: Transaction, space: Space, batch: Sequence[tuple[Row, str]], chunks: Mapping[str, Sequence[Row]]
) -> None:
    """Keep the collection's totals; what came from another collection has to be counted anew."""
    for source in {row["source"] for row, _ in batch}:
        mine = [row for row, _ in batch if row["source"] == source]
        if any(row["i_collection"] not in (None, space.collection) for row in mine):
            collection_rows.forget_totals(tx, space.collection, source)
            continue
        pairs = [(row["i_point_count"], len(chunks[row["doc_id"]])) for row in mine]
        collection_rows.add_totals(
            tx,
            space.collection,
            source,
            sum((new > 0) - (old > 0) for old, new in pairs),
            sum(new - old for old, new in pairs),
        )


def _retire_elsewhere(workspace: Workspace, space: Space, number: int, gone: Sequence[str]) -> None:
    """Gone documents leave the index's other collections too: a later version may be built on one of them."""
    with workspace.catalog.begin() as tx:
        lingering = point_rows.lingering_points(tx, space.index, space.collection, gone)
    for collection, ids in lingering.items():
        with opened_writer(workspace, collection) as writer:
            writer.set_payload(ids, {"removed": number})
            writer.flush()
        fault_point("stage.left")
        with workspace.catalog.begin() as tx:
            collection_rows.take_from_totals(tx, collection, gone)
            point_rows.retire_points(tx, collection, ids, number)


def _fill_vectors(space: Space, plan: PointChanges, vectors: dict[str, bytes]) -> None:
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


def _batches(work: Sequence[tuple[Row, str]]) -> Iterator[list[tuple[Row, str]]]:
    batch, size = list[tuple[Row, str]](), 0
    for row, key in work:
        batch.append((row, key))
        size += row["i_chunk_count"]
        if size >= BATCH_CHUNKS or len(batch) >= BATCH_CHUNKS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch

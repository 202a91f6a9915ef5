"""Computes the vectors that the catalog does not have yet; a vector once paid for is never paid for again."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection

import numpy as np

from rag_pipelines.catalog import chunks as rows
from rag_pipelines.core.faults import fault_point
from rag_pipelines.core.ports import Progress
from rag_pipelines.core.types import FloatArray
from rag_pipelines.pipeline.passes import begin_pass, end_pass
from rag_pipelines.pipeline.progress import Silent, elapsed_ms
from rag_pipelines.pipeline.workspace import Workspace

COMMIT_EVERY = 1024


def embed(
    workspace: Workspace,
    index: str,
    source: str,
    shards: Collection[int],
    run_id: str,
    progress: Progress | None = None,
) -> Counter[str]:
    """Embed every distinct chunk text of the shards without a vector of the index's model.

    Commits every 1,024 texts, shortest first, so that a crash costs at most that many. The model is not
    loaded where nothing is due. Returns counts: embedded, truncated.
    """
    config = workspace.configuration.indexes[index]
    model_fp = workspace.model_fingerprint(config)
    stage_pass = begin_pass(workspace, "embed", index, source, shards, model_fp)
    counts: Counter[str] = Counter(embedded=0, truncated=0)
    if stage_pass.nothing:
        return counts
    due = rows.embedding_due(workspace.catalog, index, source, shards, model_fp, stage_pass.only)
    if not due:
        end_pass(workspace, stage_pass)
        return counts
    began = time.monotonic()
    progress = progress or Silent()
    progress.start("embed", len(due))
    bar = progress
    embedder = workspace.embedder(config)
    due.sort(key=lambda pair: (pair[1], pair[0]))
    for start in range(0, len(due), COMMIT_EVERY):
        hashes = [name for name, _ in due[start : start + COMMIT_EVERY]]
        with workspace.catalog.begin() as tx:
            texts = rows.embed_texts(tx, index, hashes)
        batch = embedder.embed([texts[name] for name in hashes], lambda amount: bar.advance("embed", amount))
        fault_point("embed.computed")
        with workspace.catalog.begin() as tx:
            rows.save_embeddings(
                tx, model_fp, {name: pack(v) for name, v in zip(hashes, batch.vectors, strict=True)}
            )
        fault_point("embed.saved")
        counts.update(embedded=len(hashes), truncated=batch.truncated)
    end_pass(workspace, stage_pass)
    workspace.count(run_id, source, {**counts, "ms_embed": elapsed_ms(began)})
    progress.finish("embed")
    return counts


def pack(vector: FloatArray) -> bytes:
    """float32 (d,) -> little-endian float16, half the room, cosine to the original above .99999."""
    return vector.astype("<f2").tobytes()


def unpack(data: bytes, *, unit: bool = True) -> FloatArray:
    """The vector (d,) as float32; at unit length again, since float16 rounds."""
    vector = np.frombuffer(data, dtype="<f2").astype(np.float32)
    if not unit:
        return vector
    norm = float(np.linalg.norm(vector))
    return vector / np.float32(norm) if norm > 0 else vector

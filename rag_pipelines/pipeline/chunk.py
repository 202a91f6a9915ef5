"""Cuts parsed documents into chunks, once per index since sizes count the index's own tokens."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence

from rag_pipelines.catalog import chunks as rows
from rag_pipelines.catalog import documents as document_rows
from rag_pipelines.catalog.marks import touch
from rag_pipelines.catalog.store import Row, now
from rag_pipelines.chunking import chunk_documents, chunker_fingerprint
from rag_pipelines.config.models import Chunking, ChunkingRule, IndexConfig
from rag_pipelines.core.errors import ChunkError
from rag_pipelines.core.faults import fault_point
from rag_pipelines.core.fingerprints import fingerprint
from rag_pipelines.core.ports import Progress, Tokenizer
from rag_pipelines.core.types import Chunk, ParsedDocument
from rag_pipelines.pipeline.deduplicate import deduplicate
from rag_pipelines.pipeline.passes import Pass, begin_pass, end_pass
from rag_pipelines.pipeline.progress import Silent, elapsed_ms
from rag_pipelines.pipeline.workspace import Workspace

BATCH_DOCUMENTS = 64


def chunk(
    workspace: Workspace,
    index: str,
    source: str,
    shards: Collection[int],
    run_id: str,
    progress: Progress | None = None,
) -> Counter[str]:
    """Chunk every document of the shards whose text or rule changed; drop the chunks of gone ones.

    Returns counts: chunked, chunks_added, chunks_removed, refused.
    """
    index_config = workspace.configuration.indexes[index]
    chunking = workspace.configuration.source_named(source).chunking
    model = index_config.embedding.model
    stage_pass = begin_pass(
        workspace, "chunk", index, source, shards, chunking_fingerprint(chunking, index_config)
    )
    counts: Counter[str] = Counter(chunked=0, chunks_added=0, chunks_removed=0, chunk_refused=0)
    if stage_pass.nothing:
        return counts
    fingerprints = {
        media_type: chunker_fingerprint(chunking.rule_for(media_type), model)
        for media_type in rows.media_types(workspace.catalog, source, stage_pass.only)
    }
    due = rows.chunk_due(
        workspace.catalog, index, source, shards, fingerprints, stage_pass.only, index_config.tenant
    )
    if due:
        began = time.monotonic()
        progress = progress or Silent()
        progress.start("chunk", len(due))
        _chunk_all(workspace, index_config, due, chunking, fingerprints, stage_pass, counts, progress)
        workspace.count(run_id, source, {**counts, "ms_chunk": elapsed_ms(began)})
        progress.finish("chunk")
    end_pass(workspace, stage_pass)
    if counts["chunk_refused"]:  # what they stood for has to be cut in their place
        deduplicate(workspace, index, source, shards, run_id, progress)
        counts.update(chunk(workspace, index, source, shards, run_id, progress))
    return counts


def chunking_fingerprint(chunking: Chunking, index: IndexConfig) -> str:
    """Of every rule of a source, and whose documents the index holds: while it stays, only documents whose text
    changed are due.
    """
    model = index.embedding.model
    rules = {"": chunking.rule_for(""), **chunking.by_media_type}
    own = {kind: chunker_fingerprint(rule, model) for kind, rule in rules.items()}
    return fingerprint("chunking", 1, own if index.tenant is None else [own, index.tenant])


def _chunk_all(
    workspace: Workspace,
    index_config: IndexConfig,
    due: Sequence[Row],
    chunking: Chunking,
    fingerprints: Mapping[str, str],
    stage_pass: Pass,
    counts: Counter[str],
    progress: Progress,
) -> None:
    tick = stage_pass.later_tick(workspace)
    index = index_config.index
    for start in range(0, len(due), BATCH_DOCUMENTS):
        batch = due[start : start + BATCH_DOCUMENTS]
        made, refused = cut(workspace, index_config, batch, chunking.rule_for, _stored(workspace))
        with workspace.catalog.begin() as tx:
            for row in batch:
                chunk_fp = rows.COLLAPSED if row["collapsed"] else fingerprints.get(row["media_type"])
                if row["doc_id"] in refused:
                    document_rows.save_quarantined(
                        tx, [_refusal(row, index, refused[row["doc_id"]], chunk_fp or "")]
                    )
                    continue
                added, removed = rows.replace_chunks(
                    tx, index, row, made.get(row["doc_id"], []), row["parsed_hash"], chunk_fp
                )
                document_rows.lift_quarantine(tx, [row["doc_id"]], ["chunk"], index)
                counts.update(chunked=1, chunks_added=added, chunks_removed=removed)
            touch(tx, [row["doc_id"] for row in batch], tick)
        fault_point("chunk.saved")
        counts["chunk_refused"] += len(refused)
        progress.advance("chunk", len(batch))


def _stored(workspace: Workspace) -> Callable[[Row], ParsedDocument]:
    return lambda row: workspace.blobs.get_parsed(row["parsed_hash"])


def cut(
    workspace: Workspace,
    index: IndexConfig,
    batch: Sequence[Row],
    rule_for: Callable[[str], ChunkingRule],
    parsed_of: Callable[[Row], ParsedDocument],
) -> tuple[dict[str, list[Chunk]], dict[str, str]]:
    """Chunks by document, and the reason for each document that could not be cut; writes nothing.

    None of documents that are gone, or `collapsed` into another one.
    """
    by_rule: dict[ChunkingRule, list[tuple[str, ParsedDocument]]] = {}
    for row in batch:
        if row["live"] and row["parsed_hash"] is not None and not row["collapsed"]:
            by_rule.setdefault(rule_for(row["media_type"]), []).append((row["doc_id"], parsed_of(row)))
    made: dict[str, list[Chunk]] = {}
    refused: dict[str, str] = {}
    tokenizer = workspace.tokenizer(index)
    for rule, documents in by_rule.items():
        for (doc_id, _), result in zip(documents, _chunk_or_reason(documents, rule, tokenizer), strict=True):
            if isinstance(result, str):
                refused[doc_id] = result
            else:
                made[doc_id] = result
    return made, refused


def _chunk_or_reason(
    documents: list[tuple[str, ParsedDocument]], rule: ChunkingRule, tokenizer: Tokenizer
) -> list[list[Chunk] | str]:
    """The whole batch at once; where it fails, one by one, so that a document costs only itself."""
    try:
        return list(chunk_documents(documents, rule, tokenizer))
    except ChunkError as error:
        if len(documents) == 1:
            return [str(error)]
        return [_chunk_or_reason([document], rule, tokenizer)[0] for document in documents]


def _refusal(row: Row, index: str, reason: str, chunk_fp: str) -> Row:
    return {
        "doc_id": row["doc_id"],
        "stage": "chunk",
        "index_name": index,
        "source": row["source"],
        "shard": row["shard"],
        "uri": row["uri"],
        "reason": reason,
        "input": f"{row['parsed_hash']} {chunk_fp}",
        "since": now(),
    }

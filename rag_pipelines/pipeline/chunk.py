"""Cuts parsed documents into chunks, once per index since sizes count the index's own tokens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence

from rag_pipelines.catalog import chunks as rows
from rag_pipelines.catalog import documents as document_rows
from rag_pipelines.catalog.store import Row, now
from rag_pipelines.chunking import chunk_documents, chunker_fingerprint
from rag_pipelines.config.models import ChunkingRule, IndexConfig
from rag_pipelines.core.errors import ChunkError
from rag_pipelines.core.ports import Progress, Tokenizer
from rag_pipelines.core.types import Chunk, ParsedDocument
from rag_pipelines.pipeline.progress import Silent
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
    rule_for = workspace.configuration.source_named(source).chunking.rule_for
    fingerprints = {
        media_type: chunker_fingerprint(rule_for(media_type), index_config.embedding.model)
        for media_type in rows.media_types(workspace.catalog, source)
    }
    due = rows.chunk_due(workspace.catalog, index, source, shards, fingerprints)
    counts: Counter[str] = Counter(chunked=0, chunks_added=0, chunks_removed=0, chunk_refused=0)
    if not due:
        return counts
    progress = progress or Silent()
    progress.start("chunk", len(due))
    for start in range(0, len(due), BATCH_DOCUMENTS):
        batch = due[start : start + BATCH_DOCUMENTS]
        made, refused = _cut(workspace, index_config, batch, rule_for)
        with workspace.catalog.begin() as tx:
            for row in batch:
                chunk_fp = fingerprints.get(row["media_type"])
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
        counts["chunk_refused"] += len(refused)
        progress.advance("chunk", len(batch))
    workspace.count(run_id, source, counts)
    progress.finish("chunk")
    return counts


def _cut(
    workspace: Workspace,
    index: IndexConfig,
    batch: Sequence[Row],
    rule_for: Callable[[str], ChunkingRule],
) -> tuple[dict[str, list[Chunk]], dict[str, str]]:
    """Chunks by document, and the reason for each document that could not be cut."""
    by_rule: dict[ChunkingRule, list[tuple[str, ParsedDocument]]] = {}
    for row in batch:
        if row["live"]:
            parsed = workspace.blobs.get_parsed(row["parsed_hash"])
            by_rule.setdefault(rule_for(row["media_type"]), []).append((row["doc_id"], parsed))
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

"""Asks a suite through the searcher that answers everybody else, and counts what the version holds."""

from __future__ import annotations

from collections.abc import Sequence

from rag_pipelines.core.types import Passage, Principal
from rag_pipelines.evaluation.costs import IndexSize, SizeOf
from rag_pipelines.evaluation.running import Search
from rag_pipelines.evaluation.suites import IndexDocument
from rag_pipelines.retrieval.search import Searcher


def search_of(searcher: Searcher, principal: Principal, version: int) -> Search:
    """The function that `run_suite` asks: this version, as the principal."""

    def search(text: str, k: int) -> Sequence[Passage]:
        return searcher.search(text, k, principal, version=version).passages

    return search


def inventory(searcher: Searcher, version: int) -> tuple[tuple[IndexDocument, ...], IndexSize]:
    """The documents that the version holds, each once, and how large it is; reads every point of it."""
    _, reader, shown = searcher.scroll_reader(version)
    size = SizeOf()
    documents: dict[str, IndexDocument] = {}
    for point in size.counted(reader.scroll(shown, with_vectors=True)):
        payload = point.payload
        if payload["doc_id"] not in documents:
            documents[payload["doc_id"]] = IndexDocument(
                doc_id=payload["doc_id"],
                source=payload["source"],
                uri=payload["uri"],
                title=payload.get("title"),
                tenant=payload.get("tenant"),
                language=payload.get("language"),
                media_type=payload.get("media_type"),
                metadata=payload.get("meta") or {},
            )
    return tuple(documents.values()), size.size

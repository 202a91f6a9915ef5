"""The citation of a passage as the flat metadata that retrieval frameworks carry."""

from __future__ import annotations

from typing import Any

from rag_pipelines.client.types import Passage, SearchResult

SHOWN = {"title", "source", "uri", "page", "heading_path"}
"""What a reader knows a passage by."""


def metadata_of(passage: Passage, result: SearchResult) -> dict[str, Any]:
    """Fields of the citation win over metadata of the document that has the same name."""
    return {
        **passage.metadata,
        "source": passage.source,
        "uri": passage.uri,
        "title": passage.title,
        "link": passage.link,
        "page": passage.page,
        "heading_path": list(passage.heading_path),
        "doc_id": passage.doc_id,
        "chunk_id": passage.chunk_id,
        "start": passage.start,
        "end": passage.end,
        "revision": passage.revision,
        "parsed_hash": passage.parsed_hash,
        "index": result.index,
        "version": passage.version,
        "rank": passage.rank,
        "score": passage.score,
        "request_id": result.request_id,
    }

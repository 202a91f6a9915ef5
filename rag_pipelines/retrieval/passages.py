"""Passages as answers hold them, and as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rag_pipelines.core.types import Citation, Hit, Location, Passage


def passage_json(passage: Passage) -> dict[str, Any]:
    """One passage, flat: rank, score, text, title, everything of its citation, and its other locations."""
    citation = asdict(passage.citation)
    citation["heading_path"] = list(passage.citation.heading_path)
    return {
        "rank": passage.rank,
        "score": passage.score,
        "text": passage.text,
        "title": passage.title,
        **citation,
        "metadata": dict(passage.metadata),
        "locations": [asdict(location) for location in passage.locations],
    }


def to_passage(rank: int, hit: Hit, version: int, locations: tuple[Location, ...] = ()) -> Passage:
    """A hit with its citation and its other locations."""
    payload = hit.payload
    citation = Citation(
        source=payload["source"],
        uri=payload["uri"],
        doc_id=payload["doc_id"],
        chunk_id=payload["chunk_id"],
        start=payload["start"],
        end=payload["end"],
        page=payload.get("page"),
        heading_path=tuple(payload.get("heading_path") or ()),
        revision=payload["revision"],
        parsed_hash=payload["parsed_hash"],
        parser=payload["parser"],
        chunker=payload["chunker"],
        model=payload["model"],
        version=version,
        link=payload.get("link"),
    )
    return Passage(
        rank,
        round(float(hit.score), 6),
        payload["text"],
        payload.get("title"),
        citation,
        payload.get("meta") or {},
        locations,
    )

"""What was found, as the passages of an answer and their JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rag_pipelines.core.places import Location, MatchedSpan
from rag_pipelines.core.types import Citation, Classification, Passage
from rag_pipelines.governance.injection_policy import InjectionPolicy
from rag_pipelines.index.points import CHUNK_ID, CLASSIFICATION, END, PAGE, START
from rag_pipelines.retrieval.expansion import Section


def to_passage(
    rank: int,
    section: Section,
    version: int,
    locations: tuple[Location, ...] = (),
    policy: InjectionPolicy | None = None,
) -> Passage:
    """A section with its citation, its other locations, and the mark that the policy wants it to have."""
    hit = section.group.best
    payload = hit.payload
    citation = Citation(
        source=payload["source"],
        uri=payload["uri"],
        doc_id=payload["doc_id"],
        chunk_id=payload[CHUNK_ID],
        start=section.start,
        end=section.end,
        page=section.page,
        heading_path=tuple(payload.get("heading_path") or ()),
        revision=payload["revision"],
        parsed_hash=payload["parsed_hash"],
        parser=payload["parser"],
        chunker=payload["chunker"],
        model=payload["model"],
        version=version,
        link=payload.get("link"),
    )
    matched = tuple(
        MatchedSpan(
            found.payload[CHUNK_ID], found.payload[START], found.payload[END], found.payload.get(PAGE)
        )
        for found in section.hits
    )
    return Passage(
        rank,
        round(float(hit.score), 6),
        section.text,
        payload.get("title"),
        citation,
        payload.get("meta") or {},
        locations,
        matched if section.expanded else (),
        policy.mark(payload, section.flag) if policy is not None else None,
        Classification(payload[CLASSIFICATION]) if CLASSIFICATION in payload else None,
    )


def passage_json(passage: Passage) -> dict[str, Any]:
    """One passage, flat: rank, score, text, title, everything of its citation, and its other locations.

    `matched` only where the passage shows more than the chunk that was found, `injection` only where it is suspect.
    """
    citation = asdict(passage.citation)
    citation["heading_path"] = list(passage.citation.heading_path)
    matched = {"matched": [asdict(span) for span in passage.matched]} if passage.matched else {}
    return {
        "rank": passage.rank,
        "score": passage.score,
        "text": passage.text,
        "title": passage.title,
        **citation,
        **matched,
        **({"injection": dict(passage.injection)} if passage.injection else {}),
        "metadata": dict(passage.metadata),
        "locations": [asdict(location) for location in passage.locations],
    }

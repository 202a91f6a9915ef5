"""Where in a document something stands."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MatchedSpan:
    """A chunk that was found inside a passage that shows more; the span is in the document's text."""

    chunk_id: str
    start: int
    end: int
    page: int | None

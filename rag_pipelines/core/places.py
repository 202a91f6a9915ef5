"""Where a passage stands besides the place that its citation names."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Location:
    """Another document in which a passage stands, or nearly.

    `start` and `end` slice its stored text; None where it is known only as a near-duplicate of a document
    in which the passage stands, as one that is collapsed is. `similarity` is 1 for equal texts.
    """

    source: str
    uri: str
    title: str | None
    link: str | None
    doc_id: str
    start: int | None
    end: int | None
    similarity: float


@dataclass(frozen=True, slots=True)
class MatchedSpan:
    """A chunk that was found inside a passage that shows more; the span is in the document's text."""

    chunk_id: str
    start: int
    end: int
    page: int | None

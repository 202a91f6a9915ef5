"""What is known of the data of a candidate version, before anybody judges it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rag_pipelines.core.types import FloatArray


@dataclass(frozen=True, slots=True)
class Before:
    """A document in the live version; `similar` is the Jaccard similarity of its words to those of today."""

    characters: int
    language: str | None
    nulls: tuple[str, ...]
    similar: float


@dataclass(frozen=True, slots=True)
class DocumentFacts:
    """A document that the candidate changed, as the candidate shows it.

    `coverage` is the share of its text, without white space, that lies in a chunk. `own` is the share of its
    text's words that its bytes have, `kept` the share of its bytes' words that its text has (None for bytes
    that are no text). `twin` is another document with the same text, `copied` where its bytes are the same
    as well. `nulls` are the filter fields without a value.
    """

    source: str
    document: str
    characters: int
    coverage: float
    language: str | None = None
    nulls: tuple[str, ...] = ()
    own: float | None = None
    kept: float | None = None
    twin: str | None = None
    copied: bool = False
    before: Before | None = None


@dataclass(frozen=True, slots=True)
class ChunkFacts:
    """A passage that the candidate shows, against the text that it is cut from.

    `end` beyond `length`, and `faithful` false (the slice of the text is not what the passage says), make a
    citation that does not verify. `limit` is the greatest number of tokens.
    """

    source: str
    document: str
    chunk: str
    ordinal: int
    text: str
    start: int
    end: int
    length: int
    faithful: bool
    tokens: int
    limit: int


@dataclass(frozen=True, slots=True)
class VectorFacts:
    """A stored vector of the catalog, and what the engine has of it.

    `norm` is None where the model's vectors are not normalised. `stored` is the cosine to the engine's
    vector, None where the engine has no such point. `terms` says whether the engine's term weights are those
    of the passage (None without term vectors). `again` is the cosine to the text embedded anew, None outside
    the sample.
    """

    source: str
    document: str
    ordinal: int
    dimension: int
    expected: int
    finite: bool
    norm: float | None
    stored: float | None
    terms: bool | None = None
    again: float | None = None


@dataclass(frozen=True, slots=True)
class IdentifierFacts:
    """An identifier of a passage: `found` where a search by its terms alone brings a passage that has it, and
    `whole` where the analyzer keeps it in one piece."""

    source: str
    document: str
    identifier: str
    found: bool
    whole: bool


@dataclass(frozen=True, slots=True)
class Live:
    """A source in the live version: totals, and what a sample of its points says.

    `languages` and `nulls` are shares of documents; `centroid` is the mean vector, None where the two versions
    have vectors of different models.
    """

    documents: int
    chunks: int
    languages: Mapping[str | None, float] = field(default_factory=dict)
    nulls: Mapping[str, float] = field(default_factory=dict)
    centroid: FloatArray | None = None


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """A source in the candidate. `changed` documents differ from the live version; of these the facts show all,
    or a sample. `approved` deletions were a person's decision; `gone` are those of the looked-at that are
    not there any more. `moved` is the sum of the vectors that those
    documents have now, less that of what they had."""

    source: str
    documents: int
    chunks: int
    changed: int
    refused: int = 0
    approved: int = 0
    live: Live | None = None
    moved: FloatArray | None = None
    gone: Sequence[Before] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that is judged."""

    sources: Sequence[SourceFacts]
    documents: Sequence[DocumentFacts]
    chunks: Sequence[ChunkFacts]
    vectors: Sequence[VectorFacts]
    identifiers: Sequence[IdentifierFacts] = ()

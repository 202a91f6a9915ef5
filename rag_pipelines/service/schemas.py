"""Requests and responses of the HTTP API."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from rag_pipelines.retrieval.options import Options
from rag_pipelines.service.injection_schemas import InjectionBody

Integer = Annotated[int, Field(ge=-(2**63), lt=2**63)]


def _fraction(value: object) -> object:
    """Without it a whole number too large for the engine would pass as a fraction."""
    if not isinstance(value, float):
        raise ValueError("is no fraction")
    return value


Fraction = Annotated[float, BeforeValidator(_fraction), Field(allow_inf_nan=False)]
Scalar = str | Integer | bool | Fraction
Comparison = Annotated[
    dict[str, Any],
    Field(
        description="Operators: gt, gte, lt, lte (numbers, dates), from, to (dates), exists (true or false), not "
        "(a value, a list or operators). All must hold.",
        examples=[{"gte": 2020, "lt": 2024}, {"from": "2024-01-01"}, {"exists": True}, {"not": "draft"}],
    ),
]
Filter = Scalar | list[Scalar] | Comparison

EXAMPLE_PASSAGE: dict[str, Any] = {
    "rank": 1,
    "score": 1.31,
    "text": "Carry over at most five days of leave into the next year.",
    "title": "Leave policy",
    "source": "handbook",
    "uri": "hr/leave-policy.pdf",
    "doc_id": "5c7d8b0e-2b5e-5c1c-9d3e-6f0a5b1c2d3e",
    "chunk_id": "0d9b6a3c-7f41-5e2a-8c55-1b2c3d4e5f60",
    "start": 412,
    "end": 469,
    "page": 3,
    "heading_path": ["Leave policy", "Carry-over"],
    "revision": "9f86d081",
    "parsed_hash": "2c26b46b68ffc68ff99b453c1d304134",
    "parser": "pdf",
    "chunker": "headings/1 max_tokens=220 context_header=False",
    "model": "bundled:all-MiniLM-L6-v2@0123456789abcdef",
    "version": 7,
    "link": "https://wiki.example/hr/leave-policy",
    "metadata": {},
    "locations": [
        {
            "source": "intranet",
            "uri": "people/leave.html",
            "title": "Leave policy",
            "link": "https://intranet.example/people/leave.html",
            "doc_id": "b1f0c2d4-8a7e-5f36-9c21-4d5e6f7a8b9c",
            "start": 398,
            "end": 455,
            "similarity": 1.0,
        }
    ],
}


class SearchBody(BaseModel):
    """A question to one index."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"query": "How many days of leave can I carry over?", "k": 5},
                {"query": "ERR_4217", "k": 3, "filters": {"source": ["handbook"]}, "version": 7},
                {"query": "Who approves travel?", "neighbours": 1, "per_document": 2, "context_tokens": 1500},
            ]
        },
    )

    query: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)] = Field(
        description="The question, in words."
    )
    k: int = Field(default=10, ge=1, description="How many passages at most.")
    filters: dict[str, Filter] = Field(
        default_factory=dict,
        description="Field to value, to a list of which one must match, or to an object of operators.",
    )
    version: int | None = Field(
        default=None, ge=1, description="A published version instead of the live one."
    )
    explain: bool = Field(default=False, description="Say of each passage why it stands where it does.")
    parents: bool | None = Field(
        default=None, description="Show the section that a hierarchical chunk belongs to."
    )
    neighbours: int | None = Field(
        default=None, ge=0, le=20, description="Show so many chunks before and after each passage."
    )
    mmr_lambda: float | None = Field(
        default=None, ge=0, le=1, description="1 is relevance alone; less prefers unlike passages."
    )
    per_document: int | None = Field(
        default=None, ge=0, description="At most so many passages of one document; 0 is any number."
    )
    context_tokens: int | None = Field(
        default=None,
        ge=0,
        le=200_000,
        description="Make a text for a prompt of the passages, of so many tokens at most; 0 makes none.",
    )
    passages_when_unanswerable: bool = Field(
        default=False, description="Answer the best passages even where they do not answer the question."
    )

    def options(self) -> Options:
        """What the request says of its answer against the index's `retrieval.context`."""
        return Options(self.parents, self.neighbours, self.mmr_lambda, self.per_document, self.context_tokens)


class LocationBody(BaseModel):
    """Another document in which a passage stands, or nearly, that the principal may read too.

    `start` and `end` are null where only its document is known to be a near-duplicate, as one that is collapsed is.
    """

    source: str
    uri: str
    title: str | None
    link: str | None
    doc_id: str
    start: int | None
    end: int | None
    similarity: float = Field(description="1 for the same text.")


class PlacedBody(BaseModel):
    """The score that one ranking gave a passage, and its rank there, from 1."""

    score: float
    rank: int


class ExplanationBody(BaseModel):
    """Why a passage stands where it does; null where a ranking does not hold it, or was not made."""

    dense: PlacedBody | None
    sparse: PlacedBody | None
    fused: PlacedBody | None
    rerank: PlacedBody | None
    matched: list[str] = Field(description="The terms that it shares with the question, as analyzed.")


class RerankingBody(BaseModel):
    """What the configured reranker did; `applied` is false where time ran out and the fused order stands."""

    model: str
    passages: int
    applied: bool


class MatchedBody(BaseModel):
    """A chunk that was found inside a passage that shows more."""

    chunk_id: str
    start: int
    end: int
    page: int | None


class ContextCitationBody(BaseModel):
    """One numbered part of a context: `start` and `end` slice the document's text, the others the context's."""

    number: int
    ranks: list[int] = Field(description="Of the passages that it is made of.")
    title: str | None
    source: str
    uri: str
    link: str | None
    doc_id: str
    page: int | None
    heading_path: list[str]
    revision: str
    parsed_hash: str
    version: int
    start: int
    end: int
    text_start: int
    text_end: int


class ContextBody(BaseModel):
    """Passages as one text for a prompt, each between fences with the nonce; `tokens` are the embedding model's."""

    text: str
    tokens: int
    nonce: str | None
    citations: list[ContextCitationBody]


class PassageBody(BaseModel):
    """One passage and where it stands: `start` and `end` slice the document's stored text."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE_PASSAGE]})

    rank: int
    score: float
    text: str
    title: str | None
    source: str
    uri: str
    doc_id: str
    chunk_id: str
    start: int
    end: int
    page: int | None
    heading_path: list[str]
    revision: str
    parsed_hash: str
    parser: str
    chunker: str
    model: str
    version: int
    link: str | None
    matched: list[MatchedBody] | None = Field(
        default=None, description="Best first; only where the passage shows more than what was found."
    )
    injection: InjectionBody | None = None
    metadata: dict[str, Any]
    locations: list[LocationBody] = Field(description="Most similar first, one a document.")
    explanation: ExplanationBody | None = Field(default=None, description="Where the request asks for it.")


class RewritingBody(BaseModel):
    """Whether a model's query was used, and if not, why."""

    model: str
    used: bool
    reason: str | None


class UnderstandingBody(BaseModel):
    """What was asked instead of the question: corrected words, synonyms added, other phrasings fused with it."""

    question: str
    corrections: dict[str, str]
    expansions: dict[str, list[str]]
    phrasings: list[str]
    rewriting: RewritingBody | None = None


class SearchAnswer(BaseModel):
    """Passages of exactly one index version, best first.

    Where `answerable` is false there are none, unless they were asked for.
    """

    index: str
    version: int
    variant: str | None = Field(default=None, description="Other settings of retrieval, that a flag chose.")
    reranking: RerankingBody | None = Field(default=None, description="Where the index has a reranker.")
    understanding: UnderstandingBody | None = Field(
        default=None, description="Where the index does anything to questions."
    )
    confidence: float | None = Field(
        default=None, description="From 0 to 1, that the index answers this; null where it does not judge."
    )
    answerable: bool | None = Field(default=None, description="Whether `confidence` is high enough.")
    passages: list[PassageBody]
    context: ContextBody | None = Field(default=None, description="Where request or index ask for it.")


class IndexBody(BaseModel):
    """An index and its live version; null where nothing is published yet."""

    index: str
    description: str | None
    version: int | None
    published_at: str | None
    documents: int | None = None
    chunks: int | None = None


class IndexList(BaseModel):
    """Every configured index."""

    indexes: list[IndexBody]


class Problem(BaseModel):
    """An error as RFC 9457 problem details."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    instance: str | None = None
    errors: list[dict[str, Any]] | None = None

"""What the service answers about searches, answers and documents. Each names its request by `request_id`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """Another document in which a passage stands, or nearly; the span is None where only the document is known."""

    source: str
    uri: str
    doc_id: str
    similarity: float
    title: str | None = None
    link: str | None = None
    start: int | None = None
    end: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Matched:
    """A chunk that was found inside a passage that shows more."""

    chunk_id: str
    start: int
    end: int
    page: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A passage and where it stands: `start` and `end` slice the document's text, which `document` gives."""

    rank: int
    score: float
    text: str
    source: str
    uri: str
    doc_id: str
    chunk_id: str
    start: int
    end: int
    revision: str
    version: int
    title: str | None = None
    link: str | None = None
    page: int | None = None
    heading_path: tuple[str, ...] = ()
    parsed_hash: str = ""
    parser: str = ""
    chunker: str = ""
    model: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    locations: tuple[Location, ...] = ()
    matched: tuple[Matched, ...] = ()
    explanation: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextCitation:
    """A numbered part of a context: `text_start` and `text_end` slice the context's text."""

    number: int
    source: str
    uri: str
    doc_id: str
    start: int
    end: int
    text_start: int
    text_end: int
    ranks: tuple[int, ...] = ()
    title: str | None = None
    link: str | None = None
    page: int | None = None
    heading_path: tuple[str, ...] = ()
    revision: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Passages as one text for a prompt."""

    text: str
    tokens: int
    citations: tuple[ContextCitation, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """Passages of exactly one version, best first; none where `answerable` is False."""

    index: str
    version: int
    passages: tuple[Passage, ...]
    confidence: float | None = None
    answerable: bool | None = None
    context: Context | None = None
    understanding: dict[str, Any] | None = None
    reranking: dict[str, Any] | None = None
    variant: Any = None
    request_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Citation:
    """What a sentence of an answer rests on, by `number`; the span slices the document's text."""

    number: int
    source: str
    uri: str
    doc_id: str
    chunk_id: str
    start: int
    end: int
    text: str = ""
    title: str | None = None
    link: str | None = None
    page: int | None = None
    heading_path: tuple[str, ...] = ()
    revision: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """One sentence and the numbers of its citations; `supported` is False where they do not bear it out."""

    text: str
    citations: tuple[int, ...] = ()
    supported: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One provider that was asked, and what came of it."""

    provider: str
    outcome: str
    seconds: float = 0.0
    detail: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """Who wrote an answer, after which attempts."""

    name: str
    model: str | None = None
    attempts: tuple[Attempt, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens, and their cost in the currency that the service is configured with."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """The template that was filled, and the hash of its file."""

    template: str = ""
    hash: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer in sentences with citations; where `answerable` is False, `reason` says why there is none."""

    index: str
    version: int
    answerable: bool
    text: str = ""
    sentences: tuple[Sentence, ...] = ()
    citations: tuple[Citation, ...] = ()
    confidence: float | None = None
    provider: Provider | None = None
    usage: Usage = Usage()
    prompt: Prompt = Prompt()
    reason: str | None = None
    variant: Any = None
    request_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerStart:
    """The first of a streamed answer: what its sentences may cite."""

    index: str
    version: int
    citations: tuple[Citation, ...] = ()
    request_id: str = ""


AnswerEvent = AnswerStart | Sentence | Answer
"""A streamed answer: one AnswerStart, a Sentence each, and at the end the whole Answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """What was kept of it."""

    id: int | str
    index: str
    version: int | None = None
    variant: Any = None
    request_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentEntry:
    """A document of an index that the caller may read."""

    doc_id: str
    source: str
    uri: str
    title: str | None = None
    link: str | None = None
    classification: str | None = None
    chunks: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentPage:
    """Some of them; `next` is the cursor of those that follow, None on the last page."""

    index: str
    version: int
    documents: tuple[DocumentEntry, ...]
    next: str | None = None
    request_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A document with the stored text to which the spans of its citations refer."""

    doc_id: str
    text: str
    source: str = ""
    uri: str = ""
    index: str = ""
    version: int | None = None
    title: str | None = None
    link: str | None = None
    classification: str | None = None
    chunks: int | None = None
    request_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """How a question may go on."""

    text: str
    kind: str | None = None
    count: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestions:
    """Best first."""

    suggestions: tuple[Suggestion, ...]
    request_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FacetValue:
    """A value of a field and how many documents or passages that the caller may read have it."""

    value: Any
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Facets:
    """Field -> its values, most frequent first."""

    total: int
    facets: dict[str, tuple[FacetValue, ...]]
    request_id: str = ""

"""What the service answers to searches and questions. Each names its request by `request_id`."""

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
    """Who wrote an answer, after which attempts; no name where nobody was asked."""

    name: str | None = None
    model: str | None = None
    attempts: tuple[Attempt, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens of all attempts, and their cost where the service knows prices."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float | None = None
    currency: str | None = None
    estimated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """The template that was filled, and the hash of its file; None where no prompt was made."""

    template: str | None = None
    hash: str | None = None


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
    dropped: int = 0
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

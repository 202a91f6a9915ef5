"""What an answer is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from rag_pipelines.core.types import Classification, Passage

CITED = ("source", "uri", "link", "doc_id", "chunk_id", "start", "end", "page", "heading_path", "revision")


@dataclass(frozen=True, slots=True)
class Draft:
    """A sentence as a provider wrote it, without its markers: `citations` number passages, from 1.

    `invented` counts numbers that no passage has.
    """

    text: str
    citations: tuple[int, ...]
    invented: int = 0


@dataclass(frozen=True, slots=True)
class Tokens:
    """Of one call. `estimated` where the endpoint did not say and they were counted here."""

    prompt: int = 0
    completion: int = 0
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class Finish:
    """The end of what a provider wrote: all of it, and the tokens where it counts them itself.

    `cut` where its limit of tokens ended it; the sentence that it was in is left out.
    """

    written: str
    tokens: Tokens | None
    model: str | None = None
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Prompt:
    """The two messages, and of which template they are made: `hash` is the sha256 of its file."""

    template: str
    hash: str
    system: str
    user: str


@dataclass(frozen=True, slots=True)
class Task:
    """What a provider is given. The first passage has number 1; `prompt` is there for those that read one.

    `withheld` are the numbers of passages that this provider does not see; `remade` makes the prompt without some.
    """

    question: str
    passages: Sequence[Passage]
    prompt: Prompt | None = None
    stream: bool = False
    withheld: frozenset[int] = frozenset()
    remade: Callable[[frozenset[int]], Prompt] | None = None

    def within(self, ceiling: Classification | None) -> Task:
        """The same less passages above the ceiling or of no known tier; the others keep their numbers."""
        if ceiling is None:
            return self
        above = frozenset(
            number
            for number, passage in enumerate(self.passages, 1)
            if passage.classification is None or passage.classification.rank > ceiling.rank
        )
        if not above:
            return self
        return replace(self, withheld=above, prompt=self.remade(above) if self.remade is not None else None)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call, or why there was none. `detail` never holds a text of question, passages or answer."""

    provider: str
    outcome: str
    seconds: float
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Of all calls of a request; `cost` is None where a provider that was called has no prices."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float | None = 0.0
    currency: str | None = None
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class Bill:
    """What one call took. `model` is the configured one; `cost` is None where the provider has no prices."""

    provider: str
    model: str
    tokens: Tokens
    cost: float | None


@dataclass(frozen=True, slots=True)
class Written:
    """Who wrote an answer, after which attempts; `template` and `hash` are None where no prompt was made.

    `bills` are of the calls that `usage` sums up.
    """

    provider: str | None = None
    model: str | None = None
    attempts: tuple[Attempt, ...] = ()
    usage: Usage = field(default_factory=Usage)
    template: str | None = None
    hash: str | None = None
    bills: tuple[Bill, ...] = ()


@dataclass(frozen=True, slots=True)
class Sentence:
    """A checked sentence; `citations` are numbers of passages, ascending."""

    text: str
    citations: tuple[int, ...]
    supported: bool

    def as_json(self) -> dict[str, Any]:
        """As events and answers carry it."""
        return {"text": self.text, "citations": list(self.citations), "supported": self.supported}


@dataclass(frozen=True, slots=True)
class Answered:
    """A whole answer. `passages` are those that were offered to the provider, the first of them number 1.

    `reason` says why there is no answer, or why it is not all that was wanted; `dropped` counts sentences left out.
    `variant` names the settings of the search, where they are not the index's own.
    """

    index: str
    version: int
    answerable: bool
    confidence: float | None
    text: str
    sentences: tuple[Sentence, ...]
    passages: tuple[Passage, ...]
    written: Written
    reason: str | None
    dropped: int = 0
    variant: str | None = None

    @property
    def cited(self) -> tuple[int, ...]:
        """The numbers that occur in the sentences, ascending."""
        return tuple(sorted({number for sentence in self.sentences for number in sentence.citations}))

    def as_json(self) -> dict[str, Any]:
        """What the service and `answer --json` print, less the id of the request."""
        judged = {} if self.confidence is None else {"confidence": round(self.confidence, 6)}
        chosen = {} if self.variant is None else {"variant": self.variant}
        written = self.written
        return {
            "index": self.index,
            "version": self.version,
            "answerable": self.answerable,
            **judged,
            "text": self.text,
            "sentences": [sentence.as_json() for sentence in self.sentences],
            "citations": [citation_json(number, self.passages[number - 1]) for number in self.cited],
            "provider": {
                "name": written.provider,
                "model": written.model,
                "attempts": [asdict(attempt) for attempt in written.attempts],
            },
            "usage": asdict(written.usage),
            "prompt": {"template": written.template, "hash": written.hash},
            "dropped": self.dropped,
            "reason": self.reason,
            **chosen,
        }


def citation_json(number: int, passage: Passage) -> Mapping[str, Any]:
    """A numbered passage as events and answers carry it."""
    found = {name: getattr(passage.citation, name) for name in CITED}
    found["heading_path"] = list(found["heading_path"])
    return {"number": number, "title": passage.title, **found, "text": passage.text}


def marked(sentences: Sequence[Sentence]) -> str:
    """The sentences as one text, the numbers that each cites in front of the mark that ends it."""
    return " ".join(_with_numbers(sentence) for sentence in sentences)


def _with_numbers(sentence: Sentence) -> str:
    if not sentence.citations:
        return sentence.text
    numbers = f" [{', '.join(map(str, sentence.citations))}]"
    bare = sentence.text.rstrip(".!?…。！？")
    return f"{bare}{numbers}{sentence.text[len(bare) :]}"

"""What is done to a question before it is asked. All of it is off unless configured."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from rag_pipelines.config.base import Model, check_endpoint

Phrase = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Phrasing = Literal["synonyms", "keywords", "rewriting"]
PROMPT = (
    "Rewrite the question as a search query for a document index: spell words out, resolve abbreviations, name "
    "what is meant, drop greetings. Keep its language, names, numbers and identifiers. Answer with the query alone."
)


class SynonymsConfig(Model):
    """Words and phrases that stand for others; compared word by word, in any case.

    What the analyzer drops as a function word is a phrase only in capitals as it is written here: IT, US.
    """

    two_way: tuple[tuple[Phrase, ...], ...] = Field(default=(), description="groups that mean the same")
    one_way: dict[Phrase, tuple[Phrase, ...]] = Field(
        default_factory=dict, description="phrase -> what is looked for as well"
    )
    file: str | None = Field(
        default=None, min_length=1, description="more of them, a line each: `a, b, c` or `a => b, c`"
    )
    weight: float = Field(
        default=0.5,
        gt=0,
        le=10,
        description="of an added term in the sparse search; a term of the question has 1",
    )
    dense: bool = Field(default=False, description="whether the dense model reads the added words too")

    @model_validator(mode="after")
    def _groups(self) -> SynonymsConfig:
        for group in self.two_way:
            if len(group) < 2:
                raise ValueError(f"two_way holds a group of fewer than two: {list(group)}")
        if not (self.two_way or self.one_way or self.file):
            raise ValueError("holds no synonyms; give two_way, one_way or file, or leave the section out")
        return self


class SpellingConfig(Model):
    """Words that stand in no readable passage are replaced by a near one that does.

    Never replaced: words in quotation marks, and what has a digit, a sign or a capital within.
    """

    min_length: int = Field(default=5, ge=3, description="shorter words are left as they are")
    two_edits_from: int = Field(
        default=9, ge=3, description="length from which two edits are allowed instead of one"
    )
    min_passages: int = Field(
        default=2, ge=1, le=100, description="readable passages in which the other word stands at least"
    )
    seconds: float = Field(
        default=2.0,
        gt=0,
        le=60,
        description="for reading the vocabulary, once a version and group of readers; what was read counts",
    )
    max_words: int = Field(
        default=200_000, ge=1000, description="words that are kept, the more frequent first"
    )


class PhrasingsConfig(Model):
    """Several phrasings of a question, each searched, their rankings fused by reciprocal rank."""

    sources: tuple[Phrasing, ...] = Field(
        min_length=1, description="synonyms put in place, function words left out, what a model wrote"
    )
    most: int = Field(default=3, ge=1, le=10, description="phrasings besides the question itself")
    rrf_k: int = Field(default=60, ge=1)


class RewritingConfig(Model):
    """A language model that writes the question anew; the question alone goes there, nothing of the index."""

    base_url: Annotated[str, AfterValidator(check_endpoint)] = Field(
        description="of an OpenAI-compatible endpoint, up to and with /v1"
    )
    model: str = Field(min_length=1)
    api_key_env: str | None = Field(
        default=None, pattern=r"^[A-Z][A-Z0-9_]*$", description="NAME of the variable holding the key"
    )
    timeout_seconds: float = Field(
        default=3.0, gt=0, le=60, description="after which the question is asked as it was"
    )
    prompt: str = Field(default=PROMPT, min_length=1)


class QueryConfig(Model):
    """What is done to a question before it is asked."""

    synonyms: SynonymsConfig | None = None
    spelling: SpellingConfig | None = None
    phrasings: PhrasingsConfig | None = None
    rewriting: RewritingConfig | None = None

    @property
    def active(self) -> bool:
        """Whether anything is configured."""
        return any((self.synonyms, self.spelling, self.phrasings, self.rewriting))

    @model_validator(mode="after")
    def _complete(self) -> QueryConfig:
        wanted = self.phrasings.sources if self.phrasings else ()
        for source, section in (("synonyms", self.synonyms), ("rewriting", self.rewriting)):
            if source in wanted and section is None:
                raise ValueError(f"phrasings come from {source}, which has no section here; add it")
        return self

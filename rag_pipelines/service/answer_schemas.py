"""Requests and responses of the route that answers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from rag_pipelines.service.schemas import Filter, SearchBody

K = 8


class AnswerBody(BaseModel):
    """A question that is to be answered from one index."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"query": "How many days of leave can I carry over?"},
                {
                    "query": "Who approves travel?",
                    "k": 5,
                    "filters": {"source": ["handbook"]},
                    "stream": True,
                },
                {"query": "What does ERR_4217 mean?", "version": 7, "unsupported": "mark"},
            ]
        },
    )

    query: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)] = Field(
        description="The question, in words."
    )
    k: int = Field(default=K, ge=1, description="From how many passages at most.")
    filters: dict[str, Filter] = Field(
        default_factory=dict, description="As of a search: only what matches is read."
    )
    version: int | None = Field(
        default=None, ge=1, description="A published version instead of the live one."
    )
    stream: bool = Field(default=False, description="Answer with events as sentences are written.")
    unsupported: Literal["drop", "mark"] | None = Field(
        default=None,
        description="What becomes of sentences that their citations do not support; null leaves it to the service.",
    )

    def search(self, max_k: int) -> SearchBody:
        """The search that the answer is made from."""
        k = self.k if "k" in self.model_fields_set else min(K, max_k)
        return SearchBody(query=self.query, k=k, filters=self.filters, version=self.version)


class SentenceBody(BaseModel):
    """A sentence, and the numbers of the citations that it rests on."""

    text: str
    citations: list[int]
    supported: bool = Field(description="By shared terms, numbers and closeness: a proxy, not a proof.")


class NumberedBody(BaseModel):
    """A passage by its number: `start` and `end` slice the document's stored text."""

    number: int
    title: str | None
    source: str
    uri: str
    link: str | None
    doc_id: str
    chunk_id: str
    start: int
    end: int
    page: int | None
    heading_path: list[str]
    revision: str
    text: str


class AttemptBody(BaseModel):
    """One call of a provider, or why there was none."""

    provider: str
    outcome: str = Field(
        description="ok, unreachable, timeout, rate_limited, server_error, refused, garbage, empty, cut, too_long, "
        "no_key, passed_over, no_time or withheld."
    )
    seconds: float
    detail: str | None = Field(description="Why, and how many passages this provider was not to see.")


class ProviderBody(BaseModel):
    """Who wrote the answer; null where nobody was asked."""

    name: str | None
    model: str | None
    attempts: list[AttemptBody]


class UsageBody(BaseModel):
    """Of all attempts; `cost` is null where prices are not configured."""

    prompt_tokens: int
    completion_tokens: int
    cost: float | None
    currency: str | None
    estimated: bool = Field(description="Whether tokens were counted here, not by the provider.")


class PromptBody(BaseModel):
    """The template and the sha256 of its file; null where no prompt was made."""

    template: str | None
    hash: str | None


class AnswerResponse(BaseModel):
    """An answer whose sentences were checked against what they cite, or why there is none."""

    request_id: str
    index: str
    version: int
    answerable: bool
    confidence: float | None = Field(default=None, description="As of a search; only where the index judges.")
    text: str = Field(description="The sentences with the numbers of their citations.")
    sentences: list[SentenceBody]
    citations: list[NumberedBody] = Field(description="Those that sentences name, ascending.")
    provider: ProviderBody
    usage: UsageBody
    prompt: PromptBody
    dropped: int = Field(description="Sentences that were left out as unsupported.")
    reason: str | None = Field(description="Why there is no answer, or not all that was wanted.")
    variant: str | None = Field(default=None, description="Other settings of retrieval, that a flag chose.")

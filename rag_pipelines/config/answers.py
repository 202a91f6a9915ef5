"""`answers` in `configs/service.yaml`: who writes answers, and what one may cost and must be supported by."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from rag_pipelines.config.base import Model, Name, check_endpoint
from rag_pipelines.core.types import Classification

EXTRACTIVE = "extractive"


class PricesConfig(Model):
    """What an endpoint bills, for the accounting alone."""

    prompt: float = Field(ge=0, description="of a million tokens that are sent")
    completion: float = Field(ge=0, description="of a million tokens that are written")
    currency: str = Field(default="USD", min_length=1, max_length=8)


class ProviderConfig(Model):
    """A language model behind an OpenAI-compatible chat endpoint: vLLM, llama.cpp, Azure, OpenAI and others."""

    name: Name
    base_url: Annotated[str, AfterValidator(check_endpoint)] = Field(
        description="up to where /chat/completions follows, usually with /v1"
    )
    model: str = Field(min_length=1)
    api: Literal["openai", "azure"] = Field(
        default="openai", description="how the key is sent: as a bearer token, or in the header api-key"
    )
    api_key_env: str | None = Field(
        default=None, pattern=r"^[A-Z][A-Z0-9_]*$", description="NAME of the variable holding the key"
    )
    api_version: str | None = Field(default=None, min_length=1, description="of Azure, sent as api-version")
    connect_seconds: float = Field(default=2.0, gt=0, le=60)
    read_seconds: float = Field(default=15.0, gt=0, le=600, description="without a byte arriving")
    seconds: float = Field(default=25.0, gt=0, le=600, description="for one call as a whole")
    max_tokens: int = Field(default=600, ge=1, le=100_000, description="that an answer may have")
    limit_field: Literal["max_tokens", "max_completion_tokens"] = Field(
        default="max_tokens", description="what the endpoint calls that limit"
    )
    temperature: float | None = Field(default=0.0, ge=0, le=2, description="null sends none")
    stream_usage: bool = Field(default=True, description="ask for token counts at the end of a stream")
    prices: PricesConfig | None = None
    max_classification: Classification | None = Field(
        default=None, description="passages above it are not sent to this provider"
    )

    @model_validator(mode="after")
    def _named(self) -> ProviderConfig:
        if self.name == EXTRACTIVE:
            raise ValueError(f"name: {EXTRACTIVE} is the provider that needs no model; choose another")
        if self.api == "azure" and self.api_version is None:
            raise ValueError("api_version is needed with api: azure")
        return self


class BreakerConfig(Model):
    """When a provider that fails is passed over without being asked."""

    failures: int = Field(default=3, ge=1, le=100, description="one after the other")
    seconds: float = Field(default=20.0, gt=0, le=3600, description="after which it is tried again, once")


class SupportConfig(Model):
    """When a sentence counts as supported by the passages that it cites."""

    terms_weight: float = Field(
        default=0.75, ge=0, le=1, description="of shared terms; the rest is of the cosine, 1 embeds nothing"
    )
    threshold: float = Field(default=0.65, ge=0, le=1, description="that their weighted mean must reach")
    numbers: bool = Field(
        default=True, description="whether every number of the sentence must stand in a cited passage"
    )
    names: bool = Field(
        default=False, description="whether every capitalised word within it must stand there"
    )


class ExtractiveConfig(Model):
    """The provider that needs no model: it quotes sentences of the passages."""

    sentences: int = Field(default=3, ge=1, le=20, description="quoted at most")
    nearness: float = Field(
        default=0.75, ge=0, le=1, description="share of the best sentence's score that others must have"
    )


class AnswersConfig(Model):
    """Without providers, answers are extractive."""

    providers: tuple[ProviderConfig, ...] = Field(
        default=(), description="the first is asked first, the others where those before them fail"
    )
    fallback: Literal["none", "extractive"] = Field(
        default="none", description="what is answered where all of them fail: a problem, or sentences quoted"
    )
    seconds: float = Field(default=40.0, gt=0, le=600, description="that all calls of one request may take")
    retries: int = Field(default=2, ge=0, le=20, description="that all providers of one request share")
    longest_wait_seconds: float = Field(
        default=2.0,
        ge=0,
        le=60,
        description="before a retry; where a provider asks for more, the next is asked",
    )
    breaker: BreakerConfig = Field(default_factory=BreakerConfig)
    template: str = Field(
        default="answer.v1", min_length=1, description="one that is bundled, or the path of your own .jinja"
    )
    passage_tokens: int = Field(
        default=3000,
        ge=50,
        le=200_000,
        description="of passages in a prompt at most, as the index counts them",
    )
    max_answer_chars: int = Field(default=20_000, ge=100, le=1_000_000, description="longer is a failure")
    unsupported: Literal["drop", "mark"] = Field(
        default="drop", description="what becomes of a sentence that its citations do not support"
    )
    support: SupportConfig = Field(default_factory=SupportConfig)
    extractive: ExtractiveConfig = Field(default_factory=ExtractiveConfig)

    @model_validator(mode="after")
    def _distinct(self) -> AnswersConfig:
        names = [provider.name for provider in self.providers]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"providers: {twice[0]} is the name of two")
        return self

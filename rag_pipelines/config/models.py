"""Shapes of the configuration files. Frozen, no unknown keys, secrets only as names of environment variables."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    StringConstraints,
    model_validator,
)

from rag_pipelines.config.base import Model, Name, check_endpoint
from rag_pipelines.config.dedup import DedupConfig, SourceDedup
from rag_pipelines.config.filtering import FieldType, FilterFields, named_type
from rag_pipelines.config.gates import GatesConfig
from rag_pipelines.config.isolation import Tenant, Tenants, check_isolation
from rag_pipelines.config.retrieval import RetrievalConfig
from rag_pipelines.core.types import Classification, Distance

_ACL_ENTRY = r"^(\*|(user|group):\S+)$"
_CRON = r"^(@(hourly|daily|midnight|weekly|monthly|yearly|annually)|\S+(\s+\S+){4})$"
_DURATION = r"^([0-9]+)\s*(s|m|h|d|w)$"
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def parse_duration(value: object) -> timedelta:
    """`90s`, `15m`, `6h`, `2d` or `1w`; a bare number has no unit (and YAML reads 1:30 as 90), so it is refused."""
    if isinstance(value, timedelta):
        return value
    match = re.match(_DURATION, value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError("is not a duration; write a number and s, m, h, d or w, such as 15m")
    try:
        duration = timedelta(**{_UNITS[match[2]]: int(match[1])})
    except OverflowError as error:
        raise ValueError("is too long a duration") from error
    if not duration:
        raise ValueError("must be longer than zero")
    return duration


def _check_cron(value: str) -> str:
    if not re.match(_CRON, value):
        raise ValueError("is not a cron expression; write five fields such as */15 * * * *, or @daily")
    return value


def _check_acl_entry(value: str) -> str:
    if not re.match(_ACL_ENTRY, value):
        raise ValueError(f"{value!r} is not group:NAME, user:NAME or *")
    return value


def _check_uri_pattern(value: str) -> str:
    try:
        pattern = re.compile(value)
    except re.error as error:
        raise ValueError(f"is not a regular expression ({error})") from error
    if not pattern.groupindex:
        raise ValueError("names no metadata; write it as a named group, such as ^v(?P<version>[^/]+)/")
    return value


def _none_of_none(value: object) -> object:
    """`gates: []`, as an index without any may say."""
    return None if value in ([], ()) else value


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration, json_schema_input_type=Annotated[str, Field(pattern=_DURATION)]),
    PlainSerializer(lambda value: f"{int(value.total_seconds())}s", return_type=str),
]


Cron = Annotated[str, AfterValidator(_check_cron), Field(json_schema_extra={"pattern": _CRON})]
AclEntry = Annotated[str, AfterValidator(_check_acl_entry), Field(json_schema_extra={"pattern": _ACL_ENTRY})]


Verbatim = Annotated[str, StringConstraints(strip_whitespace=False)]


class Freshness(Model):
    """How old the newest successful sync of a source may be before the UI warns and fails."""

    warn_after: Duration | None = None
    fail_after: Duration

    @model_validator(mode="after")
    def _ordered(self) -> Freshness:
        if self.warn_after is not None and self.warn_after >= self.fail_after:
            raise ValueError("warn_after must be shorter than fail_after")
        return self


class ChunkingRule(Model):
    """How one kind of document is cut; sizes count the embedding model's own tokens."""

    strategy: Literal["headings", "tokens", "sentences", "hierarchical"] = "headings"
    max_tokens: int = Field(default=220, ge=16, le=8192, description="largest chunk that is embedded")
    overlap_tokens: int = Field(default=0, ge=0, description="tokens strategy: shared by neighbours")
    window_sentences: int = Field(default=5, ge=1, description="sentences strategy: sentences a chunk")
    stride_sentences: int = Field(default=4, ge=1, description="sentences strategy: step of the window")
    parent_tokens: int = Field(default=880, ge=32, description="hierarchical: size of the parent section")
    context_header: bool = Field(
        default=False, description="embed `title > headings` in front of the chunk's text"
    )

    @model_validator(mode="after")
    def _consistent(self) -> ChunkingRule:
        if self.overlap_tokens * 2 > self.max_tokens:
            raise ValueError("overlap_tokens must be at most half of max_tokens")
        if self.stride_sentences > self.window_sentences:
            raise ValueError("stride_sentences must not exceed window_sentences, or text is lost")
        if self.strategy == "hierarchical" and self.parent_tokens < self.max_tokens:
            raise ValueError("parent_tokens must be at least max_tokens")
        return self


class Chunking(ChunkingRule):
    """A source's rule, with other rules for some media types (exact, or `text/*`)."""

    by_media_type: dict[str, ChunkingRule] = Field(default_factory=dict)

    def rule_for(self, media_type: str) -> ChunkingRule:
        """The most specific rule: exact media type, then its family, then the source's own."""
        for key in (media_type, media_type.split("/", maxsplit=1)[0] + "/*"):
            if key in self.by_media_type:
                return self.by_media_type[key]
        own = self.model_dump(exclude={"by_media_type"})
        return ChunkingRule.model_validate(own)


class ParsingLimits(Model):
    """What one document may cost before it is quarantined."""

    max_bytes: int = Field(default=64 * 2**20, ge=1, description="size of the file")
    seconds: float = Field(default=60.0, gt=0, description="wall clock a document")
    memory_mb: int = Field(default=1536, ge=256, description="address space of a worker above its base")
    max_text_chars: int = Field(default=50_000_000, ge=1, description="length of the extracted text")


class SourceLimits(Model):
    """Brakes of a source."""

    max_delete_fraction: float = Field(default=0.2, ge=0, le=1)
    max_delete_floor: int = Field(default=10, ge=0)


class SourceConfig(Model):
    """One file of `configs/sources/`; `params` is checked against the connector's own model."""

    source: Name
    connector: str
    params: dict[str, Any]
    tenant: Tenant
    classification: Classification = Classification.INTERNAL
    acl: tuple[AclEntry, ...] = Field(
        default=(), description="who may read: group:NAME, user:NAME or * for everyone of the tenant"
    )
    owner: str | None = Field(default=None, description="e-mail or team shown in the UI")
    description: str | None = None
    metadata: dict[str, str | int | float | bool] = Field(
        default_factory=dict, description="of every document, unless its uri or the connector says otherwise"
    )
    uri_metadata: Annotated[str, AfterValidator(_check_uri_pattern)] | None = Field(
        default=None, description="regular expression searched in the uri; its named groups become metadata"
    )
    shards: int = Field(
        default=16, ge=1, le=64, description="partitions in Dagster; changing it recomputes nothing"
    )
    schedule: Cron | None = Field(default=None, description="cron expression of the sync")
    freshness: Freshness | None = None
    chunking: Chunking = Chunking()
    parsing: ParsingLimits = ParsingLimits()
    limits: SourceLimits = SourceLimits()
    dedup: SourceDedup = SourceDedup()


class OpenAIEmbedding(Model):
    """An OpenAI-compatible embeddings endpoint."""

    base_url: Annotated[str, AfterValidator(check_endpoint)] = Field(description="up to and with /v1")
    api_key_env: str | None = Field(
        default=None, pattern=r"^[A-Z][A-Z0-9_]*$", description="NAME of the variable holding the key"
    )
    dimension: int = Field(ge=1, le=65536)
    max_tokens: int = Field(default=8191, ge=16)
    batch_size: int = Field(default=64, ge=1, le=2048)
    timeout_seconds: float = Field(default=30.0, gt=0)
    max_attempts: int = Field(default=6, ge=1)


class EmbeddingConfig(Model):
    """The dense model of an index; changing it builds a new collection.

    `model` is `bundled:all-MiniLM-L6-v2`, a sentence-transformers name or path, or, with
    `provider: openai`, the name the endpoint knows it by.
    """

    model: str = "bundled:all-MiniLM-L6-v2"
    provider: Literal["local", "openai"] = "local"
    backend: Literal["auto", "torch", "onnx", "openvino"] = "auto"
    precision: Literal["auto", "fp32", "bf16", "int8"] = "auto"
    batch_tokens: int = Field(default=3000, ge=64, description="padded tokens a batch")
    query_prefix: Verbatim = ""
    passage_prefix: Verbatim = ""
    distance: Distance = Distance.COSINE
    openai: OpenAIEmbedding | None = None

    @model_validator(mode="after")
    def _provider(self) -> EmbeddingConfig:
        if (self.provider == "openai") != (self.openai is not None):
            raise ValueError("provider: openai and the openai: section go together")
        return self


class SparseConfig(Model):
    """BM25 term vectors."""

    analyzer: Literal["english", "german", "spanish", "french", "italian", "dutch", "portuguese", "none"] = (
        "english"
    )
    k1: float = Field(default=1.2, ge=0)
    b: float = Field(
        default=0.4, ge=0, le=1, description="lower than for whole documents: the chunker evens out lengths"
    )


class IndexConfig(Model):
    """One file of `configs/indexes/`."""

    index: Name
    sources: tuple[str, ...] = ("*",)
    description: str | None = None
    tenant: Tenant | None = Field(
        default=None, description="holds documents of this tenant only, and exists for nobody else"
    )
    isolation: Literal["payload", "collection"] = Field(
        default="payload", description="tenants share a collection, or each of `tenants` has its own"
    )
    tenants: Tenants = Field(
        default_factory=dict, description="list, or part of a name -> tenant; each gets `index__name`"
    )
    embedding: EmbeddingConfig = EmbeddingConfig()
    sparse: SparseConfig | None = SparseConfig()
    retrieval: RetrievalConfig = RetrievalConfig()
    dedup: DedupConfig = DedupConfig()
    filter_fields: FilterFields = Field(
        default=(), description="metadata keys that queries may filter on; each gets a payload index"
    )
    publish: Literal["auto", "manual"] = "auto"
    retain_versions: int = Field(default=3, ge=1)
    gates: Annotated[GatesConfig | None, BeforeValidator(_none_of_none)] = Field(
        default=None, description="what a version must pass before it is published; without it, nothing"
    )

    @property
    def filter_types(self) -> dict[str, FieldType]:
        """Each of the `filter_fields` with its type."""
        return dict(map(named_type, self.filter_fields))

    @model_validator(mode="after")
    def _isolated(self) -> IndexConfig:
        check_isolation(self.isolation, self.tenant, self.tenants, self.index)
        return self

    @model_validator(mode="after")
    def _spellable(self) -> IndexConfig:
        if self.retrieval.query.spelling is not None and self.sparse is None:
            raise ValueError("retrieval.query.spelling looks words up by their terms, and sparse is null")
        return self

    def holds(self, tenant: str) -> bool:
        """Whether documents of the tenant belong into it, and its people may know of it."""
        return self.tenant in (None, tenant)

    def covers(self, source: str) -> bool:
        """Whether the index reads this source."""
        return "*" in self.sources or source in self.sources

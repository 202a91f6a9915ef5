"""Requests and responses about versions and sources."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from rag_pipelines.catalog.gates import GateState


class VersionBody(BaseModel):
    """One version: staging, staged, published, superseded, or vacuumed (no longer stored)."""

    number: int
    status: str
    live: bool
    created_at: str
    published_at: str | None
    parent: int | None
    documents: int | None
    chunks: int | None
    gate: GateState | None


class VersionList(BaseModel):
    """Versions of an index, newest first; `pinned` is where it is held, so that syncs publish nothing."""

    index: str
    version: int | None
    pinned: int | None
    versions: list[VersionBody]


class Latency(BaseModel):
    """Seconds from the earliest moment at which a change can have happened until readers saw it.

    `pipeline_p50` and `pipeline_p95` count from when a listing found it.
    """

    p50: float
    p95: float
    pipeline_p50: float
    pipeline_p95: float
    count: int


class SourceBody(BaseModel):
    """A source and how fresh it is; `latency` has edit_to_searchable, delete_to_invisible, revoke_to_invisible."""

    source: str
    description: str | None
    owner: str | None
    listed_at: str | None
    synced_at: str | None
    problem: bool
    warn_after_seconds: float | None
    fail_after_seconds: float | None
    latency: dict[str, Latency]


class SourceList(BaseModel):
    """Sources that the principal may know of."""

    sources: list[SourceBody]


class ReindexBody(BaseModel):
    """What to do again."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"uri_prefix": "hr/", "force": False}]},
    )

    uri_prefix: str = Field(
        default="", max_length=4096, description="Only documents whose uri begins with this."
    )
    force: bool = Field(default=False, description="Fetch, parse and cut again even where nothing changed.")


class ReindexRequest(BaseModel):
    """A request and what became of it: pending, started, done or failed."""

    id: int
    source: str
    uri_prefix: str
    force: bool
    status: str
    detail: str
    requested_at: str
    updated_at: str

"""What the service answers about indexes, versions and sources."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """An index and its live version; None where nothing is published yet."""

    index: str
    version: int | None = None
    description: str | None = None
    published_at: str | None = None
    documents: int | None = None
    chunks: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Indexes:
    """Every index that the caller may know of."""

    indexes: tuple[Index, ...]
    request_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version: staging, staged, published, superseded, or vacuumed."""

    number: int
    status: str
    live: bool = False
    created_at: str | None = None
    published_at: str | None = None
    parent: int | None = None
    documents: int | None = None
    chunks: int | None = None
    gate: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Versions:
    """Of one index, newest first; `version` is the live one, `pinned` where it is held."""

    index: str
    versions: tuple[Version, ...]
    version: int | None = None
    pinned: int | None = None
    request_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Seconds until a change was seen by readers, at two percentiles of `count` changes."""

    p50: float
    p95: float
    count: int
    pipeline_p50: float | None = None
    pipeline_p95: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A source, its promise and how fresh it is."""

    source: str
    description: str | None = None
    owner: str | None = None
    listed_at: str | None = None
    synced_at: str | None = None
    problem: bool = False
    warn_after_seconds: float | None = None
    fail_after_seconds: float | None = None
    latency: dict[str, Latency] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Those that the caller may know of."""

    sources: tuple[Source, ...]
    request_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reindex:
    """A request to do a source again: pending, started, done or failed with the `detail`."""

    id: int
    source: str
    status: str
    uri_prefix: str = ""
    force: bool = False
    detail: str = ""
    requested_at: str | None = None
    updated_at: str | None = None
    request_id: str = ""

"""`limits` and `cache` of `configs/service.yaml`: what callers may ask of the service, and what it remembers."""

from __future__ import annotations

from pydantic import Field

from rag_pipelines.config.base import Model

MEGABYTE = 2**20


class RateConfig(Model):
    """A token bucket: `burst` requests at once, then `per_second` of them."""

    per_second: float = Field(gt=0, le=100_000)
    burst: int = Field(ge=1, le=1_000_000)


class LimitsConfig(Model):
    """What the service takes on at once, for how long, and how often it may be asked."""

    concurrency: int = Field(default=8, ge=1, le=256)
    waiting: int = Field(default=32, ge=0, le=10_000)
    wait_seconds: float = Field(default=1.0, gt=0, le=60)
    timeout_seconds: float = Field(default=30.0, gt=0, le=3600)
    answer_timeout_seconds: float = Field(default=120.0, gt=0, le=3600)
    body_seconds: float = Field(default=10.0, gt=0, le=600)
    head_seconds: float = Field(default=10.0, gt=0, le=600)
    keep_alive_seconds: float = Field(default=15.0, ge=1, le=3600)
    connections: int = Field(default=1000, ge=10, le=100_000)
    drain_seconds: float = Field(default=1.0, ge=0, le=300)
    shutdown_seconds: float = Field(default=20.0, ge=0, le=3600)
    per_credential: RateConfig | None = None
    per_tenant: RateConfig | None = None
    failed_attempts: RateConfig = RateConfig(per_second=0.5, burst=20)
    buckets: int = Field(default=10_000, ge=1, le=1_000_000)


class CacheConfig(Model):
    """What is kept in memory of what was asked; 0 keeps nothing of the kind."""

    result_megabytes: float = Field(default=64.0, ge=0, le=65_536)
    result_entries: int = Field(default=10_000, ge=1, le=10_000_000)
    result_seconds: float = Field(default=300.0, gt=0, le=86_400)
    embeddings: int = Field(default=10_000, ge=0, le=10_000_000)
    rewrites: int = Field(default=10_000, ge=0, le=10_000_000)
    rewrite_seconds: float = Field(default=3600.0, gt=0, le=604_800)

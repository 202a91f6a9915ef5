"""What Prometheus is told: a registry of the application's own, with labels whose values are few."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector

from rag_pipelines import __version__
from rag_pipelines.config.telemetry import TelemetryConfig
from rag_pipelines.retrieval.result import SearchResult

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
MOST_TENANTS = 200
"""Tenants with series of their own; the others are counted together, as `other`."""


class Metrics:
    """Counts and times; each method costs a few microseconds, and next to nothing where metrics are off.

    Labels are routes, indexes, variants, providers and models of the configuration, and tenants where that is
    configured. Never a subject, a query, a document or anything else that a caller can make up.
    """

    def __init__(self, config: TelemetryConfig) -> None:
        self.config = config
        self.registry = CollectorRegistry()
        self._tenants: set[str] = set()
        registry = self.registry
        tenant = ("tenant",) if config.tenant_label else ()
        self._requests = Counter(
            "rag_requests", "Requests that were answered.", ("method", "route", "status"), registry=registry
        )
        self._seconds = Histogram(
            "rag_request_seconds", "From the first byte read to the last one sent.", ("route",),
            buckets=BUCKETS, registry=registry,
        )  # fmt: skip
        self._stages = Histogram(
            "rag_stage_seconds", "Of a search or an answer in each stage, and in total.",
            ("index", "variant", "stage"), buckets=BUCKETS, registry=registry,
        )  # fmt: skip
        self._in_flight = Gauge("rag_requests_in_flight", "Requests under way.", registry=registry)
        self._searches = Counter(
            "rag_searches", "Searches that were answered.", ("index", "variant", *tenant), registry=registry
        )
        self._abstentions = Counter(
            "rag_abstentions",
            "Searches judged not to be answered here.",
            ("index", "variant", *tenant),
            registry=registry,
        )
        self._empty = Counter(
            "rag_searches_without_passages",
            "Searches that returned nothing.",
            ("index", "variant"),
            registry=registry,
        )
        self._cache = Counter(
            "rag_cache_lookups",
            "Lookups in a cache, by hit or miss.",
            ("cache", "outcome"),
            registry=registry,
        )
        self._tokens = Counter(
            "rag_tokens", "Tokens, by prompt or completion.", ("provider", "model", "kind"), registry=registry
        )
        self._cost = Counter(
            "rag_cost", "In the currency of the configured prices.", ("provider", "model"), registry=registry
        )
        self._attempts = Counter(
            "rag_provider_attempts",
            "Calls of a provider of answers.",
            ("provider", "outcome"),
            registry=registry,
        )
        self._refusals = Counter(
            "rag_refusals", "Requests that a limit refused.", ("limit",), registry=registry
        )
        Info("rag_build", "The program.", registry=registry).info({"version": __version__})
        ProcessCollector(registry=self.registry)

    def begun(self) -> None:
        """A request came in."""
        if self.config.metrics:
            self._in_flight.inc()

    def finished(
        self,
        method: str,
        route: str,
        status: int,
        seconds: float,
        index: str | None,
        variant: str | None,
        spent: Mapping[str, float],
    ) -> None:
        """A request was answered; `spent` are its seconds by stage, `index` the one that it asked, if any."""
        if not self.config.metrics:
            return
        self._in_flight.dec()
        self._requests.labels(method, route, status).inc()
        self._seconds.labels(route).observe(seconds)
        if index is not None:
            for name, value in {**spent, "total": seconds}.items():
                self._stages.labels(index, variant or "", name).observe(value)

    def searched(self, result: SearchResult, tenant: str) -> None:
        """A search was answered, from the engine or from a cache."""
        if not self.config.metrics:
            return
        index, variant = result.index, result.variant or ""
        whose = (self._tenant(tenant),) if self.config.tenant_label else ()
        self._searches.labels(index, variant, *whose).inc()
        if result.answerable is False:
            self._abstentions.labels(index, variant, *whose).inc()
        if not result.passages:
            self._empty.labels(index, variant).inc()

    def looked_up(self, cache: str, hit: bool) -> None:
        """A lookup in the cache of that name, `results`, `embeddings` or `rewrites`."""
        if self.config.metrics:
            self._cache.labels(cache, "hit" if hit else "miss").inc()

    def answered(
        self, provider: str, model: str, prompt_tokens: int, completion_tokens: int, cost: float | None
    ) -> None:
        """A call of a provider of the configuration took so many tokens; `model` is the configured one."""
        if not self.config.metrics:
            return
        self._tokens.labels(provider, model, "prompt").inc(prompt_tokens)
        self._tokens.labels(provider, model, "completion").inc(completion_tokens)
        if cost is not None:
            self._cost.labels(provider, model).inc(cost)

    def attempted(self, provider: str, outcome: str) -> None:
        """A call of a provider ended as `outcome`, a word of a fixed list."""
        if self.config.metrics:
            self._attempts.labels(provider, outcome).inc()

    def refused(self, limit: str) -> None:
        """A limit refused a request: `credential`, `tenant`, `address`, `concurrency` or `timeout`."""
        if self.config.metrics:
            self._refusals.labels(limit).inc()

    def _tenant(self, name: str) -> str:
        if name not in self._tenants and len(self._tenants) >= MOST_TENANTS:
            return "other"
        self._tenants.add(name)
        return name

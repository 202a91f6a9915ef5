"""Figures that stand in the catalog: how fresh each source is, which versions are live. Read when asked for."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from rag_pipelines.catalog import documents as document_rows
from rag_pipelines.catalog import versions
from rag_pipelines.catalog.latencies import latency_summary
from rag_pipelines.config.models import SourceConfig
from rag_pipelines.service.parts import Parts

logger = logging.getLogger(__name__)
NEVER = float("inf")


class CatalogFigures(Collector):
    """Samples at most `seconds` old; a catalog that is away is a figure too, and costs no others."""

    def __init__(
        self, parts: Parts, seconds: float, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._parts = parts
        self._seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._read_at: float | None = None
        self._samples: list[GaugeMetricFamily] = []

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Nothing, so that registering reads nothing."""
        return ()

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        """All families."""
        readable = GaugeMetricFamily("rag_catalog_readable", "1 where the catalog could be read.")
        with self._lock:
            try:
                if self._read_at is None or time.monotonic() - self._read_at >= self._seconds:
                    self._samples = [*self._sources(), *self._versions()]
                    self._read_at = time.monotonic()
                readable.add_metric([], 1)
            except Exception:
                logger.exception("the catalog cannot be read for metrics")
                self._samples, self._read_at = [], None
                readable.add_metric([], 0)
            samples = list(self._samples)
        yield readable
        yield from samples
        yield from self._flags()

    def _sources(self) -> Iterator[GaugeMetricFamily]:
        age = GaugeMetricFamily(
            "rag_source_age_seconds",
            "Since the source was last synced; +Inf where never.",
            labels=("source",),
        )
        promise = GaugeMetricFamily(
            "rag_source_promise_seconds",
            "Age at which its freshness warns and fails.",
            labels=("source", "level"),
        )
        failing = GaugeMetricFamily(
            "rag_source_problem", "1 where its last listing or sync failed.", labels=("source",)
        )
        arrival = GaugeMetricFamily(
            "rag_source_arrival_seconds",
            "How long changes took to arrive, since the change at the earliest or since a listing found it.",
            labels=("source", "figure", "since", "quantile"),
        )
        for source in self._parts.configuration.sources.values():
            self._source(source, age, promise, failing, arrival)
        return iter((age, promise, failing, arrival))

    def _source(
        self,
        source: SourceConfig,
        age: GaugeMetricFamily,
        promise: GaugeMetricFamily,
        failing: GaugeMetricFamily,
        arrival: GaugeMetricFamily,
    ) -> None:
        catalog, name = self._parts.searchers.catalog, source.source
        row = document_rows.source_row(catalog, name)
        age.add_metric([name], self._age(row["synced_at"] if row else None))
        failing.add_metric([name], float(bool(row and row["error"])))
        if source.freshness is not None:
            promise.add_metric([name, "fail"], source.freshness.fail_after.total_seconds())
            if source.freshness.warn_after is not None:
                promise.add_metric([name, "warn"], source.freshness.warn_after.total_seconds())
        for figure, found in latency_summary(catalog, name).items():
            for since, prefix in (("change", ""), ("listing", "pipeline_")):
                for quantile, key in (("0.5", "p50"), ("0.95", "p95")):
                    arrival.add_metric([name, figure, since, quantile], found[prefix + key])

    def _versions(self) -> Iterator[GaugeMetricFamily]:
        live = GaugeMetricFamily("rag_index_version", "The published version; 0 for none.", labels=("index",))
        opened = GaugeMetricFamily(
            "rag_index_version_open",
            "The version that this process answers from; 0 for none.",
            labels=("index",),
        )
        age = GaugeMetricFamily(
            "rag_index_version_age_seconds", "Since the version was published.", labels=("index",)
        )
        following = GaugeMetricFamily(
            "rag_index_followed", "0 where its published version cannot be opened.", labels=("index",)
        )
        parts = self._parts
        for name in parts.configuration.indexes:
            pointer = versions.pointer(parts.searchers.catalog, name)
            number = pointer.version if pointer else 0
            live.add_metric([name], number)
            own = parts.searchers.get(name).pointer
            opened.add_metric([name], own.version if own else 0)
            following.add_metric([name], float(name not in parts.follower.faults))
            rows = versions.versions_of(parts.searchers.catalog, name)
            published = next((row["published_at"] for row in rows if row["number"] == number), None)
            if published is not None:
                age.add_metric([name], self._age(published))
        return iter((live, opened, age, following))

    def _flags(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        flags = self._parts.variants.flags
        current = GaugeMetricFamily(
            "rag_flags_current", "0 where the new flags are broken, the old ones in force."
        )
        current.add_metric([], float(flags.fault is None))
        yield current
        reads = CounterMetricFamily("rag_flags_reads", "Flags read anew, or refused.", labels=("outcome",))
        reads.add_metric(["read"], flags.reads)
        reads.add_metric(["refused"], flags.refused)
        yield reads

    def _age(self, moment: str | None) -> float:
        if moment is None:
            return NEVER
        return max((self._clock() - datetime.fromisoformat(moment)).total_seconds(), 0.0)

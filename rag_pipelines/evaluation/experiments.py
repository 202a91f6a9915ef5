"""What an experiment found: every variant in numbers, against the first one, and which of them nothing beats."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import msgspec

from rag_pipelines.config.experiment import ExperimentConfig
from rag_pipelines.evaluation.costs import IndexSize
from rag_pipelines.evaluation.grids import Variant
from rag_pipelines.evaluation.pareto import pareto_front
from rag_pipelines.evaluation.runs import Run
from rag_pipelines.evaluation.significance import (
    RESAMPLES,
    Interval,
    holm,
    interval_of_mean,
    paired_differences,
    randomisation_test,
)
from rag_pipelines.evaluation.suites import Suite
from rag_pipelines.evaluation.summary import SIGNIFICANT, Summary, summarise


class Build(msgspec.Struct, frozen=True):
    """One index that variants share; seconds of cutting, staging and publishing, and of embedding.

    `embed_seconds` is what embedding every chunk would take, from the pace of a sample: vectors that another
    build computed already are not computed again, and would make this one look free.
    """

    index: str
    version: int
    size: IndexSize
    stage_seconds: float
    embed_seconds: float

    @property
    def seconds(self) -> float:
        """All of it."""
        return self.stage_seconds + self.embed_seconds


@dataclass(frozen=True, slots=True)
class Measured:
    """A variant that was built and asked; `reused` where the run of an earlier time stands for it."""

    variant: Variant
    build: Build
    run: Run
    folder: str
    reused: bool


@dataclass(frozen=True, slots=True)
class Row:
    """A variant in the table; `difference` and `p_holm` are of the first measure against the first variant."""

    measured: Measured
    summary: Summary
    difference: Interval | None
    p_holm: float | None
    on_front: bool

    @property
    def name(self) -> str:
        """Of the variant."""
        return self.measured.variant.name

    @property
    def verdict(self) -> str:
        """`better` or `worse` than the first variant where the adjusted p is below 0.05."""
        if self.difference is None or self.p_holm is None:
            return "baseline"
        if self.p_holm >= SIGNIFICANT:
            return "no significant difference"
        return "better" if self.difference.mean > 0 else "worse"

    def cost(self, name: str) -> float:
        """One of the costs of an experiment's configuration."""
        return COSTS[name](self)

    def as_json(self) -> dict[str, Any]:
        """Values that json.dumps takes."""
        variant, build = self.measured.variant, self.measured.build
        return {
            "variant": variant.name,
            "labels": dict(variant.labels),
            "fingerprint": variant.fingerprint,
            "settings": {**variant.build_settings(), "retrieval": variant.retrieval_settings()},
            "index": build.index,
            "version": build.version,
            "run": self.measured.folder,
            "reused": self.measured.reused,
            "measures": {name: asdict(interval) for name, interval in self.summary.measures.items()},
            "latency": asdict(self.summary.latency),
            "cpu_ms": self.summary.cost.cpu_ms,
            "chunks": build.size.chunks,
            "vector_bytes": build.size.vector_bytes,
            "payload_bytes": build.size.payload_bytes,
            "stage_seconds": round(build.stage_seconds, 3),
            "embed_seconds": round(build.embed_seconds, 3),
            "difference": None if self.difference is None else asdict(self.difference),
            "p_holm": self.p_holm,
            "verdict": self.verdict,
            "pareto": self.on_front,
        }


COSTS: Mapping[str, Callable[[Row], float]] = {
    "latency": lambda row: row.summary.latency.p50,
    "bytes": lambda row: float(row.measured.build.size.bytes),
    "build_seconds": lambda row: row.measured.build.seconds,
}


def rows_of(
    suite: Suite, config: ExperimentConfig, measured: Sequence[Measured], *, resamples: int = RESAMPLES
) -> tuple[Row, ...]:
    """Every variant in its order; p adjusted for the number of variants that are compared with the first."""
    measure, seed = suite.config.measures[0], config.seed
    base = measured[0].run.values(measure)
    differences: list[Interval | None] = [None]
    p_values: list[float] = []
    for one in measured[1:]:
        own = one.run.values(measure)
        paired = paired_differences(own, base)
        test = randomisation_test(
            [own[query_id] for query_id in paired],
            [base[query_id] for query_id in paired],
            resamples=resamples,
            seed=seed,
        )
        differences.append(interval_of_mean(list(paired.values()), resamples=resamples, seed=seed))
        p_values.append(test.p_value)
    adjusted: list[float | None] = [None, *holm(p_values)]
    rows = [
        Row(one, summarise(suite, one.run, seed=seed, resamples=resamples), difference, p_holm, False)
        for one, difference, p_holm in zip(measured, differences, adjusted, strict=True)
    ]
    front = pareto_front(
        [row.summary.measures[measure].mean for row in rows],
        {name: [row.cost(name) for row in rows] for name in config.costs},
    )
    return tuple(
        Row(row.measured, row.summary, row.difference, row.p_holm, on)
        for row, on in zip(rows, front, strict=True)
    )

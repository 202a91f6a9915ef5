"""What a staged version must pass before it is published."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from rag_pipelines.config.base import Model, Name
from rag_pipelines.config.evaluation import Measure
from rag_pipelines.config.quality import QualityConfig

Share = Annotated[float, Field(ge=0, le=1)]


class NotWorse(Model):
    """Compared with the live version, question by question, by a paired randomisation test."""

    measures: tuple[Measure, ...] = Field(default=("nDCG@10",), min_length=1)
    slices: bool = Field(default=True, description="also within every slice of the suite")
    least_queries: int = Field(
        default=10, ge=1, description="judged questions that a slice needs to be compared by itself"
    )
    alpha: float = Field(
        default=0.05, gt=0, lt=0.5, description="of all comparisons of the suite together (Holm 1979)"
    )
    tolerance: Share = Field(default=0.0, description="a loss of the mean that is accepted, however certain")


class SuiteGate(Model):
    """A suite of judged questions, asked of the candidate at its number."""

    suite: Name
    floors: dict[Measure, Share] = Field(default_factory=dict, description="least mean of a measure")
    not_worse: NotWorse | None = NotWorse()

    @model_validator(mode="after")
    def _gates_something(self) -> Self:
        if not self.floors and self.not_worse is None:
            raise ValueError("has neither floors nor not_worse, so that every version would pass")
        return self


class LatencyGate(Model):
    """How long the questions of the suites may take, asked one at a time where the pipeline runs."""

    p50_ms: float | None = Field(default=None, gt=0)
    p95_ms: float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _gates_something(self) -> Self:
        if self.p50_ms is None and self.p95_ms is None:
            raise ValueError("needs p50_ms or p95_ms")
        return self


class GatesConfig(Model):
    """Release gates of an index; a version that fails one stays staged and unseen."""

    data: QualityConfig | None = QualityConfig()
    suites: tuple[SuiteGate, ...] = ()
    security: bool = Field(
        default=True,
        description="rights in the engine are those of the catalog, and nothing deleted is visible",
    )
    latency: LatencyGate | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [gate.suite for gate in self.suites]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"suites names {', '.join(repeated)} more than once")
        if self.latency is not None and not self.suites:
            raise ValueError("latency is measured on the questions of suites; name at least one")
        return self

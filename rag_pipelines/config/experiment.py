"""A grid of settings that one suite is asked of, as one YAML file describes it."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from rag_pipelines.config.base import Model, Name
from rag_pipelines.config.retrieval import Feedback, RerankConfig, Weights

LABEL = r"^[A-Za-z0-9][A-Za-z0-9 _.+-]{0,39}$"
Label = Annotated[str, StringConstraints(pattern=LABEL)]
Cost = Literal["latency", "bytes", "build_seconds"]
Partial = dict[str, Any]
"""Fields of a section; those that are not given are as the index or the source has them."""

CHUNKING, EMBEDDING, SPARSE = "chunking", "embedding", "sparse"
BUILD_AXES = (CHUNKING, EMBEDDING, SPARSE)


class GridConfig(Model):
    """Values of each axis by the name that tables call them; every combination is a variant.

    `chunking`, `embedding` and `sparse` decide what is built, the others how it is asked. An axis that is not
    given has one value: what the index and its sources are configured with.
    """

    chunking: dict[Label, Partial] = Field(default_factory=dict, description="rules, for every source")
    embedding: dict[Label, Partial] = Field(default_factory=dict)
    sparse: dict[Label, Partial | None] = Field(default_factory=dict, description="null: no term vectors")
    retrieval: dict[Label, Partial] = Field(default_factory=dict)
    fusion: tuple[Literal["dbsf", "rrf"], ...] = ()
    weights: dict[Label, Weights] = Field(default_factory=dict)
    candidates: tuple[Annotated[int, Field(ge=1, le=10_000)], ...] = ()
    feedback: dict[Label, Feedback] = Field(default_factory=dict)
    rerank: dict[Label, RerankConfig | None] = Field(default_factory=dict, description="null: no model")

    @property
    def axes(self) -> dict[str, dict[str, Any]]:
        """The axes that are given, in the order of the fields: name -> label -> value."""
        given: dict[str, dict[str, Any]] = {}
        for name in type(self).model_fields:
            values = getattr(self, name)
            if values:
                given[name] = values if isinstance(values, dict) else {str(value): value for value in values}
        return given

    @model_validator(mode="after")
    def _check(self) -> Self:
        for name in ("fusion", "candidates"):
            values = getattr(self, name)
            if len(set(values)) < len(values):
                raise ValueError(f"{name} names a value more than once")
        return self


class ExperimentConfig(Model):
    """What is varied, what is asked, and what a variant is judged by."""

    experiment: Name
    description: str | None = None
    suite: Name = Field(description="asked of every variant")
    index: Name | None = Field(default=None, description="whose settings the variants start from")
    grid: GridConfig = GridConfig()
    costs: tuple[Cost, ...] = Field(
        default=("latency", "bytes", "build_seconds"),
        min_length=1,
        description="what a variant on the Pareto front is not beaten in, together with the suite's first measure",
    )
    seed: int = Field(default=0, ge=0, description="of intervals, tests and samples")

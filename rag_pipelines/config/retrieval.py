"""How an index answers questions."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from rag_pipelines.config.base import Model


class Weights(Model):
    """How much each half of a hybrid search counts in the fusion."""

    dense: float = Field(default=1.0, ge=0, le=100)
    sparse: float = Field(default=1.0, ge=0, le=100)

    @model_validator(mode="after")
    def _something_counts(self) -> Weights:
        if self.dense == self.sparse == 0:
            raise ValueError("dense and sparse are both 0; at least one must count")
        return self


class Feedback(Model):
    """A second search, whose dense vector is drawn towards the best passages of the first; hybrid searches only."""

    passages: int = Field(
        default=2,
        ge=0,
        le=50,
        description="how many of the first search's best are taken; 0 is no second one",
    )
    weight: float = Field(
        default=0.3, gt=0, le=10, description="of their mean vector; the question's own counts as 1"
    )


class RerankConfig(Model):
    """A model that reads question and passage together and orders the best passages anew."""

    model: str = Field(min_length=1, description="a sentence-transformers CrossEncoder by name or path")
    top_n: int = Field(default=50, ge=1, le=1000, description="how many of the fused passages are read")
    seconds: float = Field(
        default=1.0,
        gt=0,
        le=60,
        description="after which the fused order is answered, and the answer says so",
    )
    weight: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="of the model's score against the fused one, both standardised; 1 is the model alone",
    )


class AbstentionConfig(Model):
    """When an answer says that the question is not answered here."""

    calibration: str = Field(
        min_length=1, description="the file that `rag-pipelines calibrate` writes, relative to the project"
    )
    threshold: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="confidence from which a question counts as answered; the calibration's where not given",
    )


class RetrievalConfig(Model):
    """How candidates are found and fused, and how often an answer may say the same."""

    mode: Literal["hybrid", "dense", "sparse"] = "hybrid"
    fusion: Literal["dbsf", "rrf"] = "dbsf"
    rrf_k: int = Field(default=60, ge=1)
    weights: Weights = Weights()
    candidates: int = Field(default=100, ge=1, le=10_000)
    feedback: Feedback = Feedback()
    rerank: RerankConfig | None = None
    abstention: AbstentionConfig | None = None
    distinct: bool = Field(
        default=True, description="passages that say the same count once, with all places where they stand"
    )
    locations: int = Field(
        default=10,
        ge=0,
        le=100,
        description="how many other places a passage lists at most; 0 looks for none",
    )

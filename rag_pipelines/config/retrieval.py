"""How an index answers questions."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from rag_pipelines.config.base import Model
from rag_pipelines.config.query import QueryConfig


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


class ContextConfig(Model):
    """What an answer shows of the documents that were found; a request may say otherwise for itself."""

    parents: bool = Field(
        default=False, description="the section that a hierarchical chunk belongs to, instead of the chunk"
    )
    neighbours: int = Field(
        default=0, ge=0, le=20, description="chunks of the same document shown before and after a passage"
    )
    mmr_lambda: float = Field(
        default=1.0,
        ge=0,
        le=1,
        description="1 is relevance alone; less prefers passages unlike those above them",
    )
    per_document: int = Field(
        default=0, ge=0, description="passages of one document at most; 0 is any number"
    )
    tokens: int = Field(
        default=0,
        ge=0,
        le=200_000,
        description="budget of the text for a prompt that is made of the passages; 0 makes none",
    )

    @property
    def expands(self) -> bool:
        """Whether a passage shows more than the chunk that was found."""
        return self.parents or self.neighbours > 0

    @property
    def selects(self) -> bool:
        """Whether an answer is anything but the k best hits."""
        return self.expands or self.mmr_lambda < 1 or self.per_document > 0


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
    query: QueryConfig = Field(
        default=QueryConfig(), description="what is done to a question before it is asked"
    )
    feedback: Feedback = Feedback()
    rerank: RerankConfig | None = None
    context: ContextConfig = ContextConfig()
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

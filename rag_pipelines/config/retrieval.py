"""How an index answers questions."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from rag_pipelines.config.base import Model


class RetrievalConfig(Model):
    """How candidates are found and fused, and how often an answer may say the same."""

    mode: Literal["hybrid", "dense", "sparse"] = "hybrid"
    fusion: Literal["dbsf", "rrf"] = "dbsf"
    rrf_k: int = Field(default=60, ge=1)
    candidates: int = Field(default=100, ge=1, le=10_000)
    distinct: bool = Field(
        default=True, description="passages that say the same count once, with all places where they stand"
    )
    locations: int = Field(
        default=10,
        ge=0,
        le=100,
        description="how many other places a passage lists at most; 0 looks for none",
    )

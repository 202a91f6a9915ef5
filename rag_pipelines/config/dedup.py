"""How near-duplicates are found in an index, and what becomes of them in a source."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from rag_pipelines.config.base import Model


class DedupConfig(Model):
    """Two texts are near-duplicates where the Jaccard similarity of their word n-grams reaches `threshold`.

    A pair becomes a candidate where all `rows` values of one of `bands` bands of their MinHash signatures are
    equal, so at similarity s with probability 1 - (1 - s**rows)**bands: a lower threshold wants fewer rows.
    """

    ngram: int = Field(default=5, ge=1, le=32, description="words in a row that are compared as one")
    permutations: int = Field(default=128, ge=1, le=4096, description="values of a signature")
    bands: int = Field(default=16, ge=1, description="groups of values that candidates are looked up by")
    rows: int = Field(default=8, ge=1, description="values a band")
    threshold: float = Field(
        default=0.8, gt=0, le=1, description="similarity from which texts are duplicates"
    )
    exact: bool = Field(
        default=True, description="verify every candidate on its n-grams, not only those near the threshold"
    )
    within: tuple[str, ...] = Field(
        default=(), description="metadata keys that must be equal, such as version; filter_fields always must"
    )

    @model_validator(mode="after")
    def _bands_fit(self) -> DedupConfig:
        if self.bands * self.rows > self.permutations:
            raise ValueError(
                f"{self.bands} bands of {self.rows} rows need {self.bands * self.rows} permutations and there are "
                f"{self.permutations}; raise permutations, or lower bands or rows"
            )
        return self


class SourceDedup(Model):
    """What becomes of a source's documents that are duplicates of others.

    `collapse`: not indexed where everyone who may read one may read its representative. `mark`: indexed, and
    grouped with the others in answers. `off`: takes no part.
    """

    policy: Literal["collapse", "mark", "off"] = "mark"
    authority: int = Field(
        default=0,
        description="of two sources with the same text the one with the greater number stands for it",
    )

"""A judged suite of questions, as `configs/eval/*.yaml` describes it."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from rag_pipelines.config.base import Model, Name

MEASURE = r"^(nDCG|(R|P|RR|Success|AP)(\(rel=[1-9][0-9]?\))?)@[1-9][0-9]{0,3}$"
JUDGED_ID = r"^(uri|source/uri|doc_id|metadata\.\S+)$"
DEFAULT_MEASURES = ("nDCG@10", "R@10", "R@100", "P@5", "RR@10", "Success@5")

Measure = Annotated[str, StringConstraints(pattern=MEASURE)]
NonEmpty = Annotated[str, StringConstraints(min_length=1)]


class UnanswerableConfig(Model):
    """Which questions the corpus does not answer: those whose metadata holds this value under this key.

    The value has to be of the same type as well: `false` is neither `0` nor `"false"`.
    """

    key: NonEmpty = "answerable"
    value: bool | int | str = False


class EvaluationConfig(Model):
    """Questions with judgements, what the judgements name, and what is measured."""

    suite: Name
    description: str | None = None
    index: Name | None = Field(default=None, description="the index that is asked where none is named")
    path: NonEmpty | None = Field(
        default=None, description="folder with queries.jsonl and qrels/test.tsv, relative to the project"
    )
    queries: NonEmpty | None = Field(default=None, description="another file of queries")
    qrels: NonEmpty | None = Field(default=None, description="another file of judgements")
    level: Literal["document", "passage"] = "document"
    source: Name | None = Field(default=None, description="only documents of this source can be relevant")
    judged_id: Annotated[str, StringConstraints(pattern=JUDGED_ID)] = Field(
        default="uri",
        description="what the judgements call a document: uri, source/uri, doc_id or metadata.KEY",
    )
    k: int | None = Field(
        default=None, ge=1, le=10_000, description="passages asked for; the largest cutoff where not given"
    )
    measures: tuple[Measure, ...] = Field(default=DEFAULT_MEASURES, min_length=1)
    slices: tuple[NonEmpty, ...] = Field(
        default=(),
        description="source, tenant, language or media_type of relevant documents, or a query's metadata key",
    )
    unanswerable: UnanswerableConfig = UnanswerableConfig()
    content_hash: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = Field(
        default=None, description="set by freezing: a suite whose content no longer has this hash is refused"
    )

    @property
    def deepest(self) -> int:
        """The largest cutoff of the measures."""
        return max(int(measure.rpartition("@")[2]) for measure in self.measures)

    @property
    def depth(self) -> int:
        """How many passages each question asks for."""
        return self.k or self.deepest

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.path is None and (self.queries is None or self.qrels is None):
            raise ValueError(
                "needs path (a folder with queries.jsonl and qrels/test.tsv), or queries and qrels"
            )
        for field, values in (("measures", self.measures), ("slices", self.slices)):
            repeated = sorted({value for value in values if values.count(value) > 1})
            if repeated:
                raise ValueError(f"{field} names {', '.join(repeated)} more than once")
        if self.k is not None and self.k < self.deepest:
            raise ValueError(f"k is {self.k}, but the measures look {self.deepest} places deep")
        return self

"""`injection` in `configs/policy.yaml`: what is done with passages that hold instructions for a machine."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from rag_pipelines.config.base import Model, Name
from rag_pipelines.core.types import Classification

Action = Literal["off", "mark", "downrank", "withhold"]
Score = Annotated[float, Field(gt=0, le=1)]
RuleName = Annotated[
    str, Field(pattern=r"^[a-z][a-z0-9-]{0,62}$", description="lower case letters, digits and -")
]


def check_pattern(value: str) -> str:
    """A pattern that RE2 takes, which therefore takes linear time whatever the text."""
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        pc.match_substring_regex(pa.array([""]), value)
    except pa.ArrowInvalid as error:
        raise ValueError(
            "is not a pattern of RE2, which has no backreferences and no look-around "
            f"({str(error).splitlines()[0]})"
        ) from error
    return value


class InjectionRule(Model):
    """A pattern of the organisation's own; it sees text in lower case, white space as one space."""

    name: RuleName
    pattern: Annotated[str, AfterValidator(check_pattern)] = Field(
        min_length=1, max_length=2000, description="RE2 syntax"
    )
    weight: Score = Field(default=0.6, description="score of a passage with nothing but this in it")


class InjectionClassifier(Model):
    """A text-classification model of transformers that judges every passage that is staged."""

    model: str = Field(min_length=1, description="name on the hub or a folder, with safetensors weights")
    label: str = Field(default="INJECTION", min_length=1, description="the model's label of an injection")
    least: Score = Field(default=0.5, description="probability below which it says nothing")
    weight: Score = Field(default=0.9, description="what a probability of 1 counts")


class InjectionScope(Model):
    """What is done with some passages instead; every list that is given has to hold."""

    indexes: tuple[Name, ...] = ()
    sources: tuple[Name, ...] = ()
    classifications: tuple[Classification, ...] = ()
    action: Action
    threshold: Score | None = Field(default=None, description="by default that of the section")

    @model_validator(mode="after")
    def _bounded(self) -> InjectionScope:
        if not (self.indexes or self.sources or self.classifications):
            raise ValueError(
                "names no indexes, sources or classifications; set `action` of the section instead"
            )
        return self


class InjectionConfig(Model):
    """What is done with passages from a score on; the first of `scopes` that holds decides."""

    action: Action = "mark"
    threshold: Score = 0.3
    places: int = Field(default=10, ge=1, le=100, description="ranks that a down-ranked passage loses")
    scopes: tuple[InjectionScope, ...] = ()
    rules: tuple[InjectionRule, ...] = ()
    disabled: tuple[RuleName, ...] = Field(default=(), description="built-in rules that are left out")
    classifier: InjectionClassifier | None = None

    @property
    def judges(self) -> bool:
        """Whether passages are judged at all."""
        return self.action != "off" or any(scope.action != "off" for scope in self.scopes)

"""What `rag-pipelines calibrate` writes and an index that abstains reads: how signs add up to a confidence."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from rag_pipelines.config.base import Model
from rag_pipelines.config.files import read_file
from rag_pipelines.config.problems import validate


class Setting(Model):
    """What the signs depend on; a calibration made in one setting says nothing in another.

    `signs` is the version of their definitions, `model` the embedding model's fingerprint, `terms` the term
    encoder's; `reranker` is the model whose score is a sign.
    """

    signs: int
    mode: str
    model: str | None
    terms: str
    reranker: str | None

    def difference(self, other: Setting) -> str | None:
        """The first thing in which the other differs, in words; None where there is none."""
        theirs = other.model_dump()
        for name, value in self.model_dump().items():
            if value != theirs[name]:
                return f"{name} {value!r} instead of {theirs[name]!r}"
        return None


class Sign(Model):
    """How much one sign counts, per standard deviation above its mean; `auroc` is of it alone, held out."""

    mean: float
    deviation: float = Field(gt=0)
    weight: float = Field(ge=0)
    auroc: float


class HeldOut(Model):
    """What was measured on the half that nothing was fitted or chosen on."""

    answerable: int
    unanswerable: int
    auroc: float
    accuracy: float
    answered_wrongly: int
    abstained_wrongly: int


class Calibration(Model):
    """A logistic model of "is this answered here?" for one index, with what it was fitted and measured on.

    `group` is the key of the questions' metadata by which they were halved; `fitted` counts the questions of
    the half that weights and threshold are from.
    """

    index: str
    suite: str
    suite_hash: str
    made_at: str
    setting: Setting
    group: str | None
    fitted: int
    intercept: float
    signs: dict[str, Sign] = Field(min_length=1)
    threshold: float
    held_out: HeldOut


def read_calibration(path: Path) -> Calibration:
    """Raises ConfigError with the place of every mistake, and where the file is not there."""
    return validate(read_file(path), Calibration)

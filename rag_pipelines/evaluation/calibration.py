"""Fits, on half of a suite, what its signs say about whether a question is answered; measures it on the other half."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from rag_pipelines.config.calibration import Calibration, HeldOut, Setting, Sign
from rag_pipelines.core.errors import ConfigError
from rag_pipelines.evaluation.abstention import best_threshold, halves, roc_area
from rag_pipelines.evaluation.suites import Suite
from rag_pipelines.retrieval.abstention import Evidence, confidence

PENALTY = 10.0
"""Of the squared weights, in units of a question's loss: some tens of questions decide before a sign counts."""

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Half:
    values: Sequence[Mapping[str, float]]
    answerable: Sequence[bool]

    def split(self, scores: Sequence[float]) -> tuple[list[float], list[float]]:
        """Scores of the answerable and of the others."""
        pairs = list(zip(scores, self.answerable, strict=True))
        return [score for score, yes in pairs if yes], [score for score, yes in pairs if not yes]


def calibrate(suite: Suite, index: str, found: Mapping[str, Evidence], group: str | None) -> Calibration:
    """Weights and threshold of half of the questions, and what they are worth on the other half.

    Halves are of whole groups: of what the questions' metadata holds under `group`, such as the article they
    are about, since questions of one article are alike; without a key each question is a group. Questions that
    found nothing need no model and are left out. Raises ConfigError where a question lacks the key, or a half
    one of the two kinds.
    """
    setting = _one_setting(found)
    groups = {query_id: _group(suite, query_id, group) for query_id in found}
    first, _ = halves(groups.values())
    fitted = _half(suite, found, [query_id for query_id in found if groups[query_id] in first])
    held_out = _half(suite, found, [query_id for query_id in found if groups[query_id] not in first])
    for half in (fitted, held_out):
        if len(set(half.answerable)) < 2:
            by = f"by {group!r} " if group is not None else ""
            raise ConfigError(
                f"half of suite {suite.name} {by}has no answerable or no unanswerable question that finds "
                "anything; add questions of both kinds, of several groups"
            )
    names = sorted(fitted.values[0])
    matrix = _matrix(fitted.values, names)
    means, spread = matrix.mean(axis=0), matrix.std(axis=0)
    # Of equal values the deviation is not always 0, but some 1e-17.
    deviations = np.where(spread > 1e-9 * (1 + np.abs(means)), spread, 1.0)
    weights = fit((matrix - means) / deviations, np.array(fitted.answerable, np.float64))
    signs = {
        name: Sign(
            mean=_short(means[place]),
            deviation=_short(deviations[place]),
            weight=_short(weights[place + 1]),
            auroc=_short(roc_area(*held_out.split([one[name] for one in held_out.values]))),
        )
        for place, name in enumerate(names)
    }
    draft = Calibration(
        index=index,
        suite=suite.name,
        suite_hash=suite.content_hash,
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        setting=setting,
        group=group,
        fitted=len(fitted.values),
        intercept=_short(weights[0]),
        signs=signs,
        threshold=0.5,
        held_out=HeldOut(
            answerable=0, unanswerable=0, auroc=0.5, accuracy=0, answered_wrongly=0, abstained_wrongly=0
        ),
    )
    threshold = best_threshold(*fitted.split([confidence(draft, one) for one in fitted.values]))
    return draft.model_copy(
        update={"threshold": threshold, "held_out": _measured(draft, held_out, threshold)}
    )


def fit(standard: Matrix, answered: Matrix) -> Matrix:
    """Intercept and weights (signs + 1) of a logistic regression whose weights are never negative.

    `standard` is (questions, signs), standardised. A sign may count for nothing, never against its meaning: a
    negative weight would come from how the signs hang together in one suite, and would praise questions that
    have nothing to do with the index.
    """
    from scipy.optimize import minimize

    def loss(weights: Matrix) -> tuple[float, Matrix]:
        total = standard @ weights[1:] + weights[0]
        wrong = 1 / (1 + np.exp(-total)) - answered
        value = (np.logaddexp(0, total) - answered * total).sum() + PENALTY / 2 * (weights[1:] ** 2).sum()
        slope = np.concatenate([[wrong.sum()], standard.T @ wrong + PENALTY * weights[1:]])
        return float(value), slope

    columns = standard.shape[1]
    bounds = [(None, None), *[(0, None)] * columns]
    found: Any = minimize(loss, np.zeros(columns + 1), jac=True, method="L-BFGS-B", bounds=bounds)
    return np.asarray(found.x, np.float64)


def _one_setting(found: Mapping[str, Evidence]) -> Setting:
    settings = {evidence.setting.model_dump_json(): evidence.setting for evidence in found.values()}
    if len(settings) != 1:
        raise ConfigError(
            f"the searches were made in {len(settings)} settings: the index moved meanwhile, calibrate again"
            if settings
            else "there is no question to calibrate on"
        )
    return next(iter(settings.values()))


def _group(suite: Suite, query_id: str, key: str | None) -> str:
    if key is None:
        return query_id
    value = suite.queries[query_id].metadata.get(key)
    if value is None:
        raise ConfigError(f"query {query_id} of suite {suite.name} has no metadata {key!r} to group it by")
    return str(value)


def _half(suite: Suite, found: Mapping[str, Evidence], query_ids: Sequence[str]) -> _Half:
    telling = [query_id for query_id in query_ids if found[query_id].signs]
    return _Half(
        [found[query_id].signs for query_id in telling],
        [suite.queries[query_id].answerable for query_id in telling],
    )


def _matrix(values: Sequence[Mapping[str, float]], names: Sequence[str]) -> Matrix:
    return np.array([[one[name] for name in names] for one in values], np.float64)


def _measured(calibration: Calibration, half: _Half, threshold: float) -> HeldOut:
    positive, negative = half.split([confidence(calibration, one) for one in half.values])
    abstained = sum(score < threshold for score in positive)
    answered = sum(score >= threshold for score in negative)
    return HeldOut(
        answerable=len(positive),
        unanswerable=len(negative),
        auroc=_short(roc_area(positive, negative)),
        accuracy=_short(1 - (abstained + answered) / len(half.values)),
        answered_wrongly=answered,
        abstained_wrongly=abstained,
    )


def _short(value: float) -> float:
    """Six significant digits: the file is for people to review, and confidences are computed from it as written."""
    return float(f"{value:.6g}")

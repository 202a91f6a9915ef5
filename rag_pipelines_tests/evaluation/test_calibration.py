"""Fitting by hand, halves of groups, and what may not be fitted."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pytest

from rag_pipelines.config.calibration import Setting
from rag_pipelines.config.evaluation import EvaluationConfig
from rag_pipelines.core.errors import ConfigError
from rag_pipelines.evaluation.abstention import halves
from rag_pipelines.evaluation.calibration import PENALTY, calibrate, fit
from rag_pipelines.evaluation.qrels import Query
from rag_pipelines.evaluation.suites import Suite
from rag_pipelines.retrieval.abstention import Evidence

SETTING = Setting(signs=1, mode="hybrid", model="m", terms="t", reranker=None)
ARTICLES = ("a", "b", "c", "d")
FITTED, OTHERS = (sorted(half) for half in halves(ARTICLES))


def suite(queries: Mapping[str, tuple[str, bool]]) -> Suite:
    config = EvaluationConfig(suite="s", path="unused")
    asked = {
        name: Query(name, name, {"article": article}, answerable, 1)
        for name, (article, answerable) in queries.items()
    }
    return Suite(config, asked, {}, "0" * 64)


def evidence(**signs: float) -> Evidence:
    return Evidence(SETTING, signs)


QUERIES = {
    f"{article}{answer}{number}": (article, answer == "y")
    for article in ARTICLES
    for answer in "yn"
    for number in range(10)
}


def test_a_weight_solves_the_penalised_equation() -> None:
    # 20 answered at +1 and 20 unanswered at -1: 40 / (1 + e^w) = PENALTY * w, no intercept by symmetry.
    standard = np.array([[1.0]] * 20 + [[-1.0]] * 20)
    intercept, weight = fit(standard, np.array([1.0] * 20 + [0.0] * 20))
    assert intercept == pytest.approx(0.0, abs=1e-4)
    assert 40 / (1 + math.exp(weight)) == pytest.approx(PENALTY * weight, rel=1e-3)


def test_a_sign_that_points_the_wrong_way_counts_for_nothing() -> None:
    standard = np.array([[-1.0, 1.0]] * 20 + [[1.0, -1.0]] * 20)
    _, wrong, right = fit(standard, np.array([1.0] * 20 + [0.0] * 20))
    assert wrong == 0.0
    assert right > 0.1


def test_half_of_the_groups_is_fitted_and_the_other_half_measured() -> None:
    found = {name: evidence(near=float(answerable)) for name, (_, answerable) in QUERIES.items()}
    # In the half that is only measured, two questions look like the other kind.
    found[f"{OTHERS[0]}y0"], found[f"{OTHERS[0]}n0"] = evidence(near=0.0), evidence(near=1.0)
    made = calibrate(suite(QUERIES), "knowledge", found, "article")

    assert (made.fitted, made.group, made.setting) == (40, "article", SETTING)
    assert (made.signs["near"].mean, made.signs["near"].deviation) == (0.5, 0.5)
    assert made.threshold == pytest.approx(0.5)
    # 19 of 20 each way; equal scores count half: (19 * 19 + (19 + 19) / 2) / 400 = 0.95.
    assert made.held_out.model_dump() == {
        "answerable": 20,
        "unanswerable": 20,
        "auroc": 0.95,
        "accuracy": 0.95,
        "answered_wrongly": 1,
        "abstained_wrongly": 1,
    }
    assert made.signs["near"].auroc == 0.95


def test_questions_that_found_nothing_are_left_out() -> None:
    found = {name: evidence(near=float(answerable)) for name, (_, answerable) in QUERIES.items()}
    found[f"{FITTED[0]}n0"] = evidence()
    assert calibrate(suite(QUERIES), "knowledge", found, "article").fitted == 39


def test_a_constant_sign_counts_for_nothing() -> None:
    found = {name: evidence(near=float(yes), same=0.3) for name, (_, yes) in QUERIES.items()}
    made = calibrate(suite(QUERIES), "knowledge", found, "article")
    assert made.signs["same"].weight == pytest.approx(0.0, abs=1e-9)
    assert made.signs["same"].deviation == 1.0


def test_what_cannot_be_halved_is_refused() -> None:
    found = {name: evidence(near=1.0) for name in QUERIES}
    with pytest.raises(ConfigError, match="has no metadata 'topic'"):
        calibrate(suite(QUERIES), "knowledge", found, "topic")
    answered = {name: (article, yes or article in OTHERS) for name, (article, yes) in QUERIES.items()}
    with pytest.raises(ConfigError, match="by 'article' has no answerable or no unanswerable"):
        calibrate(suite(answered), "knowledge", found, "article")


def test_signs_of_two_models_are_not_mixed() -> None:
    found = {name: evidence(near=1.0) for name in QUERIES}
    found["ay0"] = Evidence(SETTING.model_copy(update={"model": "other"}), {"near": 1.0})
    with pytest.raises(ConfigError, match="made in 2 settings"):
        calibrate(suite(QUERIES), "knowledge", found, "article")

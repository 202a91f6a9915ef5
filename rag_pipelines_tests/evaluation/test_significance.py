"""Intervals and tests against hand counts and against scipy."""

from __future__ import annotations

from math import comb
from typing import Literal

import numpy as np
import pytest
from scipy import stats

from rag_pipelines.evaluation.significance import (
    Interval,
    holm,
    interval_of_mean,
    paired_differences,
    randomisation_test,
)


def test_exact_by_hand() -> None:
    """Three differences of +1: of 8 outcomes one is +3 and one -3."""
    ours, theirs = [1.0, 1.0, 1.0, 0.5], [0.0, 0.0, 0.0, 0.5]
    found = randomisation_test(ours, theirs)
    assert (found.difference, found.p_value, found.exact) == (0.75, 2 / 8, True)
    assert randomisation_test(ours, theirs, alternative="greater").p_value == 1 / 8
    assert randomisation_test(ours, theirs, alternative="less").p_value == 1.0
    assert randomisation_test(theirs, ours, alternative="less").p_value == 1 / 8


def test_equal_systems_do_not_differ() -> None:
    for alternative in ("two-sided", "greater", "less"):
        assert randomisation_test([0.3] * 500, [0.3] * 500, alternative=alternative).p_value == 1.0


def test_rounding_makes_no_outcome_less_extreme() -> None:
    """0.1 + 0.2 + 0.3 in another order is another float, and still the same outcome."""
    ours = [0.1, 0.2, 0.3, 0.7, 0.1]
    assert randomisation_test(ours, [0.0] * 5).p_value == 2 / 32
    assert randomisation_test(ours, [0.0] * 5, alternative="greater").p_value == 1 / 32


@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
def test_exact_as_scipy_counts(alternative: Literal["two-sided", "greater", "less"]) -> None:
    random = np.random.default_rng(1)
    ours, theirs = random.random(12), random.random(12)
    found = randomisation_test(ours, theirs, alternative=alternative)
    expected = stats.permutation_test(
        (ours, theirs),
        lambda x, y, axis: np.mean(x - y, axis=axis),
        permutation_type="samples",
        alternative=alternative,
        n_resamples=np.inf,
        vectorized=True,
    )
    assert found.exact
    assert found.p_value == pytest.approx(expected.pvalue)
    assert found.difference == pytest.approx(expected.statistic)


def test_drawn_is_close_to_the_binomial_it_estimates() -> None:
    """20 differences of +1 and 10 of -1: P(at least 20 heads of 30), doubled."""
    ours, theirs = [1.0] * 20 + [0.0] * 10 + [0.5] * 70, [0.0] * 20 + [1.0] * 10 + [0.5] * 70
    one_sided = sum(comb(30, heads) for heads in range(20, 31)) / 2**30
    found = randomisation_test(ours, theirs)
    assert not found.exact
    assert found.p_value == pytest.approx(2 * one_sided, abs=0.01)
    assert randomisation_test(ours, theirs, alternative="greater").p_value == pytest.approx(
        one_sided, abs=0.008
    )
    assert randomisation_test(ours, theirs, alternative="less").p_value == pytest.approx(
        1 - one_sided, abs=0.05
    )


def test_thirteen_differing_queries_are_drawn_and_p_is_never_zero() -> None:
    assert randomisation_test([1.0] * 12 + [0.0] * 50, [0.0] * 62).exact
    found = randomisation_test([1.0] * 300, [0.0] * 300, resamples=99)
    assert (found.exact, found.p_value) == (False, 1 / 100)


def test_blocks_draw_as_many_as_asked() -> None:
    """More queries than fit one block of memory: the observed outcome is the only one as extreme."""
    found = randomisation_test([1.0] * 30_000, [0.0] * 30_000, resamples=150)
    assert found.p_value == 1 / 151


def test_the_seed_decides() -> None:
    ours, theirs = list(np.linspace(0, 1, 40)), [0.45] * 40
    assert randomisation_test(ours, theirs, seed=3) == randomisation_test(ours, theirs, seed=3)
    assert interval_of_mean(ours, seed=3) == interval_of_mean(ours, seed=3)
    assert interval_of_mean(ours, seed=3) != interval_of_mean(ours, seed=4)


def test_interval_as_scipy_draws_it() -> None:
    values = np.random.default_rng(2).beta(0.5, 0.5, 200)
    found = interval_of_mean(values)
    expected = stats.bootstrap((values,), np.mean, method="percentile", rng=np.random.default_rng(0))
    assert found.mean == pytest.approx(float(values.mean()))
    assert found.low == pytest.approx(expected.confidence_interval.low, abs=0.003)
    assert found.high == pytest.approx(expected.confidence_interval.high, abs=0.003)
    narrower = interval_of_mean(values, confidence=0.5)
    assert found.low < narrower.low < narrower.mean < narrower.high < found.high


def test_an_interval_without_spread() -> None:
    assert interval_of_mean([0.25]) == Interval(0.25, 0.25, 0.25)
    assert interval_of_mean([0.5] * 9) == Interval(0.5, 0.5, 0.5)


def test_nothing_to_measure_is_an_error() -> None:
    with pytest.raises(ValueError, match="no values"):
        interval_of_mean([])
    with pytest.raises(ValueError, match="no queries"):
        randomisation_test([], [])


def test_differences_are_paired_by_query() -> None:
    ours, theirs = {"a": 1.0, "b": 0.5, "c": 0.0}, {"c": 1.0, "b": 0.25, "a": 1.0}
    assert paired_differences(ours, theirs) == {"a": 0.0, "b": 0.25, "c": -1.0}
    assert paired_differences(ours, theirs, ["c", "a"]) == {"a": 0.0, "c": -1.0}
    with pytest.raises(ValueError, match="only one of the two has d"):
        paired_differences({**ours, "d": 1.0}, theirs)
    with pytest.raises(ValueError, match="only one of the two has z"):
        paired_differences(ours, theirs, ["z"])


def test_holm_by_hand() -> None:
    """Sorted .01 .02 .03 .04 times 4 3 2 1, never falling: .04 .06 .06 .06."""
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []

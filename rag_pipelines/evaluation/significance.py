"""Bootstrap intervals and paired randomisation tests over queries."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Alternative = Literal["two-sided", "greater", "less"]
Floats = npt.NDArray[np.float64]

RESAMPLES = 10_000
EXACT = 12
_BLOCK = 2_000_000
_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with its 95% interval, by default."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Randomisation:
    """Mean difference and how likely one at least as large is where the two systems are the same."""

    difference: float
    p_value: float
    exact: bool


def interval_of_mean(
    values: Sequence[float] | Floats, *, confidence: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> Interval:
    """Percentile bootstrap over queries (Efron & Tibshirani 1993); the same seed gives the same interval."""
    data = np.asarray(values, dtype=np.float64)
    if not data.size:
        raise ValueError("no values to take the mean of")
    mean = float(data.mean())
    if data.size == 1 or float(np.ptp(data)) == 0.0:
        return Interval(mean, mean, mean)
    random = np.random.default_rng(seed)
    rows = max(1, _BLOCK // data.size)
    means = np.concatenate(
        [
            data[random.integers(0, data.size, (min(rows, resamples - done), data.size))].mean(axis=1)
            for done in range(0, resamples, rows)
        ]
    )
    tail = (1 - confidence) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return Interval(mean, float(low), float(high))


def randomisation_test(
    ours: Sequence[float] | Floats,
    theirs: Sequence[float] | Floats,
    *,
    alternative: Alternative = "two-sided",
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Randomisation:
    """Fisher's paired randomisation test of the mean of `ours - theirs` (Smucker, Allan & Carterette 2007).

    Where the systems are the same, the sign of each query's difference is a coin toss. Up to 12 differing
    queries all outcomes are counted; beyond, `resamples` of them are drawn and the observed one is counted
    too, so that p is never 0. `less` asks whether ours is worse.
    """
    differences = np.asarray(ours, dtype=np.float64) - np.asarray(theirs, dtype=np.float64)
    if not differences.size:
        raise ValueError("no queries to compare")
    mean = float(differences.mean())
    moving = differences[differences != 0]
    exact = moving.size <= EXACT
    if not moving.size:
        return Randomisation(mean, 1.0, True)
    observed = float(moving.sum())
    if exact:
        outcomes = np.arange(2**moving.size)[:, None] >> np.arange(moving.size)
        sums = (1 - 2 * (outcomes & 1)) @ moving
        return Randomisation(mean, float(_extreme(sums, observed, alternative).mean()), True)
    random = np.random.default_rng(seed)
    rows, count = max(1, _BLOCK // moving.size), 0
    for done in range(0, resamples, rows):
        signs = random.integers(0, 2, (min(rows, resamples - done), moving.size), dtype=np.int8) * 2 - 1
        count += int(_extreme(signs @ moving, observed, alternative).sum())
    return Randomisation(mean, (count + 1) / (resamples + 1), False)


def _extreme(sums: Floats, observed: float, alternative: Alternative) -> npt.NDArray[np.bool_]:
    """Which outcomes are as extreme as the observed one; sums in another order differ by rounding."""
    slack = _ROUNDING * max(1.0, abs(observed))
    if alternative == "greater":
        return sums >= observed - slack
    if alternative == "less":
        return sums <= observed + slack
    return np.abs(sums) >= abs(observed) - slack


def paired_differences(
    ours: Mapping[str, float], theirs: Mapping[str, float], query_ids: Collection[str] | None = None
) -> dict[str, float]:
    """`ours - theirs` of every query, or of those named. Raises ValueError where one of the two lacks one."""
    wanted = sorted(ours.keys() | theirs.keys() if query_ids is None else set(query_ids))
    missing = [query_id for query_id in wanted if query_id not in ours or query_id not in theirs]
    if missing:
        raise ValueError(f"only one of the two has {', '.join(missing[:10])}")
    return {query_id: ours[query_id] - theirs[query_id] for query_id in wanted}


def holm(p_values: Sequence[float]) -> list[float]:
    """p adjusted for so many tests by Holm's step-down method (1979), in the order given."""
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for step, position in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - step) * p_values[position]))
        adjusted[position] = highest
    return adjusted

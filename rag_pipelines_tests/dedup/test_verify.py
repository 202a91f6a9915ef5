"""A candidate counts where its similarity reaches the threshold, and the shingles are fetched only where needed."""

from __future__ import annotations

import numpy as np
import pytest

from rag_pipelines.config.dedup import DedupConfig
from rag_pipelines.dedup import Method, Shingles, Signature, Verdict, verify
from rag_pipelines.dedup.verify import margin

ESTIMATING = DedupConfig(exact=False)
FOUR_OF_FIVE = (np.arange(0, 4, dtype=np.uint64), np.arange(0, 5, dtype=np.uint64))
THREE_OF_FOUR = (np.arange(0, 3, dtype=np.uint64), np.arange(0, 4, dtype=np.uint64))


def signatures(equal: int) -> tuple[Signature, Signature]:
    """Two of 128 values, so many of them equal."""
    a = np.arange(128, dtype=np.uint32)
    b = a.copy()
    b[equal:] += 1000
    return a, b


def never() -> tuple[Shingles, Shingles]:
    raise AssertionError("the shingles were asked for")


def test_the_margin_is_three_standard_errors() -> None:
    assert margin(ESTIMATING) == pytest.approx(3 * (0.8 * 0.2 / 128) ** 0.5)
    assert margin(ESTIMATING) == pytest.approx(0.10607, abs=1e-5)


@pytest.mark.parametrize(("equal", "duplicate"), [(128, True), (116, True), (88, False), (0, False)])
def test_an_estimate_far_from_the_threshold_decides(equal: int, duplicate: bool) -> None:
    found = verify(*signatures(equal), never, ESTIMATING)
    assert found == Verdict(duplicate, equal / 128, Method.ESTIMATE)


@pytest.mark.parametrize("equal", [115, 103, 102, 89])
def test_an_estimate_near_the_threshold_does_not(equal: int) -> None:
    assert verify(*signatures(equal), lambda: FOUR_OF_FIVE, ESTIMATING) == Verdict(True, 0.8, Method.EXACT)
    assert verify(*signatures(equal), lambda: THREE_OF_FOUR, ESTIMATING) == Verdict(False, 0.75, Method.EXACT)


@pytest.mark.parametrize("equal", [0, 128])
def test_exact_settings_always_look_at_the_shingles(equal: int) -> None:
    wanted = DedupConfig(exact=True)
    assert verify(*signatures(equal), lambda: FOUR_OF_FIVE, wanted) == Verdict(True, 0.8, Method.EXACT)
    assert verify(*signatures(equal), lambda: THREE_OF_FOUR, wanted) == Verdict(False, 0.75, Method.EXACT)


@pytest.mark.parametrize("wanted", [ESTIMATING, DedupConfig()])
@pytest.mark.parametrize("equal", [60, 100, 128])
def test_the_verdict_is_the_same_either_way_round(wanted: DedupConfig, equal: int) -> None:
    a, b = signatures(equal)
    there = verify(a, b, lambda: FOUR_OF_FIVE, wanted)
    assert verify(b, a, lambda: (FOUR_OF_FIVE[1], FOUR_OF_FIVE[0]), wanted) == there


def test_a_threshold_of_one_wants_equal_sets() -> None:
    wanted = DedupConfig(threshold=1.0, exact=False)
    assert verify(*signatures(128), lambda: FOUR_OF_FIVE, wanted).duplicate is False
    assert verify(*signatures(127), never, wanted).duplicate is False

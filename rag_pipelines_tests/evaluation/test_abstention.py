"""Telling questions with an answer from those without, on confidences small enough to count."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np
import pytest
from scipy import stats

from rag_pipelines.core.errors import ConfigError
from rag_pipelines.core.ids import content_hash
from rag_pipelines.evaluation.abstention import (
    Abstention,
    abstention,
    best_threshold,
    halves,
    held_out,
    roc_area,
)
from rag_pipelines.evaluation.running import Answer
from rag_pipelines.evaluation.suites import Suite
from rag_pipelines_tests.evaluation.samples import HEADER, query, run_of, suite_of

GROUPS = ["g1", "g2", "g3", "g4"]


def questions(tmp_path: Path) -> Suite:
    """Two answerable (`y`) and two unanswerable (`n`) questions of every group."""
    yes = [query(f"y{number}{group}", group=group) for group in GROUPS for number in (1, 2)]
    no = [query(f"n{number}{group}", group=group, answerable=False) for group in GROUPS for number in (1, 2)]
    return suite_of(tmp_path, [*yes, *no], [HEADER, *(f"{one['_id']}\td\t1" for one in yes)])


def answers(suite: Suite, confidences: Mapping[str, float], decide: float | None = None) -> dict[str, Answer]:
    """An answer a question, confident as its first two letters say, decided at `decide`."""
    found = {}
    for query_id in suite.queries:
        confidence = confidences[query_id[:2]]
        found[query_id] = Answer([], confidence, None if decide is None else confidence >= decide)
    return found


def test_area_by_hand() -> None:
    """Pairs: .9 beats both, .5 beats .2 and ties with .5: (2 + 1.5) / 4."""
    assert roc_area([0.9, 0.5], [0.5, 0.2]) == 3.5 / 4
    assert roc_area([1.0], [0.0]) == 1.0
    assert roc_area([0.0], [1.0]) == 0.0
    assert roc_area([0.3] * 4, [0.3] * 5) == 0.5


def test_area_as_scipy_ranks_it() -> None:
    random = np.random.default_rng(0)
    positive, negative = random.integers(0, 20, 300) + 3.0, random.integers(0, 20, 200) * 1.0
    expected = stats.mannwhitneyu(positive, negative).statistic / (300 * 200)
    assert roc_area(list(positive), list(negative)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("positive", "negative", "threshold"),
    [
        ([0.8, 0.9], [0.1, 0.2], 0.5),  # halfway between .2 and .8
        ([0.4, 0.8, 0.9], [0.1, 0.5], 0.25),  # one mistake at .25 and at .65: the lower
        ([0.5, 0.75], [0.25], 0.375),
        ([0.1, 0.2, 0.3], [0.3], 0.1),  # answer always
        ([0.1, 0.3], [0.2], 0.1),  # one mistake at .1 and at .25: a score at the threshold is answered
        ([0.1], [0.2, 0.3], np.nextafter(0.3, 1)),  # answer never
        ([np.nextafter(0.5, 1)], [0.5], np.nextafter(0.5, 1)),  # nothing lies between
    ],
)
def test_the_threshold_with_the_fewest_mistakes(
    positive: list[float], negative: list[float], threshold: float
) -> None:
    assert best_threshold(positive, negative) == threshold


def test_the_threshold_is_as_good_as_any() -> None:
    random = np.random.default_rng(5)
    for _ in range(20):
        positive, negative = random.normal(0.5, 1, 30).round(1), random.normal(0, 1, 30).round(1)

        def mistakes(at: float, yes: np.ndarray = positive, no: np.ndarray = negative) -> int:
            return int((yes < at).sum() + (no >= at).sum())

        best = min(mistakes(at) for at in np.arange(-5, 5, 0.05))
        assert mistakes(best_threshold(list(positive), list(negative))) == best


def test_counts_by_hand(tmp_path: Path) -> None:
    """Decided at .5, the questions y2 (.4) and n2 (.6) are wrong in each of four groups."""
    suite = questions(tmp_path)
    run = run_of(suite, answers(suite, {"y1": 0.9, "y2": 0.4, "n1": 0.1, "n2": 0.6}, 0.5))
    assert abstention(suite, run) == Abstention(
        answerable=8, unanswerable=8, auroc=0.75, accuracy=0.5, answered_wrongly=4, abstained_wrongly=4
    )


def test_what_the_search_does_not_state_is_none(tmp_path: Path) -> None:
    suite = questions(tmp_path)
    undecided = abstention(suite, run_of(suite, answers(suite, {"y1": 0.9, "y2": 0.4, "n1": 0.1, "n2": 0.6})))
    assert undecided == Abstention(8, 8, 0.75, None, None, None)
    assert abstention(suite, run_of(suite, {})) == Abstention(8, 8, None, None, None, None)


def test_a_suite_without_unanswerable_questions_has_none(tmp_path: Path) -> None:
    suite = suite_of(tmp_path, [query("a")], [HEADER, "a\td\t1"])
    assert abstention(suite, run_of(suite, {"a": ["d"]})) is None


def test_halves_are_the_same_on_every_run_and_in_no_order() -> None:
    names = [f"g{number:02d}" for number in range(20)]
    first, second = halves(names)
    assert (first, second) == halves(reversed([*names, *names]))
    assert (len(first), len(second)) == (10, 10)
    assert first | second == set(names)
    assert first == set(sorted(names, key=content_hash)[:10])
    assert first != set(names[:10])
    assert [len(half) for half in halves(["a", "b", "c"])] == [2, 1]


def test_the_threshold_is_measured_on_the_other_groups(tmp_path: Path) -> None:
    """Halfway between .3 and .7 in the first half; in the other half y2 (.4) falls below it."""
    suite = questions(tmp_path)
    first, second = halves(GROUPS)
    found = answers(suite, {"y1": 0.9, "y2": 0.7, "n1": 0.1, "n2": 0.3})
    for query_id in found:
        if query_id[2:] in second and query_id.startswith("y2"):
            found[query_id] = Answer([], 0.4)
    held = held_out(suite, run_of(suite, found), "group")
    assert (held.group_key, held.threshold, held.tuned) == ("group", 0.5, 8)
    assert held.tested == Abstention(4, 4, 1.0, 6 / 8, 0, 2)
    assert len(first) == 2


def test_what_cannot_be_held_out_is_refused(tmp_path: Path) -> None:
    suite = questions(tmp_path)
    run = run_of(suite, answers(suite, {"y1": 0.9, "y2": 0.7, "n1": 0.1, "n2": 0.3}))
    with pytest.raises(ConfigError, match="has no metadata 'article'"):
        held_out(suite, run, "article")
    with pytest.raises(ConfigError, match="has no confidence"):
        held_out(suite, run_of(suite, {}), "group")
    with pytest.raises(ConfigError, match="run it again"):
        held_out(suite, msgspec.structs.replace(run, suite_hash="0"), "group")
    one = suite_of(
        tmp_path / "one",
        [query("y1", group="g"), query("n1", group="g", answerable=False)],
        [HEADER, "y1\td\t1"],
    )
    with pytest.raises(ConfigError, match="holds no answerable or no unanswerable"):
        held_out(one, run_of(one, answers(one, {"y1": 1, "n1": 0})), "group")

"""Which passages are marked, lose ranks or are withheld: the first scope that holds decides."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from rag_pipelines.config.injection import Action, InjectionConfig, InjectionScope
from rag_pipelines.core.types import Classification, Hit
from rag_pipelines.governance.injection_policy import InjectionPolicy, strongest_flag
from rag_pipelines.retrieval.grouping import Group
from rag_pipelines.retrieval.suspects import demoted
from rag_pipelines_tests.governance.evaluator import holds

MIXED = InjectionConfig(
    action="mark",
    threshold=0.5,
    scopes=(
        InjectionScope(sources=("wiki",), classifications=(Classification.PUBLIC,), action="off"),
        InjectionScope(sources=("wiki", "mail"), action="withhold", threshold=0.3),
        InjectionScope(indexes=("other",), action="withhold", threshold=0.01),
        InjectionScope(classifications=(Classification.RESTRICTED,), action="downrank"),
    ),
)


def payload(score: float | None, source: str = "docs", tier: str = "internal") -> dict[str, Any]:
    """A point of the tier's source."""
    flag = {} if score is None else {"injection": {"score": score, "reasons": ["override"]}}
    return {
        "source": source,
        "classification": tier,
        "classification_rank": Classification(tier).rank,
        **flag,
    }


@pytest.mark.parametrize(
    ("point", "shown", "marked", "lowered"),
    [
        (payload(None), True, False, False),
        (payload(0.49), True, False, False),
        (payload(0.5), True, True, False),
        (payload(0.9, "wiki", "public"), True, False, False),
        (payload(0.29, "wiki"), True, False, False),
        (payload(0.3, "wiki"), False, True, False),
        (payload(0.3, "mail", "restricted"), False, True, False),
        (payload(0.6, "docs", "restricted"), True, True, True),
        (payload(0.4, "docs", "restricted"), True, False, False),
    ],
)
def test_what_becomes_of_a_passage(point: dict[str, Any], shown: bool, marked: bool, lowered: bool) -> None:
    policy = InjectionPolicy(MIXED, "knowledge")
    assert holds(policy.shown(), point) == shown
    assert (policy.mark(point, point.get("injection")) is not None) == marked
    assert policy.demotes(point) == lowered


def test_a_scope_of_another_index_does_not_hold() -> None:
    assert holds(InjectionPolicy(MIXED, "knowledge").shown(), payload(0.1))
    assert not holds(InjectionPolicy(MIXED, "other").shown(), payload(0.1))


actions = st.sampled_from(["off", "mark", "downrank", "withhold"])
scores = st.sampled_from([0.2, 0.5, 0.8])
tiers = st.sampled_from(list(Classification))
scopes = st.builds(
    InjectionScope,
    sources=st.sampled_from([("a",), ("a", "b"), ()]),
    classifications=st.lists(tiers, min_size=1, max_size=2, unique=True).map(tuple),
    action=actions,
    threshold=st.none() | scores,
)


@settings(max_examples=200, derandomize=True, database=None)
@given(
    st.builds(
        InjectionConfig, action=actions, threshold=scores, scopes=st.lists(scopes, max_size=3).map(tuple)
    ),
    st.sampled_from(["a", "b", "c"]),
    tiers,
    st.none() | st.sampled_from([0.1, 0.2, 0.4, 0.5, 0.8, 1.0]),
)
def test_the_filter_says_what_the_treatment_says(
    config: InjectionConfig, source: str, tier: Classification, score: float | None
) -> None:
    policy, point = InjectionPolicy(config, "knowledge"), payload(score, source, tier.value)
    own = policy.treatment(point)
    withheld = own.action == "withhold" and score is not None and score >= own.threshold
    assert holds(policy.shown(), point) == (not withheld)


def groups(*flagged: bool) -> list[Group]:
    """One group a letter, scored 10, 9, ..."""
    return [
        Group(Hit(chr(97 + place), 10.0 - place, payload(0.9 if flag else None)))
        for place, flag in enumerate(flagged)
    ]


def names(found: list[Group]) -> str:
    """The letters in their order."""
    return "".join(group.best.point_id for group in found)


def lowering(places: int) -> InjectionPolicy:
    """Everything that is suspect loses ranks."""
    return InjectionPolicy(InjectionConfig(action="downrank", places=places), "knowledge")


def test_a_suspect_passage_loses_ranks_and_keeps_below_what_passed_it() -> None:
    found = demoted(groups(True, False, False, False, False), lowering(2))
    assert names(found) == "bcade"
    assert [group.best.score for group in found] == [9.0, 8.0, 8.0, 7.0, 6.0]
    assert names(demoted(groups(True, True, False, False, False, False), lowering(2))) == "cadbef"
    assert names(demoted(groups(False, False, True), lowering(2))) == "abc"
    marking = InjectionPolicy(InjectionConfig(), "knowledge")
    assert (names(demoted(groups(True, False), marking)), marking.places) == ("ab", 0)


@settings(max_examples=200, derandomize=True, database=None)
@given(st.lists(st.booleans(), max_size=30), st.integers(1, 6), st.integers(1, 8))
def test_the_first_k_of_a_part_are_those_of_the_whole(flags: list[bool], places: int, k: int) -> None:
    whole, policy = groups(*flags), lowering(places)
    assert names(demoted(whole[: k + places], policy)[:k]) == names(demoted(whole, policy)[:k])


def test_parts_shown_as_one_carry_the_strongest_flag() -> None:
    weak, strong = {"score": 0.4, "reasons": ["task"]}, {"score": 0.9, "reasons": ["override", "task"]}
    assert strongest_flag([weak, None, strong]) == {"score": 0.9, "reasons": ["override", "task"]}
    assert strongest_flag([None]) is None


def test_a_scope_that_names_nothing_is_refused() -> None:
    action: Action = "withhold"
    with pytest.raises(ValidationError, match="names no indexes, sources or classifications"):
        InjectionScope(action=action)

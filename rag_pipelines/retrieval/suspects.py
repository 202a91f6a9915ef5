"""Passages that lose ranks because they may hold instructions for a machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rag_pipelines.governance.injection_policy import InjectionPolicy
from rag_pipelines.retrieval.grouping import Group


def demoted(groups: Sequence[Group], policy: InjectionPolicy) -> list[Group]:
    """The groups with each suspect one so many ranks lower, behind the unsuspected one that stood there.

    For the first k of them to be right, k and those ranks more have to be given. None keeps a score above the
    one before it.
    """
    lost = policy.places
    if not lost or not any(policy.demotes(group.best.payload) for group in groups):
        return list(groups)
    placed = [
        (place + lost + 0.5 if policy.demotes(group.best.payload) else float(place), group)
        for place, group in enumerate(groups)
    ]
    placed.sort(key=lambda pair: pair[0])
    found: list[Group] = []
    for _, group in placed:
        score = min(group.best.score, found[-1].best.score) if found else group.best.score
        found.append(Group(replace(group.best, score=score), group.others))
    return found

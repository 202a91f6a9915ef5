"""What readers get of passages that are suspect: the one place where a flag becomes a mark, a lower rank or a filter.

A passage that is withheld is as if it were not there, and nothing counts it: how many were withheld from a question
would tell whoever planted one whether it was recognised.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rag_pipelines.config.injection import Action, InjectionConfig, InjectionScope
from rag_pipelines.core.filters import EVERYTHING, All, AnyOf, Condition, MatchAny, Not, Range
from rag_pipelines.core.types import Classification
from rag_pipelines.index.points import (
    CLASSIFICATION,
    CLASSIFICATION_RANK,
    INJECTION,
    INJECTION_SCORE,
    SOURCE,
)


@dataclass(frozen=True, slots=True)
class Treatment:
    """What is done with a passage from a score on."""

    action: Action
    threshold: float


@dataclass(frozen=True, slots=True)
class InjectionPolicy:
    """The policy as it holds in one index. It is part of opening an index: no request can change it."""

    config: InjectionConfig
    index: str

    @property
    def scopes(self) -> tuple[InjectionScope, ...]:
        """Those that may hold for a passage of the index."""
        return tuple(
            scope for scope in self.config.scopes if not scope.indexes or self.index in scope.indexes
        )

    @property
    def places(self) -> int:
        """Ranks that a down-ranked passage loses; 0 where none is ever down-ranked here."""
        actions = {self.config.action, *(scope.action for scope in self.scopes)}
        return self.config.places if "downrank" in actions else 0

    def treatment(self, payload: Mapping[str, Any]) -> Treatment:
        """What the first scope that holds says of a passage of this source and classification."""
        for scope in self.scopes:
            of_source = not scope.sources or payload[SOURCE] in scope.sources
            # A point without a classification is nobody's to read; to nobody it is restricted.
            tier = Classification(payload.get(CLASSIFICATION, Classification.RESTRICTED))
            if of_source and (not scope.classifications or tier in scope.classifications):
                return self._of_scope(scope)
        return Treatment(self.config.action, self.config.threshold)

    def shown(self) -> Condition:
        """What is not withheld, as a filter on points. Every read path adds it to what a version holds."""
        withheld = self.withheld()
        return EVERYTHING if withheld is None else Not(withheld)

    def withheld(self) -> Condition | None:
        """What is withheld, as a filter on points; None where nothing ever is."""
        withheld: list[Condition] = []
        earlier: list[Condition] = []
        for scope in self.scopes:
            here = _where(scope)
            own = self._of_scope(scope)
            if own.action == "withhold":
                withheld.append(All((here, *earlier, Range(INJECTION_SCORE, gte=own.threshold))))
            earlier.append(Not(here))
        if self.config.action == "withhold":
            withheld.append(All((*earlier, Range(INJECTION_SCORE, gte=self.config.threshold))))
        return AnyOf(tuple(withheld)) if withheld else None

    def mark(self, payload: Mapping[str, Any], flag: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        """What a reader is told of a passage that shows text with this flag, of the payload's document."""
        own = self.treatment(payload) if flag else None
        if flag is None or own is None or own.action == "off" or flag["score"] < own.threshold:
            return None
        return {"score": flag["score"], "reasons": list(flag["reasons"])}

    def demotes(self, payload: Mapping[str, Any]) -> bool:
        """Whether the passage loses ranks."""
        flag = payload.get(INJECTION)
        if not flag:
            return False
        own = self.treatment(payload)
        return own.action == "downrank" and flag["score"] >= own.threshold

    def _of_scope(self, scope: InjectionScope) -> Treatment:
        return Treatment(scope.action, scope.threshold or self.config.threshold)


def strongest_flag(flags: Iterable[Mapping[str, Any] | None]) -> Mapping[str, Any] | None:
    """Of passages that are shown as one: the highest score, with the reasons of all."""
    found = sorted((flag for flag in flags if flag), key=lambda flag: -float(flag["score"]))
    if not found:
        return None
    reasons = dict.fromkeys(name for flag in found for name in flag["reasons"])
    return {"score": found[0]["score"], "reasons": list(reasons)}


OFF = InjectionConfig(action="off")


def _where(scope: InjectionScope) -> Condition:
    parts: list[Condition] = []
    if scope.sources:
        parts.append(MatchAny(SOURCE, scope.sources))
    if scope.classifications:
        ranks = tuple(sorted(tier.rank for tier in scope.classifications))
        parts.append(MatchAny(CLASSIFICATION_RANK, ranks))
    return All(tuple(parts))

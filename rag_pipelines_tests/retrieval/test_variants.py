"""A variant shares what its index has opened, and opens only a reranker of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from rag_pipelines.config.injection import InjectionConfig
from rag_pipelines.config.models import IndexConfig
from rag_pipelines.config.retrieval import RerankConfig
from rag_pipelines.governance.injection_policy import InjectionPolicy
from rag_pipelines.retrieval.parts import Parts
from rag_pipelines.retrieval.rerank import Reranker, Scores
from rag_pipelines.retrieval.variants import make_variant

POLICY = InjectionPolicy(InjectionConfig(), "knowledge")
READS = {"index": "knowledge", "retrieval": {"rerank": {"model": "own"}}}


@dataclass
class Named:
    """A reranker that is not asked."""

    model: str

    def score(self, query: str, passages: Sequence[str]) -> Scores:
        return np.zeros(len(passages))


def opened(settings: RerankConfig | None) -> Reranker | None:
    return Named(settings.model) if settings is not None else None


def nothing(*_: object) -> Any:
    raise AssertionError("nothing is read here")


@pytest.mark.parametrize(
    ("overlay", "expected"),
    [
        ({"weights": {"sparse": 2}}, "own"),
        ({"rerank": {"top_n": 5, "weight": 0.5}}, "own"),
        ({"rerank": {"model": "other"}}, "other"),
        ({"rerank": None}, None),
    ],
)
def test_the_reranker_of_a_variant(overlay: dict[str, Any], expected: str | None) -> None:
    config = IndexConfig.model_validate(READS)
    parts = Parts(nothing, nothing, POLICY, Named("own"))
    made = make_variant("v", overlay, config, parts, opened)
    found = made.parts.reranker
    assert (found.model if isinstance(found, Named) else None) == expected
    assert (made.parts is parts) == (expected == "own")
    assert made.parts.text_of is parts.text_of


def test_the_fingerprint_is_of_all_that_changes_answers() -> None:
    config, parts = IndexConfig.model_validate(READS), Parts(nothing, nothing, POLICY)
    marks = [
        make_variant(name, overlay, config, parts, opened).fingerprint
        for name, overlay in (("a", {}), ("b", {}), ("a", {"rrf_k": 61}), ("a", {"rrf_k": 60}))
    ]
    assert len(set(marks)) == 3
    assert marks[0] == marks[3]

"""Scores, ranks and terms of each passage, by hand, and through a real search."""

from __future__ import annotations

import numpy as np
import pytest

from rag_pipelines.config.retrieval import Weights
from rag_pipelines.core.ports import SearchRequest
from rag_pipelines.core.types import Hit, SparseVector
from rag_pipelines.retrieval.explain import Explanation, Placed, explain
from rag_pipelines_tests.project import Project

TERMS = SparseVector(np.array([7], np.uint32), np.array([1.0], np.float32))
REQUEST = SearchRequest(limit=2, dense=np.array([1.0], np.float32), sparse=TERMS, candidates=3)
TEXTS = {"a": "the red gate", "b": "a blue gate", "c": "nothing"}


def hits(**scores: float) -> list[Hit]:
    return [
        Hit(name, score, {"text": TEXTS[name], "title": None, "uri": name}) for name, score in scores.items()
    ]


def ask(request: SearchRequest) -> list[Hit]:
    """`a` is found by vector only, `c` by terms only."""
    assert request.limit == 3
    return hits(a=0.9, b=0.5) if request.dense is not None else hits(b=4.0, c=2.0)


def test_each_ranking_s_score_and_rank_and_the_terms_that_match() -> None:
    found = explain(ask, REQUEST, Weights(), "red gate, red", hits(b=1.0, a=0.6), str.split, reranked=False)

    # Of two scores each: normalised 0.5 +- 1 / (6 * sqrt 2).
    far, near = 0.5 + 1 / 72**0.5, 0.5 - 1 / 72**0.5
    one, two = found
    assert one == Explanation(Placed(0.5, 2), Placed(4.0, 1), one.fused, None, ())
    assert one.fused is not None
    assert one.fused.rank == 1
    assert one.fused.score == pytest.approx(near + far)
    assert two == Explanation(Placed(0.9, 1), None, two.fused, None, ("red",))
    assert two.fused is not None
    assert two.fused.rank == 2
    assert two.fused.score == pytest.approx(far)


def test_a_reranker_s_scores_stand_beside_the_fused_ones() -> None:
    found = explain(ask, REQUEST, Weights(), "", hits(a=7.5, b=-2.0), None, reranked=True)

    assert [one.rerank for one in found] == [Placed(7.5, 1), Placed(-2.0, 2)]
    assert [one.fused.rank for one in found if one.fused is not None] == [2, 1]
    assert [one.matched for one in found] == [(), ()]


def test_one_half_alone_has_no_fused_ranking() -> None:
    request = SearchRequest(limit=3, dense=None, sparse=TERMS, candidates=3)
    (one,) = explain(ask, request, Weights(), "gate", hits(c=2.0), str.split, reranked=False)
    assert one == Explanation(None, Placed(2.0, 2), None, None, ())


def test_a_search_explains_itself_only_when_asked(copies: Project) -> None:
    question = "when is the car park's gate opened"
    plain = copies.search(question)
    told = copies.search(question, explained=True)

    assert plain.explanations is None
    assert all("explanation" not in passage for passage in plain.as_json()["passages"])
    assert told.passages == plain.passages
    assert told.explanations is not None
    first = told.explanations[0]
    assert first.matched == ("car", "park", "gate", "open")
    assert first.fused is not None
    assert first.fused.rank == 1
    assert first.fused.score == pytest.approx(told.passages[0].score, rel=1e-3)
    assert told.as_json()["passages"][0]["explanation"]["sparse"]["rank"] == 1

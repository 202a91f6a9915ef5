"""Weighing the two halves of a hybrid search, computed by hand, and the engine's own fusion beside it."""

from __future__ import annotations

import numpy as np
import pytest

from rag_pipelines.config.retrieval import Weights
from rag_pipelines.core.ports import SearchRequest
from rag_pipelines.core.types import Hit, SparseVector
from rag_pipelines.retrieval.fusion import distribution_based, fused, fusing, reciprocal
from rag_pipelines_tests.project import Project

DENSE = np.array([1.0, 0.0], np.float32)
TERMS = SparseVector(np.array([7], np.uint32), np.array([1.0], np.float32))
HYBRID = SearchRequest(limit=2, dense=DENSE, sparse=TERMS, candidates=3)


def hits(**scores: float) -> list[Hit]:
    return [Hit(name, score, {"of": name}) for name, score in scores.items()]


def test_scores_lie_between_three_deviations_below_and_above_the_mean() -> None:
    # Mean 2, deviation 1 (of the sample): from -1 to 5.
    assert distribution_based(np.array([3.0, 2.0, 1.0])).tolist() == pytest.approx([4 / 6, 3 / 6, 2 / 6])
    assert distribution_based(np.array([9.0])).tolist() == [0.5]
    assert distribution_based(np.array([4.0, 4.0])).tolist() == [0.5, 0.5]
    assert distribution_based(np.array([])).tolist() == []


def test_reciprocal_ranks_begin_at_zero() -> None:
    assert reciprocal(np.array([9.0, 1.0]), 60).tolist() == pytest.approx([1 / 60, 1 / 61])


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        # Normalised, dense: a 4/6, b 3/6, c 2/6; sparse: c 4/6, b 3/6, d 2/6.
        (Weights(), [("b", 1.0), ("c", 1.0), ("a", 4 / 6), ("d", 2 / 6)]),
        (Weights(dense=3), [("b", 2.0), ("a", 2.0), ("c", 10 / 6), ("d", 2 / 6)]),
        (Weights(dense=0), [("c", 4 / 6), ("b", 3 / 6), ("d", 2 / 6), ("a", 0.0)]),
    ],
)
def test_the_weights_multiply_the_normalised_scores(
    weights: Weights, expected: list[tuple[str, float]]
) -> None:
    found = fused(hits(a=3, b=2, c=1), hits(c=30, b=20, d=10), HYBRID, weights)
    assert {hit.point_id: hit.score for hit in found} == pytest.approx(dict(expected))
    assert [hit.score for hit in found] == pytest.approx([score for _, score in expected])
    assert [hit.payload for hit in found] == [{"of": hit.point_id} for hit in found]


def test_ranks_are_weighed_too() -> None:
    request = SearchRequest(limit=2, dense=DENSE, sparse=TERMS, fusion="rrf", rrf_k=1)
    found = fused(hits(a=3, b=2), hits(b=5), request, Weights(dense=1, sparse=4))
    assert [(hit.point_id, hit.score) for hit in found] == [("b", 4.5), ("a", 1.0)]


def test_halves_that_count_the_same_are_left_to_the_engine() -> None:
    asked: list[SearchRequest] = []

    def ask(request: SearchRequest) -> list[Hit]:
        asked.append(request)
        return hits(a=3, b=2, c=1) if request.dense is not None else hits(c=30, b=20, d=10)

    fusing(ask, Weights(dense=2, sparse=2))(HYBRID)
    assert asked == [HYBRID]

    found = fusing(ask, Weights(dense=1, sparse=3))(HYBRID)
    assert [hit.point_id for hit in found] == ["c", "b"]
    assert [(one.dense is None, one.sparse is None, one.limit) for one in asked[1:]] == [
        (False, True, 3),
        (True, False, 3),
    ]


@pytest.mark.parametrize("fusion", ["dbsf", "rrf"])
def test_with_equal_weights_the_scores_are_the_engine_s(copies: Project, fusion: str) -> None:
    with copies.searchers() as searchers:
        searcher = searchers.get("knowledge")
        searcher.warm()
        _, reader, shown = searcher.scroll_reader(None)
        encoder = searcher._current().encoder
        assert encoder.sparse is not None
        question = "when does the gate of the car park open"
        request = SearchRequest(
            limit=10,
            dense=encoder.embedder().embed_query(question),
            sparse=encoder.sparse.encode_query(question),
            condition=shown,
            fusion=fusion,
            rrf_k=60,
        )
        theirs = reader.search(request)
        ours = fusing(reader.search, Weights(dense=1.0, sparse=1.0 + 1e-9))(request)
    assert len(theirs) > 2
    assert {hit.point_id for hit in ours} == {hit.point_id for hit in theirs}
    # Equal texts tie, and the engine ranks those as it stores them: scores are compared by place.
    assert [hit.score for hit in ours] == pytest.approx([hit.score for hit in theirs], rel=1e-3)

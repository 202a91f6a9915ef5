"""Where the question's vector moves, and from what."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from rag_pipelines.config.retrieval import Feedback
from rag_pipelines.core.filters import EVERYTHING, Condition, HasId, Match, Scalar
from rag_pipelines.core.ports import SearchRequest
from rag_pipelines.core.types import Hit, SparseVector, StoredPoint
from rag_pipelines.retrieval.feedback import moved, with_feedback

TERMS = SparseVector(np.array([7], np.uint32), np.array([1.0], np.float32))
MINE = Match("tenant", "acme")
REQUEST = SearchRequest(limit=10, dense=np.array([1, 0], np.float32), sparse=TERMS, condition=MINE)
VECTORS = {"p1": [0.0, 2.0], "p2": [0.0, 1.0], "p3": [-1.0, 0.0]}


class Reader:
    """Three passages, the first two with one text."""

    def __init__(self) -> None:
        self.asked: list[SearchRequest] = []
        self.read: list[Condition] = []

    def search(self, request: SearchRequest) -> list[Hit]:
        self.asked.append(request)
        texts = {"p1": "same", "p2": "same", "p3": "other"}
        return [Hit(name, 1.0, {"text_hash": text}) for name, text in texts.items()][: request.limit]

    def count(self, condition: Condition = EVERYTHING) -> int:
        raise NotImplementedError

    def facet(self, field: str, condition: Condition, limit: int) -> list[tuple[Scalar, int]]:
        raise NotImplementedError

    def scroll(
        self,
        condition: Condition = EVERYTHING,
        *,
        with_vectors: bool = False,
        batch: int = 1000,
        after: str | None = None,
    ) -> Iterator[StoredPoint]:
        assert with_vectors
        assert isinstance(condition, HasId)
        self.read.append(condition)
        for name in condition.ids:
            yield StoredPoint(name, {}, np.array(VECTORS[name], np.float32))

    def close(self) -> None:
        raise NotImplementedError


def test_the_vector_moves_towards_the_mean_direction_and_keeps_its_length() -> None:
    question = np.array([3.0, 0.0], np.float32)
    found = moved(question, np.array([[0.0, 2.0], [0.0, 5.0]], np.float32), 0.75)
    # (1, 0) + 0.75 * (0, 1), of length 1.25, at length 3.
    assert found.tolist() == pytest.approx([2.4, 1.8])
    assert found.dtype == np.float32


def test_passages_that_point_away_leave_the_question_as_it_is() -> None:
    question = np.array([1.0, 0.0], np.float32)
    assert moved(question, np.array([[-1.0, 0.0]], np.float32), 1.0).tolist() == [1.0, 0.0]


def test_each_text_counts_once_and_only_what_may_be_read_is_asked_for() -> None:
    reader = Reader()
    found = with_feedback(reader.search, reader, REQUEST, Feedback(passages=2, weight=1.0))

    assert reader.asked == [replace(REQUEST, limit=6)]
    assert reader.asked[0].condition == MINE
    assert reader.read == [HasId(("p1", "p3"))]
    assert found.dense is not None
    # (1, 0) + mean of (0, 1) and (-1, 0) = (0.5, 0.5), at length 1.
    assert found.dense.tolist() == pytest.approx([0.5**0.5, 0.5**0.5])
    assert replace(found, dense=None) == replace(REQUEST, dense=None)


@pytest.mark.parametrize(
    ("request_", "settings"),
    [
        (REQUEST, Feedback(passages=0)),
        (replace(REQUEST, dense=None), Feedback()),
        (replace(REQUEST, sparse=None), Feedback()),
    ],
)
def test_one_half_alone_and_no_passages_mean_no_second_search(
    request_: SearchRequest, settings: Feedback
) -> None:
    reader = Reader()
    assert with_feedback(reader.search, reader, request_, settings) is request_
    assert reader.asked == []


def test_where_nothing_is_found_the_question_stays() -> None:
    reader = Reader()
    assert with_feedback(lambda _: [], reader, REQUEST, Feedback()) is REQUEST

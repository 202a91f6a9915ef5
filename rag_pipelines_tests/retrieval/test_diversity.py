"""Marginal relevance by hand, and over the vectors of a real index."""

from __future__ import annotations

import numpy as np
import pytest

from rag_pipelines.retrieval.diversity import marginal, similarities
from rag_pipelines.retrieval.options import Options
from rag_pipelines_tests.project import Project

SCORES = np.array([4.0, 3.0, 2.0, 0.0])
LIKE = np.array(
    [
        [1.0, 0.9, 0.1, 0.0],
        [0.9, 1.0, 0.2, 0.0],
        [0.1, 0.2, 1.0, 0.0],
        [0.0, 0.0, 0.0, 1.0],
    ]
)


@pytest.mark.parametrize(
    ("balance", "order"),
    [
        (1.0, [0, 1, 2, 3]),
        # After the first: .5 * .75 - .5 * .9 < .5 * 0 - 0 < .5 * .5 - .5 * .1
        (0.5, [0, 2, 3, 1]),
        # Relevance still counts: .9 * .75 - .1 * .9 is the most
        (0.9, [0, 1, 2, 3]),
        # Likeness alone: the first, then what is least like those taken
        (0.0, [0, 3, 2, 1]),
    ],
)
def test_the_next_is_relevant_and_unlike_those_taken(balance: float, order: list[int]) -> None:
    assert marginal(SCORES, LIKE, balance) == order


def test_equal_scores_stay_in_order_where_all_are_unlike() -> None:
    assert marginal(np.array([2.0, 2.0, 2.0]), np.eye(3), 0.5) == [0, 1, 2]


def test_a_passage_without_a_vector_is_like_none() -> None:
    found = similarities(("a", "b", "c"), {"a": np.array([3.0, 0.0]), "c": np.array([3.0, 4.0])})
    assert found == pytest.approx(np.array([[1, 0, 0.6], [0, 0, 0], [0.6, 0, 1]]))


def test_variations_of_one_sentence_leave_room_for_others(copies: Project) -> None:
    for number in range(4):
        copies.write(f"fee{number}.md", f"The fee for a lost badge of the car park is {20 + number} euros.\n")
    copies.write("badge.md", "Badges are issued at the reception on the first day of work.\n")
    copies.sync()
    question = "lost badge"

    plain = copies.uris(question, k=3)
    unlike = copies.uris(question, k=3, options=Options(mmr_lambda=0.4))
    assert all(uri.startswith("fee") for uri in plain)
    assert unlike[0] == plain[0]
    assert "badge.md" in unlike
    assert copies.uris(question, k=3, options=Options(mmr_lambda=1.0)) == plain

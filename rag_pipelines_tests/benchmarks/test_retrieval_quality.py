"""The measures and the test of the retrieval benchmark, by hand."""

from __future__ import annotations

import math

import pytest
import torch

from rag_pipelines_tests.benchmarks.late_interaction import LateInteraction
from rag_pipelines_tests.benchmarks.retrieval_quality import Quality, randomisation, scored, table


def test_every_judged_question_counts_and_a_uri_may_hold_white_space() -> None:
    qrels = {"q1": {"a b.md": 1, "c.md": 1}, "q2": {"c.md": 1}}
    ndcg, recall = scored(qrels, {"q1": ["x.md", "a b.md"], "q2": []})
    ideal = 1 + 1 / math.log2(3)
    assert ndcg == pytest.approx({"q1": 1 / math.log2(3) / ideal, "q2": 0.0})
    assert recall == pytest.approx({"q1": 0.5, "q2": 0.0})


def test_the_order_of_the_documents_counts() -> None:
    qrels = {"q": {"a": 1}}
    ndcg, _ = scored(qrels, {"q": ["x", "y", "a"]})
    assert ndcg["q"] == pytest.approx(0.5)


def test_random_signs_reach_a_difference_of_three_questions_in_a_quarter_of_cases() -> None:
    ours, theirs = {"a": 1.0, "b": 1.0, "c": 1.0}, {"a": 0.0, "b": 0.0, "c": 0.0}
    assert randomisation(ours, theirs) == pytest.approx(0.25, abs=0.01)
    assert randomisation(ours, ours) == 1.0


def test_the_table_leaves_out_what_is_compared_with_itself() -> None:
    rows = [
        Quality("s", "BM25", 3, 0.5, 0.75, 1.25, 4.0),
        Quality("s", "DBSF", 3, 0.625, 1.0, 2.0, 4.5, 0.125, 0.03125),
    ]
    assert table(rows).splitlines()[2:] == [
        "| s | BM25 | 3 | 0.5000 | 0.7500 | 1.2 | 4.0 |  |  |",
        "| s | DBSF | 3 | 0.6250 | 1.0000 | 2.0 | 4.5 | +0.1250 | 0.03125 |",
    ]


class _Words:
    """Stands in for the model: one vector a letter, so that cosines can be counted by hand."""

    def encode(self, texts: list[str], **_: object) -> list[torch.Tensor]:
        axes = {"a": [3.0, 0.0], "b": [0.0, 1.0], "c": [1.0, 1.0]}
        return [torch.tensor([axes[letter] for letter in text]) for text in texts]


def test_each_token_counts_the_nearest_of_the_passage() -> None:
    reranker = object.__new__(LateInteraction)
    reranker._model = _Words()
    half = math.sqrt(0.5)
    assert reranker.score("ab", ["a", "c", "ba"]).tolist() == pytest.approx([0.5, half, 1.0])

"""A new order within its limits, and a real, random CrossEncoder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from rag_pipelines.config.retrieval import RerankConfig
from rag_pipelines.core.errors import EmbeddingError
from rag_pipelines.core.types import Hit
from rag_pipelines.retrieval.grouping import Group
from rag_pipelines.retrieval.rerank import (
    BATCH,
    CrossEncoderReranker,
    Reranking,
    passage_text,
    rerank,
    standardised,
)
from rag_pipelines_tests.cross_encoder import made_cross_encoder
from rag_pipelines_tests.project import Project


def group(name: str, score: float) -> Group:
    return Group(Hit(name, score, {"text": name, "title": "notes.md", "uri": "docs/notes.md"}))


def names(groups: Sequence[Group]) -> list[str]:
    return [one.best.point_id for one in groups]


class Length:
    """Longer is better; each batch takes `seconds` of a clock that the test reads."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.clock, self.seconds = 0.0, seconds
        self.read: list[str] = []

    def now(self) -> float:
        return self.clock

    def score(self, query: str, passages: Sequence[str]) -> npt.NDArray[np.float64]:
        self.clock += self.seconds
        self.read += passages
        return np.array([len(text) for text in passages], np.float64)


FUSED = [group("a", 0.9), group("bbb", 0.8), group("cc", 0.7), group("dddddd", 0.6)]


def test_the_model_s_order_comes_first_and_what_it_did_not_read_behind() -> None:
    reader = Length()
    found, told = rerank(reader, "?", FUSED, RerankConfig(model="m", top_n=3))

    assert names(found) == ["bbb", "cc", "a", "dddddd"]
    assert told == Reranking("m", 3, True)
    assert reader.read == ["a", "bbb", "cc"]
    scores = [one.best.score for one in found]
    assert scores == sorted(scores, reverse=True)


def test_with_a_weight_both_standardised_scores_count() -> None:
    # Standardised, fused: (3, 1, -1, -3) / sqrt 5; lengths: (-2, 0, -1, 3) / sqrt 3.5.
    found, _ = rerank(Length(), "?", FUSED, RerankConfig(model="m", weight=0.5))
    assert names(found) == ["bbb", "a", "dddddd", "cc"]
    assert found[0].best.score == pytest.approx(0.5 / 5**0.5)
    assert found[1].best.score == pytest.approx(1.5 / 5**0.5 - 1 / 3.5**0.5)


def test_when_time_runs_out_the_fused_order_is_answered_and_said() -> None:
    many = [group("x" * (1 + number % 5) + str(number), 1 / (1 + number)) for number in range(3 * BATCH)]
    reader = Length(seconds=0.6)
    found, told = rerank(reader, "?", many, RerankConfig(model="m", seconds=1.0), reader.now)

    assert found == many
    assert told == Reranking("m", 2 * BATCH, False)
    assert len(reader.read) == 2 * BATCH


def test_a_last_batch_that_ends_late_still_counts() -> None:
    reader = Length(seconds=5.0)
    found, told = rerank(reader, "?", FUSED, RerankConfig(model="m", seconds=1.0), reader.now)
    assert told.applied
    assert names(found)[0] == "dddddd"


def test_nothing_found_is_nothing_to_order() -> None:
    assert rerank(Length(), "?", [], RerankConfig(model="m")) == ([], Reranking("m", 0, True))


def test_equal_scores_say_nothing() -> None:
    assert standardised(np.array([2.0, 2.0])).tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("title", "path", "expected"),
    [
        ("Travel", ["Hotels"], "Travel > Hotels\ntext"),
        ("Travel", ["Travel", "Hotels"], "Travel > Hotels\ntext"),
        ("travel.md", [], "text"),
        (None, None, "text"),
    ],
)
def test_a_passage_is_read_under_its_headings(
    title: str | None, path: list[str] | None, expected: str
) -> None:
    payload = {"text": "text", "title": title, "uri": "docs/travel.md", "heading_path": path}
    assert passage_text(Hit("p", 1.0, payload)) == expected


@pytest.fixture(scope="module")
def cross_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once for the tests of this module."""
    return made_cross_encoder(tmp_path_factory.mktemp("cross"))


def test_a_cross_encoder_scores_pairs_as_sentence_transformers_does(cross_encoder: Path) -> None:
    from sentence_transformers import CrossEncoder

    passages = ["The gate opens at six.", "Tickets need consent.", "Hotels are booked."]
    pairs = [("when does it open", passage) for passage in passages]
    expected = CrossEncoder(str(cross_encoder), device="cpu").predict(pairs)
    found = CrossEncoderReranker(str(cross_encoder)).score("when does it open", passages)
    assert found.tolist() == pytest.approx(expected.tolist(), abs=1e-5)
    assert len(set(found.tolist())) == 3


def test_pickled_weights_are_refused(cross_encoder: Path, tmp_path: Path) -> None:
    import torch

    for file in cross_encoder.iterdir():
        if file.suffix != ".safetensors":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    torch.save({}, tmp_path / "pytorch_model.bin")
    with pytest.raises(EmbeddingError, match="safetensors"):
        CrossEncoderReranker(str(tmp_path)).score("?", ["text"])


def test_the_answer_says_what_the_configured_model_did(copies: Project, cross_encoder: Path) -> None:
    plain = copies.search("gate of the car park")
    assert "reranking" not in plain.as_json()

    copies.index("knowledge", retrieval={"rerank": {"model": str(cross_encoder), "seconds": 60}})
    found = copies.search("gate of the car park", k=1).as_json()
    assert found["reranking"]["model"] == str(cross_encoder)
    assert found["reranking"]["applied"] is True
    assert found["reranking"]["passages"] > 1
    assert len(found["passages"]) == 1

"""Every sign by hand: questions and hits written out, and a term encoder whose terms are words."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from rag_pipelines.config.models import SparseConfig
from rag_pipelines.core.types import FloatArray, Hit
from rag_pipelines.embedding.sparse import Bm25Encoder
from rag_pipelines.retrieval.negation import denies
from rag_pipelines.retrieval.signs import (
    SENTENCES,
    Found,
    agreement,
    names_found,
    numbers_found,
    of_cosines,
    rarity,
    signs,
)

# Without k1 a term's weight is 1 wherever it occurs, so that a score is the sum of rarities.
TERMS = Bm25Encoder(SparseConfig(analyzer="none", k1=0))
ONE, TWO = rarity(1, 2), rarity(2, 2)
QUESTION = np.array([1.0, 0.0], np.float32)


def hit(name: str, text: str, score: float = 1.0) -> Hit:
    return Hit(name, score, {"text": text, "title": None, "uri": f"{name}.md", "heading_path": []})


GATE = hit("a", "The gate opens at six. Nobody waits.", 0.9)
PUMP = hit("b", "The pump is red. It never stops.", 0.5)
BOTH = (GATE, PUMP)


def test_rarity_is_bm25_s() -> None:
    assert pytest.approx(math.log(2)) == ONE
    assert pytest.approx(math.log(1.2)) == TWO
    assert rarity(0, 2) == pytest.approx(math.log(6))


def test_terms_weigh_by_how_rare_they_are_among_what_was_found() -> None:
    # `the` is in both passages, `gate` in one, `closes` in none.
    found = signs("the gate closes", Found(BOTH, None, BOTH, None), TERMS, "none", None)
    none = rarity(0, 2)
    total = ONE + TWO + none
    assert found == pytest.approx(
        {
            "sparse_share": (ONE + TWO) / total,
            "terms_in_passage": (ONE + TWO) / total,
            "terms_in_sentence": (ONE + TWO) / total,
            "rarest_found": 0.0,
            "names_found": 1.0,
            "numbers_found": 1.0,
            "denial_met": 1.0,
        }
    )


def test_the_best_sentence_has_fewer_terms_than_its_passage() -> None:
    found = signs("gate waits", Found(BOTH, None, BOTH, None), TERMS, "none", None)
    assert found["terms_in_passage"] == pytest.approx(1.0)
    assert found["terms_in_sentence"] == pytest.approx(0.5)
    assert found["rarest_found"] == 1.0


def test_the_passage_that_counts_is_the_best_one() -> None:
    found = signs("red pump", Found(BOTH, None, BOTH, None), TERMS, "none", None)
    assert found["terms_in_passage"] == 0.0
    assert found["rarest_found"] == pytest.approx(1 - ONE / math.log(6))
    # The best score and the best sentence are of any passage that was found.
    assert found["sparse_share"] == pytest.approx(1.0)
    assert found["terms_in_sentence"] == pytest.approx(1.0)


def test_a_question_without_terms_shares_nothing() -> None:
    found = signs("?", Found(BOTH, None, BOTH, None), TERMS, "none", None)
    assert (found["sparse_share"], found["terms_in_passage"], found["terms_in_sentence"]) == (0.0, 0.0, 0.0)


def test_cosines_of_passages() -> None:
    found = of_cosines(np.array([0.8, 0.8, 0.8, 0.3]))
    assert (found["dense_best"], found["dense_margin"]) == (0.8, 0.5)
    shares = np.array([1.0, 1.0, 1.0, math.exp(-10)]) / (3 + math.exp(-10))
    entropy = -float((shares * np.log(shares)).sum()) / math.log(4)
    assert found["dense_focus"] == pytest.approx(1 - entropy)
    assert of_cosines(np.array([0.5, 0.5]))["dense_focus"] == pytest.approx(0.0)
    assert of_cosines(np.array([0.5])) == {"dense_best": 0.5, "dense_margin": 0.0, "dense_focus": 1.0}
    assert of_cosines(np.array([]))["dense_best"] == 0.0


def test_the_tenth_passage_bounds_the_margin() -> None:
    scores = np.array([0.9, *[0.7] * 9, 0.1])
    assert of_cosines(scores)["dense_margin"] == pytest.approx(0.2)


def test_both_halves_agree_on_points_among_the_first_ten() -> None:
    assert agreement(BOTH, [PUMP]) == 0.1
    late = [hit(str(number), "") for number in range(10)]
    assert agreement([*late, GATE], [GATE]) == 0.0


def test_the_closest_sentence_is_embedded_and_decides_about_denial() -> None:
    asked: list[str] = []

    def embed(texts: Sequence[str]) -> FloatArray:
        asked.extend(texts)
        # (3, 4) has cosine 0.6 with the question; its length does not matter.
        return np.array([[3, 4] if "never" in text else [0, 1] for text in texts], np.float32)

    found = signs("does it not run", Found(BOTH, BOTH, BOTH, QUESTION), TERMS, "english", embed)
    assert found["sentence_cosine"] == pytest.approx(0.6)
    assert found["denial_met"] == 1.0
    assert set(asked) == {"The gate opens at six.", "Nobody waits.", "The pump is red.", "It never stops."}
    assert found["dense_best"] == pytest.approx(0.9)
    assert found["agreement"] == 0.2


def test_a_denial_that_the_closest_sentence_does_not_make() -> None:
    found = signs("what is not red", Found([PUMP], None, [PUMP], None), TERMS, "english", None)
    assert found["denial_met"] == 0.0


def test_no_more_sentences_are_embedded_than_allowed_those_first_that_share_most() -> None:
    asked: list[str] = []

    def embed(texts: Sequence[str]) -> FloatArray:
        asked.extend(texts)
        return np.ones((len(texts), 2), np.float32)

    text = " ".join(f"Word{number} stands here." for number in range(20)) + " The gate opens."
    long = hit("l", text)
    signs("gate", Found([long], None, [long], QUESTION), TERMS, "none", embed)
    assert len(asked) == SENTENCES
    assert asked[-1] == "The gate opens."


def test_names_and_numbers_of_the_question() -> None:
    assert names_found("Did Anna meet Bert and Carl?", "anna met BERT") == pytest.approx(2 / 3)
    assert names_found("Who came?", "") == 1.0
    assert numbers_found("from 1990 to 2,500", "in 1990, not 2500") == 0.5
    assert numbers_found("when?", "") == 1.0


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("What isn't red?", "english", True),
        ("What isn’t red?", "english", True),
        ("The north notes", "english", False),
        ("Was ist kein Tor?", "german", True),
        ("Ce n'est rien", "french", True),
        ("não", "portuguese", True),
        ("not", "none", False),
        ("no Brasil", "portuguese", False),
    ],
)
def test_denials_by_language(text: str, language: str, expected: bool) -> None:
    assert denies(text, language) is expected

"""Shingles are the set of word 5-grams, and their similarity is Jaccard's."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_pipelines.dedup import jaccard, shingle
from rag_pipelines_tests.shared_data import shared_data

FOX = "the quick brown fox jumps over the lazy dog"


def reference(text: str, ngram: int) -> set[tuple[str, ...]]:
    """The set that the hashes stand for, in plain Python."""
    words = re.findall(r"\w+", text.lower())
    size = min(ngram, len(words))
    return {tuple(words[i : i + size]) for i in range(len(words) - size + 1)} if size else set()


def reference_jaccard(a: set[tuple[str, ...]], b: set[tuple[str, ...]]) -> float:
    return len(a & b) / len(a | b) if a and b else 0.0


def test_nine_words_have_five_shingles_sorted() -> None:
    found = shingle(FOX)
    assert found.dtype == np.uint64
    assert found.size == 5
    assert (np.diff(found.astype(object)) > 0).all()


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (FOX, FOX, 1.0),
        (FOX, "The quick, brown fox jumps -- over the LAZY dog!", 1.0),
        (FOX, "the quick brown fox jumps over the lazy cat", 4 / 6),
        (FOX, "a quick brown fox jumps over the lazy cat", 3 / 7),
        (FOX, "the quick brown fox leaps over the lazy dog", 0.0),
        (FOX, "dog lazy the over jumps fox brown quick the", 0.0),
        ("a a a a a a a a", "a a a a a", 1.0),
        ("a b c", "a b c", 1.0),
        ("a b c", "a b c d", 0.0),
        ("a b c", "c b a", 0.0),
        ("ab c", "a bc", 0.0),
        ("向量数据库索引", "向量数据库检索", 1 / 5),
        ("", "", 0.0),
        ("", "a", 0.0),
        ("!!!", "???", 0.0),
    ],
)
def test_similarity_of_two_texts(a: str, b: str, expected: float) -> None:
    assert jaccard(shingle(a), shingle(b)) == expected
    assert jaccard(shingle(b), shingle(a)) == expected


def test_fewer_words_than_the_ngram_are_one_shingle() -> None:
    assert shingle("a b", 5).size == 1
    assert shingle("a b", 5).tolist() != shingle("a b c", 5).tolist()
    assert shingle("a b c", 2).size == 2
    assert shingle("", 5).size == shingle(" ... ", 5).size == 0


texts = st.lists(st.sampled_from(["a", "b", "c", "é", "ab"]), max_size=30).map(" ".join)


@settings(deadline=None)
@given(texts, texts, st.integers(1, 6))
def test_similarity_is_that_of_the_sets(a: str, b: str, ngram: int) -> None:
    left, right = shingle(a, ngram), shingle(b, ngram)
    assert left.size == len(reference(a, ngram))
    assert jaccard(left, right) == reference_jaccard(reference(a, ngram), reference(b, ngram))


@settings(deadline=None)
@given(texts.filter(bool), st.integers(0, 20))
def test_the_less_two_texts_share_the_less_alike_they_are(text: str, extra: int) -> None:
    base = shingle(text)
    longer = [jaccard(base, shingle(text + "".join(f" n{i}" for i in range(n)))) for n in range(extra)]
    assert longer == sorted(longer, reverse=True)


def test_a_large_text_has_the_shingles_of_its_words() -> None:
    words = [f"w{number % 1000}é" for number in range(40_000)]
    assert shingle(" ".join(words)).size == 1000


def test_labelled_pairs_of_real_pages_agree() -> None:
    """The labels are exact 5-gram Jaccard, rounded to four digits."""
    folder = shared_data("neardup", "etcd")
    with (folder / "pairs.jsonl").open(encoding="utf-8") as lines:
        pairs = [json.loads(line) for line in lines]
    names = {pair[side] for pair in pairs for side in "ab"}
    sets = {name: shingle((folder / name).read_text(encoding="utf-8")) for name in names}
    wrong = [
        pair
        for pair in pairs
        if abs(jaccard(sets[pair["a"]], sets[pair["b"]]) - pair["jaccard5"]) > 0.0000501
    ]
    assert len(pairs) > 1000
    assert wrong == []

"""Words and their hashes: which characters make a word, and that equal words hash equally wherever they stand."""

from __future__ import annotations

import random
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_pipelines.dedup import words
from rag_pipelines.dedup.words import LONG, SEGMENT, word_hashes


def hashes_of(*one_word_texts: str) -> list[int]:
    """The hash of each text, which has to be a single word."""
    found = [word_hashes(text).tolist() for text in one_word_texts]
    assert [len(hashes) for hashes in found] == [1] * len(found)
    return [hashes[0] for hashes in found]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", []),
        (" \n\t.,;:!? --- ", []),
        ("The quick brown fox", ["the", "quick", "brown", "fox"]),
        ("don't e-mail snake_case v3.5", ["don", "t", "e", "mail", "snake_case", "v3", "5"]),
        ("Grüße aus KÖLN", ["grüße", "aus", "köln"]),
        ("Привет, мир!", ["привет", "мир"]),
        ("“quoted” — text…", ["quoted", "text"]),
        ("cafe\u0301 CAFÉ", ["café", "café"]),
        ("हिन्दी में लिखा", ["हिन्दी", "में", "लिखा"]),
        ("می\u200cخواهم", ["می\u200cخواهم"]),
        ("한국어 문서", ["한국어", "문서"]),
        ("向量索引", ["向", "量", "索", "引"]),
        ("東京タワーへ行く", ["東", "京", "タ", "ワ", "ー", "へ", "行", "く"]),
        ("用Python写", ["用", "python", "写"]),
        ("葛\ufe00x", ["葛\ufe00", "x"]),
        ("❤\ufe0f heart", ["heart"]),
        ("ก้าx", ["ก้", "า", "x"]),
        ("𠀀𠀁 😀 a", ["𠀀", "𠀁", "a"]),
        ("a\ud800b", ["a", "b"]),
    ],
)
def test_words_of_a_text(text: str, parts: list[str]) -> None:
    assert word_hashes(text).tolist() == hashes_of(*parts)
    assert len(set(hashes_of(*parts))) == len(set(parts))


ALPHABET = "aAzZ09_ .,-'\n\tÄäß–😀é"


@settings(deadline=None)
@given(st.text(ALPHABET, max_size=60))
def test_where_spaces_part_words_they_are_those_of_the_regular_expression(text: str) -> None:
    expected = re.findall(r"\w+", text.lower())
    assert word_hashes(text).tolist() == hashes_of(*expected)


@settings(deadline=None)
@given(st.text(max_size=40), st.text(max_size=40))
def test_words_do_not_depend_on_what_stands_around_them(left: str, right: str) -> None:
    """A new line parts the two, whatever the scripts; one of them may make the text leave the ASCII path."""
    joined = word_hashes(f"{left}\n{right}").tolist()
    assert joined == word_hashes(left).tolist() + word_hashes(right).tolist()


def test_long_words_and_long_texts_hash_as_short_ones_do(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = random.Random(7)
    sizes = [1, 2, LONG - 1, LONG, LONG + 1, 3 * LONG]
    vocabulary = ["".join(draw.choices("abcdefgh", k=size)) for size in sizes * 20]
    alone = dict(zip(vocabulary, hashes_of(*vocabulary), strict=True))
    text = draw.choices(vocabulary, k=4 * SEGMENT // LONG)
    assert len(" ".join(text)) > 4 * SEGMENT
    expected = [alone[word] for word in text]
    assert word_hashes(" ".join(text)).tolist() == expected
    monkeypatch.setattr(words, "SEGMENT", LONG)
    assert word_hashes(" .. ".join(text)).tolist() == expected


def test_a_text_that_is_one_endless_word_is_one_word() -> None:
    assert word_hashes("x" * (2 * SEGMENT)).size == 1


def test_200_000_words_have_200_000_hashes() -> None:
    numbers = word_hashes(" ".join(map(str, range(100_000))))
    tails = word_hashes(" ".join(f"a{number:b}" for number in range(100_000)))
    assert np.unique(np.concatenate((numbers, tails))).size == 200_000


def test_words_that_defeat_plain_polynomials_differ() -> None:
    """Thue-Morse words and their complements collide in every polynomial modulo 2**64."""
    morse = "".join("ab"[bin(place).count("1") % 2] for place in range(2048))
    other = morse.translate(str.maketrans("ab", "ba"))
    assert len(set(hashes_of(morse, other))) == 2


def test_the_hash_never_changes() -> None:
    """Stored signatures depend on it: where this fails, raise CODE in settings.py."""
    assert hashes_of("etcd", "größe", "索", "y" * 300) == [
        101721066393838375,
        12477727338155430899,
        15373376071480427644,
        5897041941498228123,
    ]

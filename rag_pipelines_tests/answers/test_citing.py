"""Markers in all the forms that models use, and sentences that are given out no sooner than they are whole."""

from __future__ import annotations

import pytest

from rag_pipelines.answers.citing import LONGEST_SENTENCE, Sentences, draft
from rag_pipelines.answers.values import Draft


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("Leave is thirty days [1].", Draft("Leave is thirty days.", (1,))),
        ("A [2][1] b [3,4].", Draft("A b.", (1, 2, 3, 4))),
        ("A [2, 2].", Draft("A.", (2,))),
        ("A [1-3].", Draft("A.", (1, 2, 3))),
        ("A [1–2, 4].", Draft("A.", (1, 2, 4))),
        ("A [1 and 2].", Draft("A.", (1, 2))),
        ("A [source 2; source 3].", Draft("A.", (2, 3))),
        ("A [^1] [#2].", Draft("A.", (1, 2))),
        ("A 【2†handbook】.", Draft("A.", (2,))),
        ("- An item [1,]", Draft("An item", (1,))),
        ("A [1, 9].", Draft("A.", (1,), 1)),
        ("A [7].", Draft("A.", (), 1)),
        ("A [1-99].", Draft("A.", (1,), 1)),
        ("Broken off [1", Draft("Broken off", ())),
        ("Broken off [1, ", Draft("Broken off", ())),
        ("Nothing [] there", Draft("Nothing there", ())),
        ("The list args[0] is [sic] empty.", Draft("The list args[0] is [sic] empty.", ())),
        ("A [one] b [1a] c [-1].", Draft("A [one] b [1a] c [-1].", ())),
        ("In [99999999999999999999] A.", Draft("In [99999999999999999999] A.", ())),
    ],
)
def test_a_sentence_less_its_markers(written: str, expected: Draft) -> None:
    assert draft(written, 4) == expected


@pytest.mark.parametrize("written", ["[1]", " [1] [2]. ", "---", "", "\n"])
def test_what_has_no_words_is_no_sentence(written: str) -> None:
    assert draft(written, 4) is None


WRITTEN = (
    "Everyone has 30 days.[1] Seven days move over. [1, 2] Dr. Smith said so [2]!  Nothing here.\n"
    "- One item [3]\n- Two 3.5 items [4]\n\nLast [1"
)
WHOLE = [
    Draft("Everyone has 30 days.", (1,)),
    Draft("Seven days move over.", (1, 2)),
    Draft("Dr. Smith said so!", (2,)),
    Draft("Nothing here.", ()),
    Draft("One item", (3,)),
    Draft("Two 3.5 items", (4,)),
    Draft("Last", ()),
]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50, 1000])
def test_however_it_arrives_it_reads_the_same(size: int) -> None:
    sentences = Sentences(4)
    found = [one for at in range(0, len(WRITTEN), size) for one in sentences.feed(WRITTEN[at : at + size])]
    assert found + sentences.end() == WHOLE


def test_a_sentence_waits_for_markers_behind_its_full_stop_and_for_no_more() -> None:
    sentences = Sentences(4)
    assert sentences.feed("One is so. ") == []
    assert sentences.feed("[1") == []
    assert sentences.feed("] ") == []
    assert sentences.feed("And two ") == [Draft("One is so.", (1,))]
    assert sentences.end(cut=True) == []


def test_text_without_an_end_is_given_out_all_the_same() -> None:
    sentences = Sentences(1)
    (found,) = sentences.feed("word " * (LONGEST_SENTENCE // 5 + 1))
    assert len(found.text) == LONGEST_SENTENCE + 4
    assert sentences.end() == []

"""Measures against numbers counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from rag_pipelines.quality.measures import (
    Words,
    against_bytes,
    centroid_drift,
    coverage,
    mix_after,
    mix_distance,
    similarity,
    words,
    words_of_bytes,
)


def test_coverage_counts_what_is_not_white_space() -> None:
    text = "ab cd\u00a0ef"  # six letters
    assert coverage(text, [(0, 8)]) == 1.0
    assert coverage(text, [(0, 2), (6, 8)]) == pytest.approx(4 / 6)
    assert coverage(text, [(0, 4), (1, 3)]) == pytest.approx(3 / 6)
    assert coverage(text, [(-5, 1), (7, 99)]) == pytest.approx(2 / 6)
    assert coverage(text, []) == 0.0
    assert coverage(" \n\u2003", []) == 1.0


def test_words_are_letters_and_digits_of_three_and_more() -> None:
    assert words("An ERR_4217, the Café!") == {"err", "4217", "the", "café"}
    assert words("重要 text") == {"重", "要", "text"}


def test_bytes_show_the_words_that_a_reader_sees() -> None:
    page = b"<html><style>body{color:red}</style><!-- draft --><p class='wide'>Caf&eacute; <b>open</b></p></html>"
    found = words_of_bytes(page, "text/html")
    assert found is not None
    assert found.seen == {"café", "open"}
    assert found.written >= {"café", "open", "wide", "draft", "body"}
    marked_down = frozenset({"leave", "thirty", "days"})
    assert words_of_bytes(b"# Leave\n\nThirty <days>", "text/markdown; charset=utf-8") == Words(
        marked_down, marked_down
    )
    assert words_of_bytes("Größe".encode("cp1252"), "text/plain") == Words(
        frozenset({"größe"}), frozenset({"größe"})
    )


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"%PDF-1.7", "application/pdf"),
        (b"words", None),
        (b"{\\rtf1 words}", "text/rtf"),
        ("words".encode("utf-16"), "text/plain"),
        (b"word " * 200_001, "text/plain"),
    ],
)
def test_bytes_that_show_no_words(data: bytes, kind: str | None) -> None:
    assert words_of_bytes(data, kind) is None


def test_a_text_against_its_bytes() -> None:
    ten = frozenset(f"word{n}" for n in range(10))
    fifty = frozenset(f"word{n}" for n in range(5, 55))
    assert against_bytes(ten, Words(fifty, fifty)) == (0.5, 0.1)
    assert against_bytes(ten, Words(fifty | {"word4"}, fifty)) == (0.6, 0.1)
    assert against_bytes(ten - {"word0"}, Words(fifty, fifty)) == (None, 0.1)
    assert against_bytes(ten, Words(fifty, fifty - {"word54"})) == (0.5, None)
    assert against_bytes(ten, None) == (None, None)


def test_similarity_is_that_of_jaccard() -> None:
    assert similarity(frozenset("abc"), frozenset("bcd")) == 0.5
    assert similarity(frozenset(), frozenset()) == 1.0


def test_the_mix_of_a_version_follows_what_went_and_came() -> None:
    after = mix_after({"en": 0.8, "de": 0.2}, 10, {"en": 4.0}, {"de": 4.0})
    assert after == pytest.approx({"en": 0.4, "de": 0.6})
    assert mix_distance({"en": 0.8, "de": 0.2}, after) == pytest.approx(0.4)
    assert mix_distance({"en": 1.0}, {"fr": 1.0}) == 1.0
    assert mix_after({}, 0, {}, {}) == {}


def test_a_centroid_moves_by_what_was_added_and_taken() -> None:
    east, north = np.array([1, 0], np.float32), np.array([0, 1], np.float32)
    assert centroid_drift(east, 10, north * 10, 1.0) == pytest.approx(1 - 0.5**0.5)
    assert centroid_drift(east, 10, north - east, 10.0) == pytest.approx(1.0)
    assert centroid_drift(east, 10, np.zeros(2, np.float32), 3.0) == pytest.approx(0.0)
    assert centroid_drift(east, 10, north * np.float32(np.nan), 1.0) == 2.0

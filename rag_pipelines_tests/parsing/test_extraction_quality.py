"""The measure of the extraction benchmark, and the quality it must show on real pages."""

from __future__ import annotations

import pytest

from rag_pipelines_tests.benchmarks.extraction import (
    CORPUS,
    Page,
    Scores,
    gram_scores,
    mean,
    measure,
    read_pages,
    this_package,
    token_scores,
)
from rag_pipelines_tests.shared_data import shared_data


@pytest.mark.parametrize(
    ("gold", "found", "expected"),
    [
        ("a b c d", "a b c d", Scores(1.0, 1.0, 1.0)),
        ("a b c d", "d c, b!", Scores(1.0, 0.75, 6 / 7)),
        ("a a b", "a b b x", Scores(0.5, 2 / 3, 4 / 7)),
        ("a b", "", Scores(0.0, 0.0, 0.0)),
        ("", "a", Scores(0.0, 1.0, 0.0)),
        ("", "", Scores(1.0, 1.0, 1.0)),
    ],
)
def test_token_scores(gold: str, found: str, expected: Scores) -> None:
    assert _close(token_scores(gold, found), expected)


def _close(left: Scores, right: Scores) -> bool:
    pairs = ((left.precision, right.precision), (left.recall, right.recall), (left.f1, right.f1))
    return all(one == pytest.approx(other) for one, other in pairs)


def test_gram_scores_see_order() -> None:
    # gold has abcd, bcde; found has abcd, bcdx, cdxe
    assert _close(gram_scores("a b c d e", "a b c d x e"), Scores(1 / 3, 1 / 2, 2 / 5))
    assert _close(gram_scores("a b", "b a"), Scores(0.0, 0.0, 0.0))


def test_means_weigh_pages_alike() -> None:
    pages = [
        Page("1", b"<p>a b c d</p>", "a b c d"),
        Page("2", b"<p>x</p>", "a b"),
        Page("3", b"<script>", "a b"),
    ]

    result = measure("ours", this_package(), pages)

    assert _close(result.tokens, Scores(1 / 3, 1 / 3, 1 / 3))
    assert _close(result.held_out, mean([Scores(0.0, 0.0, 0.0)]))
    assert (result.pages, result.empty) == (3, 1)


def test_bodies_of_real_pages_are_found() -> None:
    pages = read_pages(shared_data(*CORPUS))

    result = measure("ours", this_package(), pages)

    assert result.pages == 181
    assert result.empty == 0
    assert result.tokens.f1 >= 0.95
    assert result.held_out.f1 >= 0.94
    assert result.grams.f1 >= 0.95
    assert result.tokens.recall >= 0.97

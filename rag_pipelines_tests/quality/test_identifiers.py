"""Which words are identifiers, and which of them are asked for."""

from __future__ import annotations

import pytest

from rag_pipelines.config.models import SparseConfig
from rag_pipelines.embedding.sparse import Bm25Encoder
from rag_pipelines.quality.identifiers import holds, identifiers, rare_identifiers


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Set max_retries, or (ERR_4217)", {"max_retries", "ERR_4217"}),
        ("call foo.bar and X-Id", {"foo.bar", "X-Id"}),
        ("a well-known state-of-the-art word", set()),
        ("P-880 and v3.5-rc1", {"P-880", "v3.5-rc1"}),
        ("about 3.5 or 10.000.000", set()),
        ("the end. Next", set()),
        ("see https://x.example/a_b and me@mail.example", set()),
        ("a-b foo.bar.", set()),
        ("x_" + "y" * 40, set()),
        ("größe_x", set()),
    ],
)
def test_identifiers(text: str, found: set[str]) -> None:
    assert identifiers(text) == found


def test_an_identifier_is_a_term_of_the_analyzer() -> None:
    encoder = Bm25Encoder(SparseConfig())
    for name in ("ERR_4217", "foo.bar", "X-Id", "v3.5-rc1", "max_retries"):
        assert name.lower() in encoder.terms(f"the {name} here"), name


def test_rare_ones_come_first_and_every_source_has_its_turn() -> None:
    texts = [
        ("wiki", "a", "com_mon rare_a"),
        ("wiki", "b", "com_mon rare_b"),
        ("wiki", "c", "com_mon"),
        ("git", "d", "com_mon rare_d"),
    ]
    two = rare_identifiers(texts, 2, seed=1)
    assert {source for source, _, _ in two} == {"wiki", "git"}
    assert "com_mon" not in {name for *_, name in two}
    assert {name for *_, name in rare_identifiers(texts, 10, seed=1)} == {
        "com_mon",
        "rare_a",
        "rare_b",
        "rare_d",
    }
    assert rare_identifiers(texts, 2, seed=1) == two


def test_a_document_gives_two_at_most() -> None:
    assert len(rare_identifiers([("wiki", "a", "a_1 b_2 c_3 d_4")], 10, seed=0)) == 0  # too short to be one
    assert len(rare_identifiers([("wiki", "a", "aa_1 bb_2 cc_3 dd_4")], 10, seed=0)) == 2


def test_a_passage_holds_an_identifier_as_such() -> None:
    assert holds("code err_4217: stop", "ERR_4217")
    assert not holds("code ERR_42179", "ERR_4217")
    assert not holds("ERR 4217", "ERR_4217")

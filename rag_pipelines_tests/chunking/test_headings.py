"""The heading-aware strategy and its parents and children, on documents small enough to cut by hand."""

from __future__ import annotations

import random

import pytest

from rag_pipelines.config.models import ChunkingRule
from rag_pipelines_tests.chunking.support import (
    CODE,
    HEADING,
    ITEM,
    PARAGRAPH,
    TABLE,
    TITLE,
    Block,
    chunk,
    document,
    texts,
    words,
)

SIXTEEN = ChunkingRule(max_tokens=16)


def test_a_document_that_fits_is_one_chunk() -> None:
    parsed = document(
        (HEADING, "Leave", 1), (PARAGRAPH, words(4)), (HEADING, "Sick", 2), (PARAGRAPH, words(5))
    )
    assert texts(parsed, SIXTEEN) == ["Leave w0 w1 w2 w3 Sick w0 w1 w2 w3 w4"]


def test_an_empty_document_has_no_chunks() -> None:
    assert chunk(document(), SIXTEEN) == []
    assert chunk(document((PARAGRAPH, " \n\t ")), SIXTEEN) == []


def test_small_siblings_share_a_chunk_but_cousins_do_not() -> None:
    parsed = document(
        (HEADING, "A", 1),
        (HEADING, "A1", 2),
        (PARAGRAPH, words(5, "a")),
        (HEADING, "A2", 2),
        (PARAGRAPH, words(5, "b")),
        (HEADING, "B", 1),
        (PARAGRAPH, words(9, "c")),
    )
    assert texts(parsed, SIXTEEN) == [
        "A A1 a0 a1 a2 a3 a4 A2 b0 b1 b2 b3 b4",
        "B c0 c1 c2 c3 c4 c5 c6 c7 c8",
    ]


def test_a_large_section_is_left_alone_by_its_small_neighbours() -> None:
    parsed = document(
        (HEADING, "A", 1),
        (PARAGRAPH, words(3, "a")),
        (HEADING, "B", 1),
        (PARAGRAPH, words(14, "b")),
        (PARAGRAPH, words(10, "c")),
        (HEADING, "C", 1),
        (PARAGRAPH, words(3, "d")),
    )
    assert texts(parsed, SIXTEEN) == [
        "A a0 a1 a2",
        "B " + words(14, "b"),
        words(10, "c"),
        "C d0 d1 d2",
    ]


def test_a_heading_takes_along_the_start_of_what_it_heads() -> None:
    sentences = " ".join(f"{words(6, p)}." for p in "abc")
    parsed = document((HEADING, "One", 1), (HEADING, "Two", 2), (PARAGRAPH, sentences))
    first, *_ = texts(parsed, SIXTEEN)
    assert first.startswith("One Two a0")


def test_a_heading_without_text_leads_into_the_next_section() -> None:
    parsed = document((HEADING, "A", 1), (HEADING, "Empty", 2), (HEADING, "Full", 2), (PARAGRAPH, words(14)))
    assert texts(parsed, SIXTEEN) == ["A Empty", "Full " + words(14)]
    assert texts(parsed, ChunkingRule(max_tokens=17)) == ["A Empty Full " + words(14)]


@pytest.mark.parametrize("kind", [TABLE, CODE])
def test_a_solid_block_that_fits_stays_whole_even_without_its_heading(kind: object) -> None:
    block = "\n".join(["k v"] * 8)
    parsed = document((HEADING, "Limits", 1), (kind, block), (PARAGRAPH, words(9)))  # type: ignore[arg-type]
    assert texts(parsed, SIXTEEN) == ["Limits", " ".join(["k v"] * 8), words(9)]


def test_a_table_over_the_limit_is_cut_between_rows() -> None:
    rows = [f"r{i} a{i} b{i}" for i in range(30)]
    chunks = chunk(document((TABLE, "\n".join(rows))), SIXTEEN)
    assert [row for one in chunks for row in one.text.split("\n")] == rows
    assert all(6 <= one.tokens <= 15 for one in chunks)


def test_code_over_the_limit_is_cut_between_lines_and_rather_at_empty_ones() -> None:
    code = "\n\n".join("\n".join(f"x{j}{i} = {i}" for i in range(4)) for j in range(4))
    chunks = chunk(document((CODE, code)), SIXTEEN)
    assert [one.text for one in chunks] == code.split("\n\n")


def test_a_long_paragraph_is_cut_between_sentences() -> None:
    sentences = [f"{words(5, p).capitalize()}." for p in "abcdefgh"]
    chunks = chunk(document((PARAGRAPH, " ".join(sentences))), SIXTEEN)
    assert " ".join(one.text for one in chunks) == " ".join(sentences)
    assert all(one.text.endswith(".") for one in chunks)


def test_a_sentence_over_the_limit_is_cut_between_words() -> None:
    chunks = chunk(document((PARAGRAPH, words(100))), SIXTEEN)
    assert " ".join(one.text for one in chunks) == words(100)
    assert all(8 <= one.tokens <= 16 for one in chunks[:-1])


def test_a_list_stays_with_the_line_that_announces_it() -> None:
    parsed = document(
        (PARAGRAPH, words(7, "a")),
        (PARAGRAPH, "You need:"),
        (ITEM, words(4, "b")),
        (ITEM, words(4, "c")),
    )
    assert texts(parsed, SIXTEEN) == [words(7, "a"), f"You need: {words(4, 'b')} {words(4, 'c')}"]


def test_path_and_page_are_those_at_the_chunk_s_start() -> None:
    parsed = document(
        (TITLE, "Handbook"),
        (HEADING, "Leave", 1),
        (PARAGRAPH, words(12), 1),
        (HEADING, "Sick\nleave", 2),
        (PARAGRAPH, words(14), 2),
        (HEADING, "Pay", 1),
        (PARAGRAPH, words(14), 3),
        (PARAGRAPH, words(14, "x"), 4),
    )
    chunks = chunk(parsed, SIXTEEN)
    assert [(one.heading_path, one.page) for one in chunks] == [
        (("Handbook",), None),
        (("Handbook", "Leave", "Sick leave"), None),
        (("Handbook", "Pay"), None),
        (("Handbook", "Pay"), 4),
    ]


def test_text_that_no_element_covers_is_not_lost() -> None:
    parsed = document((PARAGRAPH, "first"), (PARAGRAPH, "last"))
    bare = type(parsed)(parsed.text + " tail", parsed.elements[:1], "text/plain", "test/1")
    assert texts(bare, SIXTEEN) == ["first last tail"]


def test_children_lie_in_their_parent_and_parents_cover_the_text_once() -> None:
    blocks: list[Block] = []
    for section in range(6):
        blocks += [
            (HEADING, f"S{section}", 1 + section % 2),
            *[(PARAGRAPH, words(9)) for _ in range(section + 2)],
        ]
    parsed = document(*blocks)
    chunks = chunk(parsed, ChunkingRule(strategy="hierarchical", max_tokens=20, parent_tokens=60))
    parents = sorted({(one.parent_start or 0, one.parent_end or 0) for one in chunks})
    assert all((one.parent_start or 0) <= one.start and one.end <= (one.parent_end or 0) for one in chunks)
    assert " ".join(" ".join(parsed.text[a:b] for a, b in parents).split()) == " ".join(parsed.text.split())
    assert max(len(parsed.text[a:b].split()) for a, b in parents) > 20
    assert all(len(parsed.text[a:b].split()) <= 60 for a, b in parents)
    assert all(one.tokens <= 20 for one in chunks)


def section_of(paragraphs: list[str]) -> set[str]:
    parsed = document((HEADING, "Long section", 1), *[(PARAGRAPH, text) for text in paragraphs])
    return {one.chunk_id for one in chunk(parsed, ChunkingRule(max_tokens=100))}


def test_an_edit_anywhere_in_a_long_section_moves_only_the_chunks_around_it() -> None:
    dice = random.Random(7)
    paragraphs = [" ".join(dice.choices("abcdefghijklmnop", k=dice.randint(8, 40))) for _ in range(200)]
    before = section_of(paragraphs)
    assert len(before) > 45
    fresh = [
        len(section_of([*paragraphs[:at], words(20), *paragraphs[at:]]) - before) for at in range(0, 200, 4)
    ]
    fresh += [len(section_of([*paragraphs[:at], *paragraphs[at + 1 :]]) - before) for at in range(0, 200, 4)]
    assert max(fresh) <= 8
    assert sum(fresh) / len(fresh) <= 2.5


def test_an_edit_in_a_long_paragraph_moves_only_the_chunks_around_it() -> None:
    dice = random.Random(7)
    sentences = [" ".join(dice.choices("abcdefghijklmnop", k=dice.randint(8, 30))) + ". " for _ in range(300)]
    before = section_of(["".join(sentences)])
    fresh = [
        len(section_of(["".join([*sentences[:at], "new one. ", *sentences[at:]])]) - before)
        for at in range(0, 300, 9)
    ]
    assert max(fresh) <= 8
    assert sum(fresh) / len(fresh) <= 2.5


def test_chunks_of_a_long_section_are_well_filled() -> None:
    dice = random.Random(11)
    parsed = document(*[(PARAGRAPH, words(dice.randint(5, 60), str(i))) for i in range(300)])
    tokens = [one.tokens for one in chunk(parsed, ChunkingRule(max_tokens=200))]
    assert sum(tokens) / len(tokens) > 0.7 * 200

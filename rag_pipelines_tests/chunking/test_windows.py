"""Windows over tokens and over sentences, and where sentences end."""

from __future__ import annotations

from itertools import pairwise

import pytest

from rag_pipelines.config.models import ChunkingRule
from rag_pipelines.core.sentences import line_starts, sentence_starts
from rag_pipelines_tests.chunking.support import (
    CODE,
    PARAGRAPH,
    TABLE,
    chunk,
    document,
    model_tokenizer,
    texts,
    words,
)


def test_token_windows_share_the_overlap() -> None:
    parsed = document((PARAGRAPH, words(20, "a")), (PARAGRAPH, words(20, "b")))
    rule = ChunkingRule(strategy="tokens", max_tokens=16, overlap_tokens=4)
    every = [*words(20, "a").split(), *words(20, "b").split()]
    assert texts(parsed, rule) == [" ".join(every[0:16]), " ".join(every[12:28]), " ".join(every[24:40])]


def test_token_windows_without_overlap_share_nothing() -> None:
    rule = ChunkingRule(strategy="tokens", max_tokens=16)
    assert [one.tokens for one in chunk(document((PARAGRAPH, words(40))), rule)] == [16, 16, 8]


def test_a_token_window_ends_before_a_word_that_it_would_cut() -> None:
    parsed = document((PARAGRAPH, "tokenization " * 20))
    chunks = chunk(
        parsed, ChunkingRule(strategy="tokens", max_tokens=17, overlap_tokens=3), model_tokenizer()
    )
    assert (
        {one.text.split()[0] for one in chunks}
        == {one.text.split()[-1] for one in chunks}
        == {"tokenization"}
    )
    assert [one.tokens for one in chunks] == [16, 16, 16]


def test_sentence_windows_step_by_the_stride() -> None:
    parsed = document((PARAGRAPH, "A a. B b. C c."), (PARAGRAPH, "D d. E e"))
    rule = ChunkingRule(strategy="sentences", max_tokens=16, window_sentences=3, stride_sentences=2)
    assert texts(parsed, rule) == ["A a. B b. C c.", "C c. D d. E e"]


def test_a_sentence_window_closes_early_at_the_limit_and_leaves_nothing_out() -> None:
    parsed = document((PARAGRAPH, f"{words(9)}. {words(6, 'A')}. {words(6, 'B')}. {words(40, 'C')}."))
    rule = ChunkingRule(strategy="sentences", max_tokens=16, window_sentences=5, stride_sentences=4)
    chunks = texts(parsed, rule)
    assert chunks[0] == f"{words(9)}. {words(6, 'A')}."
    assert chunks[1].startswith(f"{words(6, 'B')}.")
    assert " ".join(chunks) == parsed.text


def test_a_solid_block_is_one_sentence_where_it_fits() -> None:
    parsed = document((PARAGRAPH, "A a. B b."), (TABLE, "x. y.\nz. w."), (CODE, "f. g."))
    rule = ChunkingRule(strategy="sentences", max_tokens=16, window_sentences=1, stride_sentences=1)
    assert texts(parsed, rule) == ["A a.", "B b.", "x. y. z. w.", "f. g."]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ("He said (softly.) Then left.", ["He said (softly.)", "Then left."]),
        (
            "See e.g. Appendix Two. Dr. Who, Fig. 3 and no. 5 agree.",
            ["See e.g. Appendix Two.", "Dr. Who, Fig. 3 and no. 5 agree."],
        ),
        ("The answer is no. Then he left.", ["The answer is no.", "Then he left."]),
        ("J. R. Tolkien wrote v3.5.1 of it. ok then", ["J. R. Tolkien wrote v3.5.1 of it. ok then"]),
        ("1. First point. 2. Second point.", ["1. First point.", "2. Second point."]),
        ("Das gilt z.B. Montag. Ähnlich Dienstag.", ["Das gilt z.B. Montag.", "Ähnlich Dienstag."]),
        ("Wait... What?! Yes.", ["Wait...", "What?!", "Yes."]),
        ("今天很好。明天呢？「好。」后天", ["今天很好。", "明天呢？", "「好。」", "后天"]),
        ("यह है। वह है।", ["यह है।", "वह है।"]),
        ("hard\nwrapped line\n \nnew paragraph", ["hard\nwrapped line", "new paragraph"]),
        ("...... . X", ["......", ".", "X"]),
    ],
)
def test_where_sentences_end(text: str, sentences: list[str]) -> None:
    bounds = [0, *sentence_starts(text, 0, len(text)), len(text)]
    assert [text[a:b].strip() for a, b in pairwise(bounds)] == sentences


def test_lines_know_whether_an_empty_one_comes_before_them() -> None:
    assert line_starts("a\nb\n\n \nc\n", 0, 9) == [(2, False), (7, True)]

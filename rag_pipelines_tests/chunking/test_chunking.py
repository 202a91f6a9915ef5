"""What a chunk carries, fingerprints, batches, and texts that break naive chunkers."""

from __future__ import annotations

import pytest

from rag_pipelines.chunking import STRATEGIES, chunk_documents, chunker_fingerprint, chunker_name
from rag_pipelines.config.models import ChunkingRule
from rag_pipelines.core.ids import chunk_id, content_hash
from rag_pipelines.core.types import ParsedDocument
from rag_pipelines_tests.chunking.support import (
    DOC,
    HEADING,
    PARAGRAPH,
    TITLE,
    WordTokenizer,
    chunk,
    document,
    model_tokenizer,
    words,
)

OTHER = "00000000-0000-5000-8000-000000000002"


def test_a_chunk_carries_identity_place_and_header() -> None:
    parsed = document(
        (HEADING, "Leave", 1), (HEADING, "Sick", 2), (PARAGRAPH, "Call before nine."), title="Handbook"
    )
    (one,) = chunk(parsed, ChunkingRule(context_header=True))
    text = "Leave\n\nSick\n\nCall before nine."
    assert (one.text, one.start, one.end, one.tokens, one.ordinal) == (text, 0, len(text), 5, 0)
    assert one.header == "Handbook > Leave"
    assert one.text_hash == content_hash(text)
    assert one.embed_hash == content_hash(f"Handbook > Leave\n{text}")
    assert one.chunk_id == chunk_id(DOC, one.text_hash, 0)


def test_a_title_that_is_also_the_first_heading_stands_once_in_the_header() -> None:
    parsed = document((TITLE, "Handbook"), (HEADING, "Leave", 1), (PARAGRAPH, words(20)), title="HANDBOOK")
    chunks = chunk(parsed, ChunkingRule(max_tokens=16, context_header=True))
    assert [one.header for one in chunks] == ["Handbook", "Handbook > Leave"]


def test_without_context_header_the_passage_alone_is_embedded() -> None:
    parsed = document((HEADING, "Leave", 1), (PARAGRAPH, "Call."), title="Handbook")
    (one,) = chunk(parsed, ChunkingRule())
    assert one.header == ""
    assert one.embed_hash == one.text_hash


def test_equal_passages_are_told_apart_by_occurrence() -> None:
    parsed = document(*[(PARAGRAPH, words(16))] * 3)
    chunks = chunk(parsed, ChunkingRule(max_tokens=16))
    assert [one.chunk_id for one in chunks] == [chunk_id(DOC, content_hash(words(16)), n) for n in range(3)]


def test_a_huge_heading_is_not_copied_whole_into_each_chunk() -> None:
    parsed = document((HEADING, words(5000), 1), (PARAGRAPH, words(40)))
    last = chunk(parsed, ChunkingRule(max_tokens=16, context_header=True))[-1]
    assert len(last.header) == 200
    assert last.header.startswith("w0 w1 w2")


@pytest.mark.parametrize("strategy", list(STRATEGIES))
def test_a_document_is_cut_alike_alone_and_in_a_batch(strategy: str) -> None:
    rule = ChunkingRule.model_validate({"strategy": strategy, "max_tokens": 16})
    one, two = document((PARAGRAPH, words(90))), document((HEADING, "B", 1), (PARAGRAPH, words(50, "x")))
    tokenizer = WordTokenizer()
    batch = chunk_documents([(DOC, one), (OTHER, two), (OTHER, document())], rule, tokenizer)
    assert tokenizer.calls == [3]
    assert batch[0] == chunk(one, rule)
    assert batch[1] == chunk_documents([(OTHER, two)], rule, WordTokenizer())[0]
    assert batch[2] == []


def test_no_documents_no_chunks() -> None:
    assert chunk_documents([], ChunkingRule(), model_tokenizer()) == []


def test_only_passages_cut_inside_a_word_are_tokenized_again() -> None:
    tokenizer = WordTokenizer()
    chunk_documents(
        [(DOC, document((PARAGRAPH, words(90) + " " + "x" * 900)))], ChunkingRule(max_tokens=64), tokenizer
    )
    assert len(tokenizer.calls) == 2
    assert tokenizer.calls[1] <= 5


@pytest.mark.parametrize("strategy", list(STRATEGIES))
@pytest.mark.parametrize(
    "unit", ["x", "日", "\x00", "\u200b", ".", "a b\n", "\ud800", "word ", ". ", "\n\n.", "ก็"]
)
def test_a_lot_of_anything_is_cut_in_linear_time(strategy: str, unit: str) -> None:
    text = (unit * (10**5 // len(unit))).strip()
    rule = ChunkingRule.model_validate({"strategy": strategy})
    chunks = chunk(document((PARAGRAPH, text)), rule, model_tokenizer())
    assert sum(len(one.text) for one in chunks) >= len(text.replace(" ", "").replace("\n", ""))
    assert max(len(one.text) for one in chunks) < 10_000
    assert max(one.tokens for one in chunks) <= 220


def test_blanks_between_two_words_do_not_make_a_chunk_huge() -> None:
    chunks = chunk(document((PARAGRAPH, "left" + " " * 10**6 + "right")), ChunkingRule())
    assert [one.text for one in chunks] == ["left", "right"]
    apart = document((PARAGRAPH, "left"), (PARAGRAPH, "right"), between="\n" * 10**6)
    assert [one.text for one in chunk(apart, ChunkingRule())] == ["left", "right"]


@pytest.mark.parametrize("strategy", ["headings", "tokens"])
def test_ten_megabytes_on_one_line_without_a_space(strategy: str) -> None:
    parsed = ParsedDocument("x" * 10**7, (), "text/plain", "test/1")
    chunks = chunk(parsed, ChunkingRule.model_validate({"strategy": strategy}))
    assert sum(len(one.text) for one in chunks) == 10**7
    assert max(len(one.text) for one in chunks) == 220 * 4


def test_the_fingerprint_reads_only_what_the_strategy_reads() -> None:
    base = ChunkingRule()
    same = [ChunkingRule(overlap_tokens=9), ChunkingRule(window_sentences=9), ChunkingRule(parent_tokens=999)]
    assert {chunker_fingerprint(rule, "m") for rule in same} == {chunker_fingerprint(base, "m")}
    others = [
        ChunkingRule(max_tokens=221),
        ChunkingRule(context_header=True),
        *[ChunkingRule.model_validate({"strategy": name}) for name in STRATEGIES if name != "headings"],
        ChunkingRule(strategy="tokens", overlap_tokens=9),
        ChunkingRule(strategy="sentences", window_sentences=9),
        ChunkingRule(strategy="sentences", stride_sentences=3),
        ChunkingRule(strategy="hierarchical", parent_tokens=999),
    ]
    prints = [chunker_fingerprint(base, "m"), chunker_fingerprint(base, "n")]
    prints += [chunker_fingerprint(rule, "m") for rule in others]
    assert len(set(prints)) == len(prints) == 11


def test_the_name_says_how_a_document_was_cut() -> None:
    assert chunker_name(ChunkingRule()) == "headings/1 max_tokens=220 context_header=False"
    assert (
        chunker_name(ChunkingRule(strategy="tokens", overlap_tokens=20))
        == "tokens/1 max_tokens=220 overlap_tokens=20 context_header=False"
    )

"""What holds for every document, strategy and tokenizer."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rag_pipelines.config.models import ChunkingRule
from rag_pipelines.core.ids import chunk_id, content_hash
from rag_pipelines.core.types import Chunk, ElementKind, ParsedDocument
from rag_pipelines_tests.chunking.support import (
    CODE,
    DOC,
    HEADING,
    PARAGRAPH,
    TABLE,
    TITLE,
    Block,
    chunk,
    document,
    model_tokenizer,
)

VOCABULARY = (
    "a the tokenization internationalization e.g. 3.14 foo_bar() https://example.org/a/b?c=d Straße naïve 東京タワー"
    " 知識。検索！ 한국어 ไทยไทย 👩\u200d👩\u200d👧 \x00\x01 \u200b\u200b \ufffd end. Stop! \n \x0c \x1c \t"
)
WORDS = st.sampled_from(VOCABULARY.split(" "))
LONG = st.builds(
    lambda unit, times: unit * times,
    st.sampled_from(["x", "ab.", "日", "ก", "\x07", "."]),
    st.integers(1, 700),
)
SPACES = st.sampled_from([" ", "  ", "\n", "\n\n", "\x0c", "", " " * 300])
PHRASE = st.lists(st.tuples(st.one_of(WORDS, WORDS, WORDS, LONG), SPACES), min_size=1, max_size=40).map(
    lambda parts: "".join(word + space for word, space in parts)
)
BLOCK = st.tuples(st.sampled_from(list(ElementKind)), PHRASE, st.one_of(st.none(), st.integers(1, 6)))
DOCUMENTS = st.builds(
    lambda blocks, between: document(*blocks, between=between),
    st.lists(BLOCK, max_size=10),
    st.sampled_from(["\n\n", "\n", " ", ""]),
)
RULES: list[dict[str, Any]] = [
    {"strategy": "headings", "max_tokens": 16},
    {"strategy": "headings", "max_tokens": 60},
    {"strategy": "tokens", "max_tokens": 16},
    {"strategy": "tokens", "max_tokens": 40, "overlap_tokens": 20},
    {"strategy": "sentences", "max_tokens": 24},
    {"strategy": "sentences", "max_tokens": 60, "window_sentences": 3, "stride_sentences": 1},
    {"strategy": "hierarchical", "max_tokens": 20, "parent_tokens": 70},
]
COMMON = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


def assert_sound(parsed: ParsedDocument, chunks: list[Chunk], rule: ChunkingRule) -> None:
    covered = [False] * len(parsed.text)
    seen: dict[str, int] = {}
    for ordinal, one in enumerate(chunks):
        assert one.text == parsed.text[one.start : one.end]
        assert one.text
        assert one.text == one.text.strip()
        assert one.ordinal == ordinal
        assert one.tokens <= rule.max_tokens
        assert one.text_hash == content_hash(one.text)
        assert one.embed_hash == content_hash(one.embed_text)
        assert one.chunk_id == chunk_id(DOC, one.text_hash, seen.get(one.text_hash, 0))
        seen[one.text_hash] = seen.get(one.text_hash, 0) + 1
        covered[one.start : one.end] = [True] * (one.end - one.start)
    assert [c for c, hit in zip(parsed.text, covered, strict=True) if not hit and not c.isspace()] == []
    assert [one.start for one in chunks] == sorted(one.start for one in chunks)


@pytest.mark.parametrize("values", RULES, ids=lambda v: f"{v['strategy']}-{v['max_tokens']}")
@COMMON
@given(parsed=DOCUMENTS)
def test_every_document_is_covered_by_chunks_that_the_model_reads_whole(
    values: dict[str, Any], parsed: ParsedDocument
) -> None:
    rule = ChunkingRule(**values)
    chunks = chunk(parsed, rule, model_tokenizer())
    assert_sound(parsed, chunks, rule)
    alone = [len(offsets) for offsets in model_tokenizer().offsets([one.text for one in chunks])]
    assert all(count <= rule.max_tokens for count in alone)
    assert alone == [one.tokens for one in chunks]


@pytest.mark.parametrize("values", RULES, ids=lambda v: f"{v['strategy']}-{v['max_tokens']}")
@COMMON
@given(parsed=DOCUMENTS)
def test_another_tokenizer_changes_nothing_of_that(values: dict[str, Any], parsed: ParsedDocument) -> None:
    rule = ChunkingRule(**values, context_header=True)
    assert_sound(parsed, chunk(parsed, rule), rule)


@COMMON
@given(
    blocks=st.lists(
        st.one_of(
            st.tuples(st.just(HEADING), st.just("Some heading"), st.integers(1, 4)),
            st.tuples(st.just(TITLE), st.just("A title")),
            st.tuples(st.just(PARAGRAPH), st.integers(1, 50).map(lambda n: "one two three. " * n)),
            st.tuples(st.sampled_from([TABLE, CODE]), st.integers(1, 14).map(lambda n: "a b\n" * n)),
        ),
        max_size=20,
    ),
    strategy=st.sampled_from(["headings", "hierarchical"]),
)
def test_solid_blocks_stay_whole_and_no_heading_ends_a_chunk(blocks: list[Block], strategy: Any) -> None:
    parsed = document(*blocks)
    limit = 30
    rule = ChunkingRule(strategy=strategy, max_tokens=limit, parent_tokens=90)
    chunks = chunk(parsed, rule)
    for at, element in enumerate(parsed.elements):
        start, end = element.start, element.start + len(parsed.text[element.start : element.end].rstrip())
        if element.kind in (TABLE, CODE) and count(parsed, at) <= limit:
            assert [c for c in chunks if c.start <= start and end <= c.end]
        if element.kind not in (HEADING, TITLE) or at + 1 == len(parsed.elements):
            continue
        following = parsed.elements[at + 1]
        below = following.kind == HEADING and (element.level or 0) < (following.level or 6)
        goes_on = below or following.kind not in (HEADING, TITLE)
        leaves_no_room = following.kind in (TABLE, CODE) and 20 < count(parsed, at + 1) <= limit
        if goes_on and not leaves_no_room:
            assert [c for c in chunks if c.start <= start and end < c.end], parsed.text[start:end]


def count(parsed: ParsedDocument, at: int) -> int:
    element = parsed.elements[at]
    return len(parsed.text[element.start : element.end].split())

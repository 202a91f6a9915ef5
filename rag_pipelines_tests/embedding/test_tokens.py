"""Offsets and input ids of the bundled tokenizer, whose file asks for truncation and padding at 128."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag_pipelines.config.models import EmbeddingConfig, OpenAIEmbedding
from rag_pipelines.core.errors import EmbeddingError
from rag_pipelines.embedding import open_tokenizer
from rag_pipelines.embedding.models import resolve
from rag_pipelines.embedding.tokens import InputTokenizer, ModelTokenizer

FILES = resolve("bundled:all-MiniLM-L6-v2")


def test_offsets_are_character_spans_without_special_tokens() -> None:
    text = "héllo 😀 日本 tokenization"
    (spans,) = ModelTokenizer(FILES.tokenizer).offsets([text])
    assert [text[a:b] for a, b in spans.tolist()] == ["héllo", "😀", "日", "本", "token", "ization"]


def test_offsets_are_neither_cut_nor_padded() -> None:
    short, long = ModelTokenizer(FILES.tokenizer).offsets(["one two", "word " * 1000])
    assert (len(short), len(long)) == (2, 1000)


def test_an_empty_text_has_no_tokens() -> None:
    (spans,) = ModelTokenizer(FILES.tokenizer).offsets([""])
    assert spans.shape == (0, 2)


def test_a_lone_surrogate_costs_nothing_but_itself() -> None:
    (spans,) = ModelTokenizer(FILES.tokenizer).offsets(["ab \ud800 cd"])
    assert spans.tolist()[0] == [0, 2]
    assert spans.tolist()[-1] == [5, 7]


def test_input_ids_are_cut_at_the_models_length_and_counted() -> None:
    # 254 words and the two special tokens are exactly what the model reads
    ids, truncated = InputTokenizer(FILES.tokenizer, 256).encode(["word " * 254, "word " * 255, "hi"])
    assert [len(one) for one in ids] == [256, 256, 3]
    assert truncated == 1
    assert ids[2] == [101, 7632, 102]


def test_a_remote_model_is_measured_in_the_bundled_tokens(tmp_path: Path) -> None:
    section = OpenAIEmbedding(base_url="http://127.0.0.1:1/v1", dimension=3)
    remote = EmbeddingConfig(model="text-embedding-3-small", provider="openai", openai=section)
    texts = ["unaffordability"]
    mine = open_tokenizer(EmbeddingConfig(), tmp_path).offsets(texts)
    assert open_tokenizer(remote, tmp_path).offsets(texts)[0].tolist() == mine[0].tolist()


def test_a_broken_tokenizer_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(EmbeddingError, match=r"tokenizer\.json cannot be read"):
        ModelTokenizer(tmp_path / "tokenizer.json")

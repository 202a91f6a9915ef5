"""Bounded memories of what models said of questions."""

from __future__ import annotations

import numpy as np
import pytest

from rag_pipelines.config.limits import CacheConfig
from rag_pipelines.config.query import RewritingConfig
from rag_pipelines.core.ports import EmbeddingBatch
from rag_pipelines.core.types import FloatArray
from rag_pipelines.retrieval.remembered import Memories, Memory, digest
from rag_pipelines.retrieval.rewriting import ChatRewriter, RewriteFailed
from rag_pipelines_tests.retrieval import chat_server


class Counting:
    """A model that says how often it was asked."""

    description = "counting"
    dimension = 2

    def __init__(self, fingerprint: str) -> None:
        self.fingerprint = fingerprint
        self.asked: list[str] = []

    def embed_query(self, text: str) -> FloatArray:
        self.asked.append(text)
        return np.array([len(text), len(self.asked)], np.float32)

    def embed(self, texts: object, on_done: object = None) -> EmbeddingBatch:
        raise NotImplementedError

    def close(self) -> None:
        pass


def test_a_memory_forgets_what_was_used_least_lately_and_what_is_old() -> None:
    now = [0.0]
    memory: Memory[str] = Memory(2, 10, clock=lambda: now[0])
    memory.put(b"a", "A")
    memory.put(b"b", "B")
    assert memory.get(b"a") == "A"
    memory.put(b"c", "C")
    assert [memory.get(key) for key in (b"a", b"b", b"c")] == ["A", None, "C"]
    assert (len(memory), memory.hits, memory.misses) == (2, 3, 1)
    now[0] = 10.0
    assert memory.get(b"a") is None
    assert (len(memory), memory.used) == (0, 0)


def test_a_memory_is_bounded_by_bytes_and_by_entries() -> None:
    memory: Memory[str] = Memory(4, 10, 100.0, len)
    for name in "abcdef":
        memory.put(name.encode(), name)  # each counts for a quarter at least
    assert (len(memory), memory.used) == (4, 100)
    memory.put(b"long", "x" * 60)
    assert [memory.get(name.encode()) for name in "abcdef"] == [None, None, None, None, None, "f"]
    memory.put(b"too long", "x" * 101)
    assert (memory.get(b"too long"), memory.get(b"long"), memory.used) == (None, "x" * 60, 85)


def test_keys_do_not_run_into_one_another() -> None:
    keys = {digest("a", "bc"), digest("ab", "c"), digest("abc"), digest("abc", ""), digest("\ud800")}
    assert len(keys) == 5


def test_a_question_is_embedded_once_a_model() -> None:
    told: list[tuple[str, bool]] = []
    memories = Memories.of(CacheConfig(embeddings=10), lambda *lookup: told.append(lookup))
    models = [Counting("one"), Counting("two")]
    first, second = (memories.embedder(model) for model in models)
    assert first.embed_query("why").tolist() == [3, 1]
    assert first.embed_query("why").tolist() == [3, 1]
    assert second.embed_query("why").tolist() == [3, 1]
    assert first.embed_query("how").tolist() == [3, 2]
    assert told == [("embeddings", hit) for hit in (False, True, False, False)]
    assert (models[0].asked, models[1].asked) == (["why", "how"], ["why"])
    with pytest.raises(ValueError, match="read-only"):
        first.embed_query("why")[0] = 9


def test_nothing_is_kept_where_nothing_is_to_be() -> None:
    memories = Memories.of(CacheConfig(embeddings=0, rewrites=0))
    model = Counting("one")
    assert memories.embedder(model) is model


def test_a_rewriter_is_asked_once_for_an_answer_and_again_after_a_failure() -> None:
    memories = Memories.of(CacheConfig())
    with chat_server.serve() as server:
        rewriter = ChatRewriter(RewritingConfig(base_url=server.url, model="small"))
        one, other = memories.rewriter(rewriter, "one"), memories.rewriter(rewriter, "other")
        server.status = 500
        with pytest.raises(RewriteFailed):
            one.rewrite("why")
        server.status = 200
        assert [one.rewrite("why"), one.rewrite("why")] == [("rewritten",)] * 2
        assert len(server.requests) == 2
        assert other.rewrite("why") == ("rewritten",)
        assert len(server.requests) == 3
        one.close()

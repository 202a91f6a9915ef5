"""What is kept in memory of questions: bounded, and never what failed."""

from __future__ import annotations

import hashlib
import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

import numpy as np
from cachetools import TTLCache

from rag_pipelines.config.limits import CacheConfig
from rag_pipelines.core.ports import Embedder, EmbeddingBatch
from rag_pipelines.core.types import FloatArray
from rag_pipelines.retrieval.rewriting import Rewriter

Value = TypeVar("Value")


def digest(*parts: str) -> bytes:
    """A key that holds no text of its own: what was asked is not kept in memory for the sake of finding it."""
    made = hashlib.blake2b(digest_size=24)
    for part in parts:
        encoded = part.encode("utf-8", "surrogatepass")
        made.update(len(encoded).to_bytes(8, "big"))
        made.update(encoded)
    return made.digest()


class Memory(Generic[Value]):
    """The values used last, within so many entries, bytes and seconds. Safe to use from several threads.

    What `size_of` says of a value is what it counts for; without it every one counts alike.
    """

    def __init__(
        self,
        entries: int,
        seconds: float,
        most_bytes: float | None = None,
        size_of: Callable[[Value], int] | None = None,
        clock: Callable[[], float] = time.monotonic,
        told: Callable[[bool], None] = lambda hit: None,
    ) -> None:
        """A value counts for at least its share of the bytes, which is what bounds the entries.

        `told` hears of every lookup whether it was a hit.
        """
        room = float(entries) if most_bytes is None else most_bytes
        self._least = room / entries
        self._size_of = size_of
        self._kept: TTLCache[bytes, tuple[Value, float]] = TTLCache(
            room, seconds, timer=clock, getsizeof=lambda kept: kept[1]
        )
        self._lock = threading.Lock()
        self._told = told
        self.hits = 0
        self.misses = 0

    def get(self, key: bytes) -> Value | None:
        """What is kept under the key, counted as a hit or a miss."""
        with self._lock:
            found = self._kept.get(key)
            if found is None:
                self.misses += 1
            else:
                self.hits += 1
        self._told(found is not None)
        return None if found is None else found[0]

    def put(self, key: bytes, value: Value) -> None:
        """Keep it; one that is too large for the whole memory is left out."""
        size = max(self._size_of(value), self._least) if self._size_of is not None else self._least
        with self._lock:
            if size <= self._kept.maxsize:
                self._kept[key] = (value, size)

    def __len__(self) -> int:
        with self._lock:
            self._kept.expire()
            return len(self._kept)

    @property
    def used(self) -> float:
        """Bytes, or entries where sizes are not counted."""
        with self._lock:
            self._kept.expire()
            return float(self._kept.currsize)


class RememberingEmbedder:
    """A model that embeds the same question once. Texts of documents go past it."""

    def __init__(self, embedder: Embedder, memory: Memory[FloatArray]) -> None:
        self._embedder = embedder
        self._memory = memory

    @property
    def fingerprint(self) -> str:
        """That of the model."""
        return self._embedder.fingerprint

    @property
    def description(self) -> str:
        """That of the model."""
        return self._embedder.description

    @property
    def dimension(self) -> int:
        """That of the model."""
        return self._embedder.dimension

    def embed(self, texts: Sequence[str], on_done: Callable[[int], None] | None = None) -> EmbeddingBatch:
        """As the model does."""
        return self._embedder.embed(texts, on_done)

    def embed_query(self, text: str) -> FloatArray:
        """The model's vector, or the one it gave before; nobody may write to it."""
        key = digest(self.fingerprint, text)
        found = self._memory.get(key)
        if found is None:
            found = np.array(self._embedder.embed_query(text), dtype=np.float32)
            found.setflags(write=False)
            self._memory.put(key, found)
        return found

    def close(self) -> None:
        """Close the model."""
        self._embedder.close()


class RememberingRewriter:
    """A rewriter that is asked the same question once; a failure is not kept, so that the next one asks again."""

    def __init__(self, rewriter: Rewriter, memory: Memory[tuple[str, ...]], name: str) -> None:
        """`name` tells rewriters apart that share a memory."""
        self._rewriter = rewriter
        self._memory = memory
        self._name = name

    def rewrite(self, question: str) -> tuple[str, ...]:
        """The model's queries, or those it gave before. Raises RewriteFailed."""
        key = digest(self._name, question)
        found = self._memory.get(key)
        if found is None:
            found = self._rewriter.rewrite(question)
            self._memory.put(key, found)
        return found

    def close(self) -> None:
        """Release the rewriter's connections."""
        self._rewriter.close()


@dataclass(frozen=True, slots=True)
class Memories:
    """What models said of questions, shared by all indexes; None keeps nothing.

    Both depend on the words of a question alone and on nothing that anybody may or may not read.
    """

    embeddings: Memory[FloatArray] | None = None
    rewrites: Memory[tuple[str, ...]] | None = None

    @classmethod
    def of(cls, config: CacheConfig, told: Callable[[str, bool], None] = lambda cache, hit: None) -> Memories:
        """As configured; `told` hears of every lookup in which of the two it was, and whether it was a hit."""
        embeddings, rewrites = partial(told, "embeddings"), partial(told, "rewrites")
        return cls(
            Memory(config.embeddings, math.inf, told=embeddings) if config.embeddings else None,
            Memory(config.rewrites, config.rewrite_seconds, told=rewrites) if config.rewrites else None,
        )

    def embedder(self, embedder: Embedder) -> Embedder:
        """The model, with the memory before it."""
        return RememberingEmbedder(embedder, self.embeddings) if self.embeddings is not None else embedder

    def rewriter(self, rewriter: Rewriter, name: str) -> Rewriter:
        """The rewriter, with the memory before it."""
        return RememberingRewriter(rewriter, self.rewrites, name) if self.rewrites is not None else rewriter

"""A model in this process: tokens in, batches through a backend, checked vectors out in order."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import numpy as np

from rag_pipelines.config.models import EmbeddingConfig
from rag_pipelines.core.ports import EmbeddingBatch
from rag_pipelines.core.types import Distance, FloatArray
from rag_pipelines.embedding.batches import TokenBatch, checked, to_arrays, token_batches
from rag_pipelines.embedding.models import ModelFiles
from rag_pipelines.embedding.tokens import InputTokenizer

WINDOW = 4096
"""Texts that are tokenized and sorted together; bounds memory, and sorting gains nothing beyond."""


class TokenBackend(Protocol):
    """Runs the transformer and its pooling on padded token ids."""

    @property
    def label(self) -> str:
        """Backend and precision, with what was measured or had to be given up."""

    def batch_budget(self, tokens: int) -> int:
        """The padded tokens that one call should get where the configuration says `tokens`."""

    def run(self, batches: Sequence[TokenBatch], done: Callable[[TokenBatch, FloatArray], None]) -> None:
        """Vectors (texts, dimension) of each batch, in any order, handed over in the calling thread."""

    def run_one(self, batch: TokenBatch) -> FloatArray:
        """Vectors (1, dimension) of a batch of one text at low latency; called from several threads at once."""

    def close(self) -> None:
        """Release the model."""


class LocalEmbedder:
    """The Embedder port over a TokenBackend."""

    def __init__(
        self, config: EmbeddingConfig, files: ModelFiles, backend: TokenBackend, fingerprint: str
    ) -> None:
        self._config = config
        self._files = files
        self._backend = backend
        self._fingerprint = fingerprint
        self._tokenizer = InputTokenizer(files.tokenizer, files.max_length)
        self._unit = config.distance is Distance.COSINE or files.normalize
        self._lock = threading.Lock()

    @property
    def fingerprint(self) -> str:
        """Of model, pooling, prefix and precision class."""
        return self._fingerprint

    @property
    def description(self) -> str:
        """Model, backend, precision, pooling, length."""
        files = self._files
        return f"{files.name}, {self._backend.label}, {files.pooling} pooling, {files.max_length} tokens"

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return self._files.dimension

    def embed(self, texts: Sequence[str], on_done: Callable[[int], None] | None = None) -> EmbeddingBatch:
        """Vectors of passages; one call at a time uses all cores, further threads wait."""
        out = np.full((len(texts), self.dimension), np.nan, np.float32)
        truncated = 0
        with self._lock:
            for start in range(0, len(texts), WINDOW):
                truncated += self._window(texts[start : start + WINDOW], out[start : start + WINDOW], on_done)
        return EmbeddingBatch(self._check(out, len(texts)), truncated)

    def embed_query(self, text: str) -> FloatArray:
        """Vector of a question, with `query_prefix`."""
        ids, _ = self._tokenizer.encode([self._config.query_prefix + text])
        batch = to_arrays((0,), ids, self._files.pad_id, len(ids[0]))
        vector: FloatArray = self._check(self._backend.run_one(batch), 1)[0]
        return vector

    def close(self) -> None:
        """Release the model."""
        self._backend.close()

    def _window(self, texts: Iterable[str], out: FloatArray, on_done: Callable[[int], None] | None) -> int:
        ids, truncated = self._tokenizer.encode([self._config.passage_prefix + text for text in texts])
        budget = self._backend.batch_budget(self._config.batch_tokens)

        def store(batch: TokenBatch, vectors: FloatArray) -> None:
            out[list(batch.rows)] = vectors
            if on_done is not None:
                on_done(len(batch.rows))

        self._backend.run(token_batches(ids, budget, self._files.pad_id, self._files.max_length), store)
        return truncated

    def _check(self, vectors: FloatArray, texts: int) -> FloatArray:
        return checked(vectors, (texts, self.dimension), unit=self._unit, model=self._files.name)

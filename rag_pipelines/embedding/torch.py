"""sentence-transformers on torch: the reference, the fallback for unusual models, and the benchmark's baseline."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rag_pipelines.config.models import EmbeddingConfig
from rag_pipelines.core.errors import EmbeddingError
from rag_pipelines.core.ports import EmbeddingBatch
from rag_pipelines.core.types import Distance, FloatArray
from rag_pipelines.embedding.batches import TokenBatch, checked
from rag_pipelines.embedding.models import ModelFiles
from rag_pipelines.embedding.tokens import InputTokenizer

_REPORT_EVERY = 1024


def load_sentence_transformer(files: ModelFiles, precision: str) -> Any:
    """The model on the CPU, from files already on disk, safetensors only, no remote code."""
    import torch
    from safetensors import SafetensorError
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging as transformers_logging

    progress: Any = transformers_logging
    progress.disable_progress_bar()
    progress.set_verbosity_error()
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    try:
        model = SentenceTransformer(
            str(files.path),
            device="cpu",
            local_files_only=True,
            trust_remote_code=False,
            model_kwargs={"use_safetensors": True, "dtype": dtype},
        )
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        raise EmbeddingError(f"model {files.name} in {files.path} cannot be loaded: {error}") from error
    return model.eval()


class SentenceTransformersEmbedder:
    """The Embedder port over `SentenceTransformer.encode` with its own defaults (batches of 32)."""

    def __init__(self, config: EmbeddingConfig, files: ModelFiles, precision: str, fingerprint: str) -> None:
        self._config = config
        self._files = files
        self._precision = precision
        self._fingerprint = fingerprint
        self._model = load_sentence_transformer(files, precision)
        self._unit = config.distance is Distance.COSINE or files.normalize
        self._counter = (
            InputTokenizer(files.tokenizer, int(self._model.max_seq_length or files.max_length))
            if files.tokenizer.exists()
            else None
        )
        self._lock = threading.Lock()

    @property
    def fingerprint(self) -> str:
        """Of model, pooling, prefix and precision class."""
        return self._fingerprint

    @property
    def description(self) -> str:
        """Model, backend and precision."""
        reason = f" ({self._files.unusual})" if self._files.unusual else ""
        return f"{self._files.name}, sentence-transformers {self._precision}{reason}"

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return int(self._model.get_embedding_dimension())

    def embed(self, texts: Sequence[str], on_done: Callable[[int], None] | None = None) -> EmbeddingBatch:
        """Vectors of passages. Without `on_done` it is one call of `encode`, else one for each 1,024 texts."""
        prefixed = [self._config.passage_prefix + text for text in texts]
        step = _REPORT_EVERY if on_done is not None else max(1, len(prefixed))
        parts = [np.empty((0, self.dimension), np.float32)]
        for start in range(0, len(prefixed), step):
            part = prefixed[start : start + step]
            parts.append(self._encode(part))
            if on_done is not None:
                on_done(len(part))
        truncated = self._counter.encode(prefixed)[1] if self._counter is not None else 0
        return EmbeddingBatch(self._check(np.concatenate(parts), len(texts)), truncated)

    def embed_query(self, text: str) -> FloatArray:
        """Vector of a question, with `query_prefix`."""
        vector: FloatArray = self._check(self._encode([self._config.query_prefix + text]), 1)[0]
        return vector

    def close(self) -> None:
        """Release the model."""
        self._model = None

    def _encode(self, texts: list[str]) -> FloatArray:
        with self._lock:
            vectors: FloatArray = self._model.encode(texts, prompt="", show_progress_bar=False)
        return vectors

    def _check(self, vectors: FloatArray, texts: int) -> FloatArray:
        return checked(vectors, (texts, self.dimension), unit=self._unit, model=self._files.name)


class TorchBackend:
    """The same modules on padded token ids, in length-sorted batches: faster than `encode`."""

    def __init__(self, files: ModelFiles, precision: str) -> None:
        self._model = load_sentence_transformer(files, precision)
        self._precision = precision
        self._lock = threading.Lock()

    @property
    def label(self) -> str:
        """Backend and precision."""
        return f"torch {self._precision}"

    def batch_budget(self, tokens: int) -> int:
        """One batch at a time uses all cores."""
        return tokens

    def run(self, batches: Sequence[TokenBatch], done: Callable[[TokenBatch, FloatArray], None]) -> None:
        """Vectors of each batch, in order."""
        for batch in batches:
            done(batch, self.run_one(batch))

    def run_one(self, batch: TokenBatch) -> FloatArray:
        """Vectors of one batch."""
        import torch

        features = {
            "input_ids": torch.from_numpy(batch.input_ids),
            "attention_mask": torch.from_numpy(batch.attention_mask),
        }
        with self._lock, torch.inference_mode():
            vectors = self._model(features)["sentence_embedding"].float().numpy()
        return np.asarray(vectors, np.float32)

    def close(self) -> None:
        """Release the model."""
        self._model = None

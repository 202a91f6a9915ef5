"""Dense embeddings: local models on the fastest faithful backend, or an OpenAI-compatible endpoint.

Importing this package loads no model library.
"""

from __future__ import annotations

import logging
from pathlib import Path

from rag_pipelines.config.models import EmbeddingConfig
from rag_pipelines.core.errors import EmbeddingError
from rag_pipelines.core.fingerprints import fingerprint
from rag_pipelines.core.ports import Embedder, Tokenizer
from rag_pipelines.core.types import Distance
from rag_pipelines.embedding.models import ModelFiles, architecture_hash, resolve, weights_hash
from rag_pipelines.embedding.select import candidates, precision_class

__all__ = ["describe", "embedding_fingerprint", "open_embedder", "open_tokenizer"]

log = logging.getLogger(__name__)

_VERSION = 1
_MEASURE = "bundled:all-MiniLM-L6-v2"


def open_embedder(config: EmbeddingConfig, models_dir: Path) -> Embedder:
    """The configured model, ready to embed; `models_dir` caches conversions and may be shared by processes.

    The first call for a model converts and verifies it (seconds); later ones load the result in about a
    third of a second. Raises EmbeddingError for missing, damaged or pickled weights, and for a backend or
    precision that cannot be had.
    """
    if config.provider == "openai":
        from rag_pipelines.embedding.openai import OpenAIEmbedder

        return OpenAIEmbedder(config, embedding_fingerprint(config), open_tokenizer(config, models_dir))
    from rag_pipelines.embedding.convert import Unfaithful

    files = resolve(config.model)
    options = candidates(config, files)
    mark = embedding_fingerprint(config, models_dir)
    for position, (backend, precision) in enumerate(options):
        try:
            return _open_local(config, files, models_dir, backend, precision, mark)
        except Unfaithful as error:
            if position + 1 == len(options):
                raise
            log.warning("backend passed over: backend=%s reason=%s", backend, error)
    raise EmbeddingError(f"no backend can run {config.model}; install openvino, onnxruntime or torch")


def open_tokenizer(config: EmbeddingConfig, models_dir: Path) -> Tokenizer:
    """The model's tokens, for cutting chunks; needs the `tokenizers` library and tokenizer.json only.

    A remote model's tokenizer is not known here: sizes are then measured in tokens of the bundled MiniLM,
    which are about as many as other English models' and more of them in code.
    """
    from rag_pipelines.embedding.tokens import ModelTokenizer

    return ModelTokenizer(resolve(_MEASURE if config.provider == "openai" else config.model).tokenizer)


def embedding_fingerprint(config: EmbeddingConfig, models_dir: Path | None = None) -> str:
    """Of all that changes a passage's vector beyond rounding, without loading the model.

    Backends of one precision class share it, so switching them embeds nothing again. `query_prefix`
    is left out, since no stored vector depends on it. With `models_dir` hashes are remembered on disk.
    """
    if config.provider == "openai" and config.openai is not None:
        return fingerprint(
            "embedding",
            _VERSION,
            {
                "provider": "openai",
                "model": config.model,
                "base_url": config.openai.base_url.rstrip("/"),
                "dimension": config.openai.dimension,
                "max_tokens": config.openai.max_tokens,
                "passage_prefix": config.passage_prefix,
                "unit": config.distance is Distance.COSINE,
            },
        )
    files = resolve(config.model)
    return fingerprint(
        "embedding",
        _VERSION,
        {
            "provider": "local",
            "weights": weights_hash(files, models_dir),
            "architecture": architecture_hash(files),
            "pooling": files.pooling,
            "unit": config.distance is Distance.COSINE or files.normalize,
            "max_length": files.max_length,
            "passage_prefix": config.passage_prefix,
            "class": precision_class(config.precision),
        },
    )


def describe(config: EmbeddingConfig) -> str:
    """Model, and the backend and precision that would be tried first, without loading anything."""
    if config.provider == "openai" and config.openai is not None:
        return f"{config.model} at {config.openai.base_url}, {config.openai.dimension} dimensions"
    backend, precision = candidates(config, resolve(config.model))[0]
    chosen = " (chosen by auto)" if "auto" in (config.backend, config.precision) else ""
    return f"{config.model}, {backend} {precision}{chosen}"


def _open_local(
    config: EmbeddingConfig, files: ModelFiles, models_dir: Path, backend: str, precision: str, mark: str
) -> Embedder:
    from rag_pipelines.embedding.local import LocalEmbedder, TokenBackend

    opened: TokenBackend
    if backend == "openvino":
        from rag_pipelines.embedding.openvino import open_openvino

        opened = open_openvino(files, models_dir, precision)
    elif backend == "onnx":
        from rag_pipelines.embedding.onnx import open_onnx

        opened = open_onnx(files, models_dir, precision)
    else:
        from rag_pipelines.embedding.torch import SentenceTransformersEmbedder, TorchBackend

        if files.unusual is not None or precision == "fp32":
            return SentenceTransformersEmbedder(config, files, precision, mark)
        opened = TorchBackend(files, precision)
    return LocalEmbedder(config, files, opened, mark)

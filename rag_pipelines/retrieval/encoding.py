"""Turns questions into vectors of the space that a collection holds, whatever the YAML says by now."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pydantic import ValidationError

from rag_pipelines.catalog.store import Row
from rag_pipelines.config.models import EmbeddingConfig, IndexConfig, SparseConfig
from rag_pipelines.core.errors import EmbeddingError, EngineError
from rag_pipelines.core.ports import Embedder, SparseEncoder
from rag_pipelines.embedding.space import space_fingerprint, typed_fields
from rag_pipelines.embedding.sparse import Bm25Encoder

logger = logging.getLogger(__name__)
Settings = tuple[EmbeddingConfig, SparseConfig | None]


@dataclass(frozen=True, slots=True)
class QueryEncoder:
    """The model and the term encoder that fit one collection; the model is loaded on first use."""

    embedder: Callable[[], Embedder]
    sparse: SparseEncoder | None


def fitting_settings(
    collection: Row, config: IndexConfig, model_fingerprint: Callable[[EmbeddingConfig], str]
) -> Settings:
    """The configured settings where the collection holds their vectors, else those it was built with.

    Between an edit of the YAML and the sync that builds its collection, the published version goes on being
    asked in its own space: vectors of another model would give an answer that looks right and is not.
    Raises EngineError where neither fits, for example because the files of a local model were replaced.
    """
    configured: Settings = (config.embedding, config.sparse)
    for settings in (configured, *_built_with(collection)):
        with contextlib.suppress(EmbeddingError):
            if _fits(collection, settings, model_fingerprint):
                if settings is not configured:
                    logger.warning(
                        "index=%s is still answered with model=%s; the configured one follows with the next sync",
                        config.index,
                        settings[0].model,
                    )
                return settings
    raise EngineError(
        f"the published version of index {config.index!r} holds vectors of another model than the configured "
        f"{config.embedding.model!r}, and the model that it was built with is not here any more; run "
        "`rag-pipelines sync` to build it anew"
    )


def _fits(collection: Row, settings: Settings, model_fingerprint: Callable[[EmbeddingConfig], str]) -> bool:
    embedding, sparse = settings
    vectors = collection["vectors"]
    # The stored payload fields stand in for the configured ones: they do not change what vectors mean.
    mark = space_fingerprint(
        model_fingerprint(embedding),
        vectors["dimension"],
        embedding.distance,
        Bm25Encoder(sparse).fingerprint if sparse is not None else None,
        vectors["keyword_fields"],
        typed_fields(vectors),
    )
    return bool(mark == collection["space_fp"])


def _built_with(collection: Row) -> Iterator[Settings]:
    stored = collection["vectors"].get("built_with")
    if stored is not None:
        with contextlib.suppress(ValidationError):  # written by a program with other settings
            sparse = stored["sparse"]
            yield (
                EmbeddingConfig.model_validate(stored["embedding"]),
                SparseConfig.model_validate(sparse) if sparse is not None else None,
            )

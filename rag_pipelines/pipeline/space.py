"""The vector space of an index and the collection that holds it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

import numpy as np

from rag_pipelines.catalog import chunks as chunk_rows
from rag_pipelines.catalog import collection_rows
from rag_pipelines.catalog.store import Row, now
from rag_pipelines.config.models import ChunkingRule, IndexConfig
from rag_pipelines.core.ports import SparseEncoder
from rag_pipelines.core.types import Distance, FloatArray, VectorSpace
from rag_pipelines.embedding.space import TYPED, space_fingerprint, typed_fields
from rag_pipelines.index.points import meta_path
from rag_pipelines.pipeline.screening import screen_fingerprint
from rag_pipelines.pipeline.workspace import Workspace

SAMPLE = 20_000
DEFAULT_LENGTH = 120.0


@dataclass(frozen=True, slots=True)
class Space:
    """Everything that decides where an index's points go and what they look like.

    `built_with` are the settings that readers need to ask the collection, also after the YAML has changed;
    `screen_fp` is of what judges passages.
    """

    index: str
    collection: str
    fingerprint: str
    model: str
    model_fp: str
    vectors: VectorSpace
    sparse: SparseEncoder | None
    average_length: float
    built_with: Row
    rule_for: Callable[[str, str], ChunkingRule]
    screen_fp: str = ""

    @property
    def unit(self) -> bool:
        """Whether vectors are at unit length."""
        return self.vectors.distance is Distance.COSINE

    @property
    def no_vector(self) -> FloatArray:
        """Stands in until the stored vector is loaded."""
        return np.zeros(0, dtype=np.float32)

    def catalog_row(self) -> Row:
        """The collection as the catalog remembers it."""
        return {
            "collection": self.collection,
            "index_name": self.index,
            "space_fp": self.fingerprint,
            "average_length": self.average_length,
            "vectors": {
                **asdict(self.vectors),
                "distance": self.vectors.distance.value,
                "built_with": self.built_with,
            },
            "snapshots": [],
            "created_at": now(),
        }


def open_space(workspace: Workspace, index: str) -> Space:
    """The space that the configuration asks for.

    BM25's average length is measured on the chunks in the catalog when the collection is first needed
    and stays with it: later it could not change without encoding every point anew.
    """
    config = workspace.configuration.indexes[index]
    space = describe_space(workspace, config)
    with workspace.catalog.begin() as tx:
        known = collection_rows.collection_of(tx, index, space.fingerprint)
    if known is not None:
        return replace(space, average_length=known["average_length"])
    if space.sparse is None:
        return space
    texts = list(chunk_rows.sample_chunk_texts(workspace.catalog, index, SAMPLE))
    length = float(space.sparse.count_terms(texts).mean()) if texts else DEFAULT_LENGTH
    return replace(space, average_length=max(length, 1.0))


def describe_space(workspace: Workspace, config: IndexConfig) -> Space:
    """The space without what only the catalog knows; loads no model."""
    sparse = workspace.sparse_encoder(config)
    model_fp = workspace.model_fingerprint(config)
    vectors = VectorSpace(
        dimension=workspace.dimension(config),
        distance=config.embedding.distance,
        sparse=sparse is not None,
        keyword_fields=("media_type", "language", *_fields_of(config, "keyword")),
        **{f"{kind}_fields": _fields_of(config, kind) for kind in TYPED},
    )
    space_fp = space_fingerprint(
        model_fp,
        vectors.dimension,
        vectors.distance,
        sparse.fingerprint if sparse else None,
        vectors.keyword_fields,
        typed_fields(asdict(vectors)),
    )
    sources = workspace.configuration.sources

    @functools.cache
    def rule_for(source: str, media_type: str) -> ChunkingRule:
        return sources[source].chunking.rule_for(media_type)

    return Space(
        index=config.index,
        collection=f"{config.index}_{space_fp}",
        fingerprint=space_fp,
        model=f"{config.embedding.model}@{model_fp}",
        model_fp=model_fp,
        vectors=vectors,
        sparse=sparse,
        average_length=DEFAULT_LENGTH,
        built_with={
            "embedding": config.embedding.model_dump(mode="json"),
            "sparse": config.sparse.model_dump(mode="json") if config.sparse else None,
        },
        rule_for=rule_for,
        screen_fp=screen_fingerprint(workspace),
    )


def _fields_of(config: IndexConfig, kind: str) -> tuple[str, ...]:
    return tuple(meta_path(name) for name, declared in config.filter_types.items() if declared == kind)

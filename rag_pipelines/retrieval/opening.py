"""Opens searchers from the configuration; needs no connector, parser or chunker."""

from __future__ import annotations

import threading
from functools import partial

from rag_pipelines.blobs import open_blobs
from rag_pipelines.catalog.store import Catalog, Row, open_catalog
from rag_pipelines.config.environment import Environment
from rag_pipelines.config.load import Configuration
from rag_pipelines.config.models import EmbeddingConfig, IndexConfig
from rag_pipelines.core.ports import Embedder, Tokenizer, VectorEngine
from rag_pipelines.embedding import embedding_fingerprint, open_embedder, open_tokenizer
from rag_pipelines.embedding.sparse import Bm25Encoder
from rag_pipelines.index import open_engine
from rag_pipelines.retrieval.encoding import QueryEncoder, fitting_settings
from rag_pipelines.retrieval.parts import open_parts
from rag_pipelines.retrieval.remembered import Memories
from rag_pipelines.retrieval.search import Searcher


class Searchers:
    """One searcher an index, sharing catalog, engine and models; safe to use from several threads.

    Close it when done.
    """

    def __init__(
        self, environment: Environment, configuration: Configuration, memories: Memories | None = None
    ) -> None:
        """`memories` keep what models said of a question; without them every question is embedded."""
        self.environment = environment
        self.configuration = configuration
        self.catalog: Catalog = open_catalog(environment.database_url)
        self.engine: VectorEngine = open_engine(
            environment.engine_dir, environment.qdrant_url, environment.qdrant_api_key
        )
        self._memories = memories or Memories()
        self._blobs = open_blobs(environment.blobs_url)
        self._opening = threading.Lock()
        self._loading = threading.Lock()
        self._embedders: dict[EmbeddingConfig, Embedder] = {}
        self._tokenizers: dict[EmbeddingConfig, Tokenizer] = {}
        self._searchers: dict[str, Searcher] = {}

    def __enter__(self) -> Searchers:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def get(self, index: str | None = None) -> Searcher:
        """The searcher of an index, by default the default index. Raises ConfigError for unknown names."""
        config = self.configuration.index_named(index)
        with self._opening:
            if config.index not in self._searchers:
                self._searchers[config.index] = Searcher(
                    config,
                    self.catalog,
                    self.engine,
                    partial(self._encoder, config),
                    open_parts(
                        config,
                        self.configuration.root,
                        self.configuration.policy,
                        self._blobs.get_text,
                        partial(self._tokenizer, config.embedding),
                        self._memories,
                    ),
                )
            return self._searchers[config.index]

    def close(self) -> None:
        """Close snapshots, models and the database."""
        for searcher in self._searchers.values():
            searcher.close()
        for embedder in self._embedders.values():
            embedder.close()
        self._searchers.clear()
        self._embedders.clear()
        self.engine.close()
        self.catalog.close()

    def _encoder(self, config: IndexConfig, collection: Row) -> QueryEncoder:
        embedding, sparse = fitting_settings(
            collection, config, partial(embedding_fingerprint, models_dir=self.environment.models_dir)
        )
        return QueryEncoder(
            partial(self._embedder, embedding), Bm25Encoder(sparse) if sparse is not None else None
        )

    def _embedder(self, config: EmbeddingConfig) -> Embedder:
        # Not under the lock: nobody who has a model waits while another one is loaded.
        if (known := self._embedders.get(config)) is not None:
            return known
        with self._loading:
            if config not in self._embedders:
                opened = open_embedder(config, self.environment.models_dir)
                self._embedders[config] = self._memories.embedder(opened)
            return self._embedders[config]

    def _tokenizer(self, config: EmbeddingConfig) -> Tokenizer:
        if (known := self._tokenizers.get(config)) is not None:
            return known
        with self._loading:
            if config not in self._tokenizers:
                self._tokenizers[config] = open_tokenizer(config, self.environment.models_dir)
            return self._tokenizers[config]

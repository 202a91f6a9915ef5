"""Opens the parts that a configuration names and keeps them for the length of a run."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

from rag_pipelines.blobs import BlobStore, open_blobs
from rag_pipelines.catalog import audit, reports
from rag_pipelines.catalog.store import Catalog, open_catalog
from rag_pipelines.config.environment import Environment, read_environment
from rag_pipelines.config.load import Configuration, load_configuration
from rag_pipelines.config.models import IndexConfig, ParsingLimits
from rag_pipelines.core.events import Event
from rag_pipelines.core.faults import fault_point
from rag_pipelines.core.ports import Embedder, Parser, Source, SparseEncoder, Tokenizer, VectorEngine
from rag_pipelines.governance.injection_screen import Screen, open_screen


class Workspace:
    """Everything a verb needs, opened on first use; close it (or use `with`) to end worker processes."""

    def __init__(self, environment: Environment, configuration: Configuration) -> None:
        self.environment = environment
        self.configuration = configuration
        self._parsers: dict[ParsingLimits, Parser] = {}
        self._embedders: dict[str, Embedder] = {}
        self._tokenizers: dict[str, Tokenizer] = {}

    def __enter__(self) -> Workspace:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @cached_property
    def catalog(self) -> Catalog:
        """The database."""
        return open_catalog(self.environment.database_url)

    @cached_property
    def audit(self) -> audit.AuditLog:
        """What a verb appends its line with, last in the transaction that the line tells of."""
        return audit.open_log(self.configuration.policy.audit)

    def record(self, event: Event) -> None:
        """One line of the audit log in a transaction of its own, for what no transaction of the catalog does."""
        audit.record(self.catalog, self.audit, event)

    @cached_property
    def blobs(self) -> BlobStore:
        """Raw and parsed artifacts."""
        return open_blobs(self.environment.blobs_url)

    @cached_property
    def engine(self) -> VectorEngine:
        """The vector engine: embedded, or a server where RAG_QDRANT_URL is set."""
        from rag_pipelines.index import open_engine

        env = self.environment
        return open_engine(env.engine_dir, env.qdrant_url, env.qdrant_api_key)

    @cached_property
    def screen(self) -> Screen | None:
        """What judges passages; None where the policy asks for nothing. Raises ConfigError."""
        return open_screen(self.configuration.policy.injection)

    @contextlib.contextmanager
    def opened_source(self, name: str) -> Iterator[Source]:
        """A connector for the length of the block."""
        from rag_pipelines.sources import CONNECTORS, OpenContext

        config = self.configuration.source_named(name)
        connector = CONNECTORS[config.connector]
        work_dir = self.environment.home / "sources" / name
        work_dir.mkdir(parents=True, exist_ok=True)
        context = OpenContext(source=name, work_dir=work_dir, base_dir=self.configuration.root)
        source = connector.open(context, connector.params.model_validate(config.params))
        try:
            yield source
        finally:
            source.close()

    def parser(self, limits: ParsingLimits) -> Parser:
        """The sandboxed parser under these limits."""
        if limits not in self._parsers:
            from rag_pipelines.parsing.sandbox import SandboxedParser

            self._parsers[limits] = SandboxedParser(limits)
        return self._parsers[limits]

    def tokenizer(self, index: IndexConfig) -> Tokenizer:
        """The tokens that the index's model counts."""
        if index.index not in self._tokenizers:
            from rag_pipelines.embedding import open_tokenizer

            self._tokenizers[index.index] = open_tokenizer(index.embedding, self.environment.models_dir)
        return self._tokenizers[index.index]

    def embedder(self, index: IndexConfig) -> Embedder:
        """The index's dense model."""
        if index.index not in self._embedders:
            from rag_pipelines.embedding import open_embedder

            self._embedders[index.index] = open_embedder(index.embedding, self.environment.models_dir)
        return self._embedders[index.index]

    def model_fingerprint(self, index: IndexConfig) -> str:
        """Of the index's dense model, without loading it."""
        from rag_pipelines.embedding import embedding_fingerprint

        return embedding_fingerprint(index.embedding, self.environment.models_dir)

    def dimension(self, index: IndexConfig) -> int:
        """Length of the index's vectors; loads the model only where nothing else tells."""
        if index.embedding.openai is not None:
            return index.embedding.openai.dimension
        from rag_pipelines.embedding.models import resolve

        files = resolve(index.embedding.model)
        return files.dimension if files.unusual is None else self.embedder(index).dimension

    def sparse_encoder(self, index: IndexConfig) -> SparseEncoder | None:
        """The index's BM25 encoder, where it has one."""
        if index.sparse is None:
            return None
        from rag_pipelines.embedding.sparse import Bm25Encoder

        return Bm25Encoder(index.sparse)

    def count(self, run_id: str, source: str, counts: Mapping[str, int]) -> None:
        """Add to the tally of a run."""
        with self.catalog.begin() as tx:
            reports.add_counts(tx, run_id, source, counts)
        fault_point("tally.added")

    def close(self) -> None:
        """End worker processes and connections."""
        for parser in self._parsers.values():
            parser.close()
        for embedder in self._embedders.values():
            embedder.close()
        self._parsers.clear()
        self._embedders.clear()
        for name in ("engine", "catalog"):
            if name in self.__dict__:
                self.__dict__.pop(name).close()


def open_workspace(environment: Environment | None = None) -> Workspace:
    """Read the environment and the configuration. Raises ConfigError."""
    from rag_pipelines.sources import CONNECTORS

    env = environment or read_environment()
    models = {name: connector.params for name, connector in CONNECTORS.items()}
    return Workspace(env, load_configuration(env.configs, models))


def indexes_of(workspace: Workspace, sources: Sequence[str]) -> list[str]:
    """Indexes that read any of the sources."""
    return [
        name
        for name, config in workspace.configuration.indexes.items()
        if any(config.covers(source) for source in sources)
    ]

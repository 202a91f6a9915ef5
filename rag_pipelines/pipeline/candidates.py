"""A version that is staged and seen by nobody yet, open for those who judge it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from rag_pipelines.catalog import versions
from rag_pipelines.catalog.store import Row
from rag_pipelines.catalog.versions import Pointer
from rag_pipelines.config.models import EmbeddingConfig, IndexConfig
from rag_pipelines.core.faults import fault_point
from rag_pipelines.core.filters import Condition
from rag_pipelines.core.ports import CollectionReader, CollectionWriter, Embedder
from rag_pipelines.pipeline.readers import prune_snapshots
from rag_pipelines.pipeline.workspace import Workspace
from rag_pipelines.pipeline.writers import opened_writer
from rag_pipelines.retrieval.encoding import QueryEncoder, fitting_settings
from rag_pipelines.retrieval.parts import open_parts
from rag_pipelines.retrieval.search import Searcher


@dataclass(frozen=True, slots=True)
class Candidate:
    """`shown` is the condition of the version's points; `live` is what it would replace, None at first.

    `reader` reads the copy that readers would open, before they do; `searcher` asks it as they would.
    """

    index: str
    number: int
    collection: str
    reader: CollectionReader
    shown: Condition
    searcher: Searcher
    live: Pointer | None


@contextlib.contextmanager
def opened_candidate(workspace: Workspace, index: str, row: Row) -> Iterator[Candidate]:
    """The candidate as readers would find it, for the length of the block.

    It is judged on a copy of its own, since what it was judged on must not move; rights that change meanwhile
    reach the copy that is published, which is made later.
    """
    collection = row["collection"]
    with opened_writer(workspace, collection) as writer:
        make_ready(writer)
        snapshot = workspace.engine.snapshot(collection)
    fault_point("gates.copied")
    try:
        with opened_searcher(workspace, index) as searcher:
            searcher.stay_at(Pointer(index, row["number"], collection, snapshot, 0))
            _, reader, shown = searcher.scroll_reader(None)
            live = versions.pointer(workspace.catalog, index)
            yield Candidate(index, row["number"], collection, reader, shown, searcher, live)
    finally:
        with opened_writer(workspace, collection):
            prune_snapshots(workspace, collection)


def make_ready(writer: CollectionWriter) -> None:
    """Everything that readers need is durable and fast to search."""
    if writer.missing_indexes():  # the collection is older than one of them
        writer.create_indexes()
    writer.optimize()
    writer.flush()


@contextlib.contextmanager
def opened_searcher(workspace: Workspace, index: str) -> Iterator[Searcher]:
    """Asks what is published, as the query service does, with the models that the workspace has open."""
    config = workspace.configuration.indexes[index]
    others: dict[EmbeddingConfig, Embedder] = {}
    searcher = Searcher(
        config,
        workspace.catalog,
        workspace.engine,
        partial(_encoder, workspace, config, others),
        open_parts(
            config,
            workspace.configuration.root,
            workspace.configuration.policy,
            workspace.blobs.get_text,
            partial(workspace.tokenizer, config),
        ),
    )
    try:
        yield searcher
    finally:
        searcher.close()
        for embedder in others.values():
            embedder.close()


def _encoder(
    workspace: Workspace, config: IndexConfig, others: dict[EmbeddingConfig, Embedder], collection: Row
) -> QueryEncoder:
    from rag_pipelines.embedding import embedding_fingerprint, open_embedder
    from rag_pipelines.embedding.sparse import Bm25Encoder

    models = workspace.environment.models_dir
    embedding, sparse = fitting_settings(
        collection, config, partial(embedding_fingerprint, models_dir=models)
    )

    def embedder() -> Embedder:
        if embedding == config.embedding:
            return workspace.embedder(config)
        if embedding not in others:  # the live version is of a model that is about to be replaced
            others[embedding] = open_embedder(embedding, models)
        return others[embedding]

    return QueryEncoder(embedder, Bm25Encoder(sparse) if sparse is not None else None)

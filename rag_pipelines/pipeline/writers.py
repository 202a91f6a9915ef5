"""Opens a collection for writing, waiting a little where another process holds it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_exponential_jitter

from rag_pipelines.catalog import collection_rows
from rag_pipelines.core.errors import CatalogError, EngineError
from rag_pipelines.core.ports import CollectionWriter
from rag_pipelines.core.types import Distance, VectorSpace
from rag_pipelines.embedding.space import typed_fields
from rag_pipelines.pipeline.workspace import Workspace

WAIT_SECONDS = 120.0


@contextlib.contextmanager
def opened_writer(
    workspace: Workspace, collection: str, *, rebuilding: bool = False
) -> Iterator[CollectionWriter]:
    """The writer of a collection that the catalog knows, for the length of the block.

    Another writer is waited for with backoff, two minutes at most; then EngineError names it. A collection
    that was published from and that the engine has lost raises EngineError, unless it is being rebuilt: an
    empty one in its place would publish the coming change and nothing else.
    """
    with workspace.catalog.begin() as tx:
        row = collection_rows.collection_row(tx, collection)
    if row is None:
        raise CatalogError(f"the catalog knows no collection {collection!r}; sync the index to build it")
    if row["snapshots"] and not rebuilding and not workspace.engine.exists(collection):
        raise EngineError(
            f"the vector engine has lost collection {collection!r}; run `rag-pipelines reconcile`, which builds it "
            "again from the catalog without embedding"
        )
    stored = dict(row["vectors"])
    space = VectorSpace(
        dimension=stored["dimension"],
        distance=Distance(stored["distance"]),
        sparse=stored["sparse"],
        keyword_fields=tuple(stored["keyword_fields"]),
        **{f"{kind}_fields": fields for kind, fields in typed_fields(stored).items()},
    )
    attempts = Retrying(
        retry=retry_if_exception(lambda error: isinstance(error, EngineError) and error.transient),
        wait=wait_exponential_jitter(initial=0.2, max=5.0),
        stop=stop_after_delay(WAIT_SECONDS),
        reraise=True,
    )
    writer = attempts(workspace.engine.writer, collection, space)
    try:
        yield writer
    finally:
        writer.close()

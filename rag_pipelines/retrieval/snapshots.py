"""Opens the snapshot that a pointer names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rag_pipelines.catalog import collection_rows
from rag_pipelines.catalog.store import Catalog, Row, reading
from rag_pipelines.catalog.versions import Pointer
from rag_pipelines.core.errors import EngineError
from rag_pipelines.core.filters import All, Condition, MatchAny, Not
from rag_pipelines.core.ports import CollectionReader, VectorEngine
from rag_pipelines.index.points import visible_at
from rag_pipelines.retrieval.encoding import QueryEncoder


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A snapshot that is open, and what questions to it are made of."""

    pointer: Pointer
    hidden: tuple[str, ...]
    reader: CollectionReader
    encoder: QueryEncoder

    def shown(self, version: int) -> Condition:
        """What the version holds, less the documents that no version may show any more."""
        if not self.hidden:
            return visible_at(version)
        return All((visible_at(version), Not(MatchAny("doc_id", self.hidden))))


def open_snapshot(
    catalog: Catalog,
    engine: VectorEngine,
    encoder: Callable[[Row], QueryEncoder],
    pointer: Pointer,
    hidden: tuple[str, ...],
) -> Snapshot:
    """Open what the pointer names, with the encoder that fits its collection; the caller closes the reader."""
    with reading(catalog.engine) as tx:
        row = collection_rows.collection_row(tx, pointer.collection)
    if row is None:
        raise EngineError(
            f"the catalog knows no collection {pointer.collection!r}, which index {pointer.index!r} points "
            "to; run `rag-pipelines sync` to build it"
        )
    made = encoder(row)
    return Snapshot(pointer, hidden, engine.reader(pointer.collection, pointer.snapshot), made)

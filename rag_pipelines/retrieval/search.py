"""Answers a question from exactly one published index version."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rag_pipelines.catalog import versions
from rag_pipelines.catalog.store import Catalog
from rag_pipelines.catalog.versions import Pointer
from rag_pipelines.config.models import IndexConfig
from rag_pipelines.core.errors import NotFound, NotPublished
from rag_pipelines.core.filters import All, Condition
from rag_pipelines.core.ports import (
    CollectionReader,
    Embedder,
    SearchRequest,
    SparseEncoder,
    VectorEngine,
)
from rag_pipelines.core.types import Citation, Hit, Passage, Principal
from rag_pipelines.governance.access import access_condition
from rag_pipelines.index.points import visible_at
from rag_pipelines.retrieval.filters import Value, filter_condition


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Passages of one version, best first."""

    index: str
    version: int
    passages: tuple[Passage, ...]

    def as_json(self) -> dict[str, Any]:
        """The object that `search --json` and the service answer."""
        return {
            "index": self.index,
            "version": self.version,
            "passages": [passage_json(passage) for passage in self.passages],
        }


def passage_json(passage: Passage) -> dict[str, Any]:
    """One passage, flat: rank, score, text, title and everything of its citation."""
    citation = asdict(passage.citation)
    citation["heading_path"] = list(passage.citation.heading_path)
    return {
        "rank": passage.rank,
        "score": passage.score,
        "text": passage.text,
        "title": passage.title,
        **citation,
        "metadata": dict(passage.metadata),
    }


class Searcher:
    """Reads one index; opens the published snapshot and follows the pointer when `refresh` is called.

    Safe to use from several threads: a search under way finishes on the snapshot it began with.
    """

    def __init__(
        self,
        config: IndexConfig,
        catalog: Catalog,
        engine: VectorEngine,
        embedder: Callable[[], Embedder],
        sparse: SparseEncoder | None,
    ) -> None:
        self.config = config
        self._catalog = catalog
        self._engine = engine
        self._embedder = embedder
        self._sparse = sparse
        self._lock = threading.Lock()
        self._open: tuple[Pointer, CollectionReader] | None = None

    @property
    def pointer(self) -> Pointer | None:
        """What is open now."""
        return self._open[0] if self._open else None

    def refresh(self) -> bool:
        """Switch to the published snapshot if it moved; returns whether it did. Costs one row otherwise."""
        wanted = versions.pointer(self._catalog, self.config.index)
        if wanted is None or (self._open is not None and self._open[0] == wanted):
            return False
        with self._lock:
            if self._open is not None and self._open[0] == wanted:
                return False
            # The old reader is left to the garbage collector: searches under way still use it.
            self._open = (wanted, self._engine.reader(wanted.collection, wanted.snapshot))
        return True

    def search(
        self,
        query: str,
        k: int,
        principal: Principal,
        filters: Mapping[str, Value | Sequence[Value]] | None = None,
        version: int | None = None,
    ) -> SearchResult:
        """The k best passages that the principal may read, of the published version or an explicit one.

        Raises NotPublished, ConfigError for an unknown filter field, EmbeddingError and EngineError.
        """
        pointer, reader = self._current()
        number = pointer.version if version is None else version
        reader, owned = self._reader_for(pointer, reader, number)
        condition = All(
            (
                visible_at(number),
                access_condition(principal),
                filter_condition(filters or {}, self.config),
            )
        )
        try:
            hits = reader.search(self._request(query, k, condition))
        finally:
            if owned:
                reader.close()
        return SearchResult(
            self.config.index,
            number,
            tuple(to_passage(rank, hit, number) for rank, hit in enumerate(hits, start=1)),
        )

    def warm(self) -> None:
        """Open the snapshot and load the model. Raises as `search` does."""
        self._current()
        self._embedder().embed_query("ready")

    def scroll_reader(self, version: int | None) -> tuple[int, CollectionReader]:
        """The version's number and a reader for listing its points; close the searcher, not the reader."""
        pointer, reader = self._current()
        number = pointer.version if version is None else version
        return number, self._reader_for(pointer, reader, number)[0]

    def close(self) -> None:
        """Close the open snapshot."""
        if self._open is not None:
            self._open[1].close()
            self._open = None

    def _current(self) -> tuple[Pointer, CollectionReader]:
        if self._open is None:
            self.refresh()
        if self._open is None:
            raise NotPublished(
                f"index {self.config.index!r} has no published version yet; run `rag-pipelines sync` (or "
                "`rag-pipelines publish` if its publish mode is manual), then ask again"
            )
        return self._open

    def _reader_for(
        self, pointer: Pointer, reader: CollectionReader, number: int
    ) -> tuple[CollectionReader, bool]:
        """The reader that holds version `number`, and whether it was opened for this call."""
        if number == pointer.version:
            return reader, False
        known = {row["number"]: row for row in versions.versions_of(self._catalog, self.config.index)}
        row = known.get(number)
        if row is None or row["status"] == "staging":
            valid = ", ".join(str(n) for n, r in known.items() if r["status"] != "staging")
            raise NotFound(f"index {self.config.index!r} has no readable version {number}; there are {valid}")
        if row["collection"] == pointer.collection:
            return reader, False
        with self._catalog.begin() as tx:
            collection = versions.collection_row(tx, row["collection"])
        if collection is None or not collection["snapshots"]:
            raise NotFound(f"version {number} of index {self.config.index!r} is no longer stored")
        return self._engine.reader(row["collection"], collection["snapshots"][-1]), True

    def _request(self, query: str, k: int, condition: Condition) -> SearchRequest:
        retrieval = self.config.retrieval
        use_dense = retrieval.mode in ("hybrid", "dense")
        use_sparse = retrieval.mode in ("hybrid", "sparse") and self._sparse is not None
        return SearchRequest(
            limit=k,
            dense=self._embedder().embed_query(query) if use_dense else None,
            sparse=self._sparse.encode_query(query) if use_sparse and self._sparse else None,
            condition=condition,
            fusion=retrieval.fusion,
            candidates=max(retrieval.candidates, k),
            rrf_k=retrieval.rrf_k,
        )


def to_passage(rank: int, hit: Hit, version: int) -> Passage:
    """A hit with its citation."""
    payload = hit.payload
    citation = Citation(
        source=payload["source"],
        uri=payload["uri"],
        doc_id=payload["doc_id"],
        chunk_id=payload["chunk_id"],
        start=payload["start"],
        end=payload["end"],
        page=payload.get("page"),
        heading_path=tuple(payload.get("heading_path") or ()),
        revision=payload["revision"],
        parsed_hash=payload["parsed_hash"],
        parser=payload["parser"],
        chunker=payload["chunker"],
        model=payload["model"],
        version=version,
        link=payload.get("link"),
    )
    return Passage(
        rank,
        round(float(hit.score), 6),
        payload["text"],
        payload.get("title"),
        citation,
        payload.get("meta") or {},
    )

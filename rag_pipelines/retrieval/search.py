"""Answers a question from exactly one published index version."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from rag_pipelines.catalog import collection_rows, versions
from rag_pipelines.catalog.store import Catalog, Row, reading
from rag_pipelines.catalog.versions import Pointer
from rag_pipelines.config.models import IndexConfig
from rag_pipelines.core.errors import EngineError, NotFound, NotPublished
from rag_pipelines.core.filters import All, Condition
from rag_pipelines.core.ports import CollectionReader, Tokenizer, VectorEngine
from rag_pipelines.core.stages import stage
from rag_pipelines.core.types import Principal
from rag_pipelines.dedup import dedup_fingerprint
from rag_pipelines.governance.untrusted import new_nonce
from rag_pipelines.retrieval.abstention import Evidence
from rag_pipelines.retrieval.answering import answer
from rag_pipelines.retrieval.context import assemble
from rag_pipelines.retrieval.encoding import QueryEncoder
from rag_pipelines.retrieval.filters import Wanted, filter_condition
from rag_pipelines.retrieval.locations import Reach, find_locations
from rag_pipelines.retrieval.options import Options
from rag_pipelines.retrieval.parts import Parts
from rag_pipelines.retrieval.passages import to_passage
from rag_pipelines.retrieval.result import SearchResult
from rag_pipelines.retrieval.signs import READ
from rag_pipelines.retrieval.snapshots import Snapshot, open_snapshot
from rag_pipelines.retrieval.variants import Variant
from rag_pipelines.retrieval.withheld import StandIns


class Searcher:
    """Reads one index; opens the published snapshot and follows the pointer when `refresh` is called.

    Safe to use from several threads: a search under way finishes on the snapshot it began with.
    """

    def __init__(
        self,
        config: IndexConfig,
        catalog: Catalog,
        engine: VectorEngine,
        encoder: Callable[[Row], QueryEncoder],
        parts: Parts,
    ) -> None:
        """`encoder` gives what fits a collection's row in the catalog; `parts` are what the index configures."""
        self.config = config
        self._catalog = catalog
        self._engine = engine
        self._encoder = encoder
        self.parts = parts
        self._lock = threading.Lock()
        self._open: Snapshot | None = None
        self._stays = False
        self.stand_ins = StandIns()

    @property
    def pointer(self) -> Pointer | None:
        """What is open now."""
        return self._open.pointer if self._open else None

    def refresh(self, *, warmed: bool = False) -> bool:
        """Switch to the published snapshot if it moved; returns whether it did. Costs one row otherwise.

        `warmed` loads its model first, while others go on reading the one before, without what is hidden by now.
        """
        if self._stays or self._is_current(versions.pointer(self._catalog, self.config.index)):
            return False
        with self._lock:
            wanted = versions.view(self._catalog, self.config.index)
            if wanted is None or self._is_current(wanted[0]):
                return False
            if warmed and self._open is not None:
                self._open = replace(self._open, hidden=tuple({*self._open.hidden, *wanted[1]}))
            try:
                opened = self._opened(*wanted)
            except EngineError:
                newer = versions.view(self._catalog, self.config.index)
                if newer is None or newer == wanted:
                    raise
                opened = self._opened(*newer)  # the snapshot was pruned between the two lines
            if warmed:
                opened.encoder.embedder().embed_query("ready")
            self._open = opened
            # The old reader is left to the garbage collector: searches under way still use it.
        return True

    def stay_at(self, pointer: Pointer) -> None:
        """Read this snapshot at its version, published or not, whatever is published meanwhile.

        For those who judge a version before anybody sees it; what is hidden from all readers stays hidden.
        """
        self._open = self._opened(pointer, tuple(versions.hidden_documents(self._catalog, self.config.index)))
        self._stays = True

    def search(
        self,
        query: str,
        k: int,
        principal: Principal,
        filters: Mapping[str, Wanted] | None = None,
        version: int | None = None,
        *,
        explained: bool = False,
        options: Options | None = None,
        passages_when_unanswerable: bool = False,
        variant: Variant | None = None,
    ) -> SearchResult:
        """The k best passages that the principal may read, of the live version or an earlier published one.

        With `distinct` in the index's YAML no two of them say the same. `explained` adds where each ranking put
        them; `options` stand in for the index's `retrieval.context`. With `abstention` in the YAML, a question that
        is not answered here gets no passages unless `passages_when_unanswerable`. `variant` answers by other settings
        of `retrieval` than the index's. Raises NotPublished, NotFound for an unknown version, ConfigError for a
        filter that the index cannot have or a calibration that cannot be read, EmbeddingError and EngineError.
        """
        with stage("retrieve", {"rag.index": self.config.index, "rag.k": k}) as span:
            result = self._search(
                query, k, principal, filters, version, explained, options, passages_when_unanswerable, variant
            )
            span.set_attribute("rag.version", result.version)
            span.set_attribute("rag.passages", len(result.passages))
            if result.answerable is not None:
                span.set_attribute("rag.answerable", result.answerable)
            return result

    def _search(
        self,
        query: str,
        k: int,
        principal: Principal,
        filters: Mapping[str, Wanted] | None,
        version: int | None,
        explained: bool,
        options: Options | None,
        passages_when_unanswerable: bool,
        variant: Variant | None,
    ) -> SearchResult:
        config, parts = (variant.config, variant.parts) if variant is not None else (self.config, self.parts)
        settings = (options or Options()).over(config.retrieval.context)
        asked = filter_condition(filters or {}, config)
        number, opened, owned = self._at(version)
        reach = self._reach(opened, number, principal)
        try:
            condition = All((reach.readable, asked))
            least = READ if parts.abstainer is not None else 0
            found = answer(reach, opened.encoder, query, k, condition, config, parts, settings, least)
            judged = found.judged(opened.reader, opened.encoder, query, config, parts)
            if judged is not None and not judged.answerable and not passages_when_unanswerable:
                found = replace(found, sections=[])
            groups = [section.group for section in found.sections]
            locations = find_locations(groups, reach, config.retrieval.locations)
            reasons = found.explained(reach, opened.encoder, query, config) if explained else None
        finally:
            if owned:
                opened.reader.close()
        passages = tuple(
            to_passage(rank, section, number, places, self.parts.policy)
            for rank, (section, places) in enumerate(zip(found.sections, locations, strict=True), start=1)
        )
        return SearchResult(
            self.config.index,
            number,
            passages,
            found.ranked.reranking,
            reasons,
            assemble(passages, settings.tokens, self.parts.tokenizer(), new_nonce())
            if settings.tokens
            else None,
            found.ranked.understanding,
            judged.confidence if judged is not None else None,
            judged.answerable if judged is not None else None,
            variant.name if variant is not None else None,
        )

    def evidence(self, query: str, principal: Principal, version: int | None = None) -> Evidence:
        """The signs that a search for the query would be judged by. Raises as `search` does."""
        number, opened, owned = self._at(version)
        reach = self._reach(opened, number, principal)
        settings = Options().over(self.config.retrieval.context)
        try:
            found = answer(
                reach, opened.encoder, query, READ, reach.readable, self.config, self.parts, settings, READ
            )
            return found.evidence(opened.reader, opened.encoder, query, self.config, self.parts)
        finally:
            if owned:
                opened.reader.close()

    @contextlib.contextmanager
    def reach(self, principal: Principal, version: int | None = None) -> Iterator[tuple[int, Reach]]:
        """A version's number and what the principal may read of it, while the block lasts. Raises as `search`."""
        number, opened, owned = self._at(version)
        try:
            yield number, self._reach(opened, number, principal)
        finally:
            if owned:
                opened.reader.close()

    def _reach(self, opened: Snapshot, number: int, principal: Principal) -> Reach:
        return Reach(
            self._catalog,
            self.config.index,
            opened.reader,
            opened.shown(number),
            set(opened.hidden),
            principal,
            self.parts.policy,
            opened.pointer.generation,
            dedup_fingerprint(self.config.dedup),
        )

    def warm(self) -> None:
        """Open the snapshot and load the model. Raises as `search` does."""
        self._current().encoder.embedder().embed_query("ready")

    def encoder(self) -> QueryEncoder:
        """What fits the snapshot that is open. Raises as `search` does."""
        return self._current().encoder

    def tokenizer(self) -> Tokenizer:
        """That of the index's model, by which contexts are measured."""
        return self.parts.tokenizer()

    def scroll_reader(self, version: int | None) -> tuple[int, CollectionReader, Condition]:
        """A version's number, a reader, and the condition of its points; close the searcher, not the reader."""
        number, opened, _ = self._at(version)
        return number, opened.reader, opened.shown(number)

    def close(self) -> None:
        """Close the open snapshot."""
        self.parts.close()
        if self._open is not None:
            self._open.reader.close()
            self._open = None

    def _is_current(self, wanted: Pointer | None) -> bool:
        own = self.pointer
        return own == wanted or (
            own is not None and wanted is not None and own.generation == wanted.generation
        )

    def _current(self) -> Snapshot:
        if self._open is None:
            self.refresh()
        opened = self._open
        if opened is None:
            raise NotPublished(
                f"index {self.config.index!r} has no published version yet; run `rag-pipelines sync` (or "
                "`rag-pipelines publish` if its publish mode is manual), then ask again"
            )
        return opened

    def _at(self, version: int | None) -> tuple[int, Snapshot, bool]:
        """The version's number, the snapshot that holds it, and whether it was opened for this call.

        A candidate that was never published is nobody's to read: the snapshot does not hold it whole.
        """
        current = self._current()
        live = current.pointer
        if version is None or version == live.version:
            return live.version, current, False
        published = {
            row["number"]: row["collection"]
            for row in versions.readable(versions.versions_of(self._catalog, self.config.index))
        }
        if version not in published:
            valid = ", ".join(str(number) for number in published)
            raise NotFound(
                f"index {self.config.index!r} has no published version {version}; there are {valid}"
            )
        self.refresh()  # a snapshot made before the version was published does not hold it
        current = self._current()
        live = current.pointer
        collection = published[version]
        if collection == live.collection:
            return version, current, False
        seen = versions.view(self._catalog, self.config.index)
        with reading(self._catalog.engine) as tx:
            row = collection_rows.collection_row(tx, collection)
        if seen is None or row is None or not row["snapshots"]:
            raise NotFound(f"version {version} of index {self.config.index!r} is no longer stored")
        pointer = replace(live, collection=collection, snapshot=row["snapshots"][-1])
        return version, self._opened(pointer, seen[1]), True

    def _opened(self, pointer: Pointer, hidden: tuple[str, ...]) -> Snapshot:
        return open_snapshot(self._catalog, self._engine, self._encoder, pointer, hidden)

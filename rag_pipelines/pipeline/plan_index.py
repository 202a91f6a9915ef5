"""What the documents of one source will do in one index: cut, embedded and staged in memory only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from rag_pipelines.catalog import chunks as chunk_rows
from rag_pipelines.catalog import duplicates, planning, staged
from rag_pipelines.catalog import points as point_rows
from rag_pipelines.catalog.store import Row, batches, reading
from rag_pipelines.catalog.values import storable_json
from rag_pipelines.chunking import chunker_fingerprint
from rag_pipelines.config.models import SourceConfig
from rag_pipelines.core.ports import Progress
from rag_pipelines.core.types import Chunk, ParsedDocument
from rag_pipelines.pipeline.chunk import BATCH_DOCUMENTS, chunking_fingerprint, cut
from rag_pipelines.pipeline.passes import begin_pass
from rag_pipelines.pipeline.payload import access_key
from rag_pipelines.pipeline.plan_parts import Part, Quarantine, Stratum, count_texts
from rag_pipelines.pipeline.plan_target import Target
from rag_pipelines.pipeline.point_changes import PointChanges, compare_points, key_to_stage
from rag_pipelines.pipeline.screening import screened
from rag_pipelines.pipeline.stage import stage_fingerprint
from rag_pipelines.pipeline.workspace import Workspace

PLACED_AT_ONCE = 500
BYTES_A_CHUNK = 1000
COUNTED = (
    "chunked",
    "chunks_added",
    "chunks_removed",
    "chunk_refused",
    "embedded",
    "staged_documents",
    "points_added",
    "points_removed",
    "access_applied",
)


@dataclass(slots=True)
class Forecast:
    """Collects the documents of a source by the work that they need in the index, then does it in memory.

    `reparsed` are the documents that the parser is at, whatever becomes of them; the source's indexes share the
    set. `placed` are those put where their work is, `recut` those of them whose chunks may change; `sure` counts
    what needs no closer look.
    """

    workspace: Workspace
    source: SourceConfig
    target: Target
    shards: Collection[int]
    quarantine: Quarantine
    reparsed: set[str]
    dirty: set[str]
    strata: dict[str, Stratum]
    placed: set[str] = field(default_factory=set)
    recut: set[str] = field(default_factory=set)
    sure: Part = field(default_factory=Part)
    wanted: dict[str, str] = field(default_factory=dict)

    def place(self, rows: Sequence[Row]) -> None:
        """Documents whose text stays, or that are gone: put each where its work is."""
        for batch in batches(rows, PLACED_AT_ONCE):
            with reading(self.workspace.catalog.engine) as tx:
                ids = [row["doc_id"] for row in batch]
                places = planning.places_of(tx, self.target.space.index, ids)
                collapsed = duplicates.collapsed_texts(tx, self.target.space.index, ids)
            for row in batch:
                self._place(self._state(row, places, collapsed), row["doc_id"] in places)

    def add(self, part: Part, rows: Sequence[Row], parsed_of: Callable[[Row], ParsedDocument]) -> None:
        """Cut and stage a batch of documents in memory, counting into the part."""
        index = self.target.space.index
        ids = [row["doc_id"] for row in rows]
        with reading(self.workspace.catalog.engine) as tx:
            places = planning.places_of(tx, index, ids)
            before = planning.chunk_keys(tx, index, ids)
            collapsed = duplicates.collapsed_texts(tx, index, ids)
        seen = [self._state(row, places, collapsed) for row in rows]
        due = [row for row in seen if self._is_due(row)]
        made, refused = cut(self.workspace, self.target.config, due, self.source.chunking.rule_for, parsed_of)
        chunks = {row["doc_id"]: made.get(row["doc_id"], []) for row in due if row["doc_id"] not in refused}
        states: list[Row] = []
        for row in seen:
            doc_id = row["doc_id"]
            if doc_id in chunks:
                states.append(self._cut(part, row, chunks[doc_id], {name for name, _ in before[doc_id]}))
            elif doc_id in places:
                states.append(row)
            if doc_id in refused:
                self.quarantine.add(doc_id, "chunk", index, self._input(row), part.per_document)
                part.counts["chunk_refused"] += 1
        self._note_texts(part, chunks, before)
        self._stage(part, states, chunks)

    def finish(
        self, parts: Sequence[Part], parsed_of: Callable[[Row], ParsedDocument], progress: Progress
    ) -> tuple[Counter[str], list[Part]]:
        """Look also at what earlier runs left and at changed settings; do all the work and sum it up.

        `parts` are those already added. Returns counts as the stages report them, and every part.
        """
        self._look_for_chunks()
        self._look_for_points()
        every = [*parts, self.sure]
        for name, stratum in self.strata.items():
            part = stratum.part()
            rows = stratum.rows
            if rows:
                progress.start(name, len(rows))
            for batch in batches(rows, BATCH_DOCUMENTS):
                self.add(part, batch, parsed_of)
                progress.advance(name, len(batch))
            if rows:
                progress.finish(name)
            if name == "stage":
                part.texts = (set(), set())  # found below, with those of documents that were not kept
            every.append(part)
        total = dict.fromkeys(COUNTED, 0.0)
        for part in every:
            for counted, value in part.scaled().items():
                total[counted] += value
        total["embedded"] = count_texts(every, set(self._missing()), self.target.planned)
        return Counter({counted: round(value) for counted, value in total.items()}), every

    def _place(self, state: Row, known: bool) -> None:
        self.placed.add(state["doc_id"])
        weight = document_weight(state)
        if not state["live"]:
            if known:
                self.recut.add(state["doc_id"])
                self.strata["gone"].add(state, weight)
        elif self._is_due(state):
            self.recut.add(state["doc_id"])
            self.strata["chunk"].add(state, weight)
        elif known and self.target.built and self._is_work(state):
            self.strata["stage"].add(state, weight)
        elif known:
            self._stage(self.sure, [state], {})

    def _state(self, row: Row, places: Mapping[str, Row], collapsed: Mapping[str, str]) -> Row:
        """The document with its place in the index; those that lose or find a representative now are not foreseen."""
        doc_id = row["doc_id"]
        there = row["live"] and self.target.config.holds(row["tenant"])
        stands = {"live": there, "collapsed": there and collapsed.get(doc_id) == row["parsed_hash"]}
        return {**row, **planning.NO_PLACE, **places.get(doc_id, {}), **stands}

    def _wanted(self, state: Row) -> str:
        if state["collapsed"]:
            return chunk_rows.COLLAPSED
        media_type = state["media_type"] or ""
        if media_type not in self.wanted:
            rule = self.source.chunking.rule_for(media_type)
            self.wanted[media_type] = chunker_fingerprint(rule, self.target.config.embedding.model)
        return self.wanted[media_type]

    def _input(self, state: Row) -> str:
        return f"{state['parsed_hash']} {self._wanted(state)}"

    def _is_due(self, state: Row) -> bool:
        """As `chunks.chunk_pending` decides, for a document that the catalog does not have like this."""
        if not state["live"]:
            return bool(state["i_chunk_count"])
        if state["parsed_hash"] is None:
            return False
        doc_id, index = state["doc_id"], self.target.space.index
        if (state["i_chunked_from"], state["i_chunk_fp"]) == (state["parsed_hash"], self._wanted(state)):
            self.quarantine.lift(doc_id, ["chunk"], index)
            return False
        return not self.quarantine.refused(doc_id, ["chunk"], self._input(state), index)

    def _is_work(self, state: Row) -> bool:
        return key_to_stage(self.target.space, state, self.dirty) is not None

    def _cut(self, part: Part, row: Row, chunks: Sequence[Chunk], before: set[str]) -> Row:
        """The document's place in the index once it is cut like this."""
        after = {chunk.chunk_id for chunk in chunks}
        added, removed = len(after - before), len(before - after)
        part.counts.update(chunked=1, chunks_added=added, chunks_removed=removed)
        self.quarantine.lift(row["doc_id"], ["chunk"], self.target.space.index)
        source = (row["parsed_hash"], self._wanted(row)) if row["live"] else (None, None)
        return {**row, "i_chunked_from": source[0], "i_chunk_fp": source[1], "i_chunk_count": len(chunks)}

    def _note_texts(
        self,
        part: Part,
        chunks: Mapping[str, Sequence[Chunk]],
        before: Mapping[str, Sequence[tuple[str, str]]],
    ) -> None:
        texts = {
            doc_id: {chunk.embed_hash for chunk in chunks[doc_id]}
            if doc_id in chunks
            else {text for _, text in keys}
            for doc_id, keys in before.items()
        }
        with reading(self.workspace.catalog.engine) as tx:
            stored = planning.texts_with_vector(tx, self.target.space.model_fp, set().union(*texts.values()))
        for doc_id, own in texts.items():
            part.add_texts(doc_id, own - stored)

    def _stage(self, part: Part, states: Sequence[Row], chunks: Mapping[str, Sequence[Chunk]]) -> None:
        """What `stage` would count for the documents."""
        part.counts["access_applied"] += sum(
            state["i_access_key"] is not None and state["i_access_key"] != access_key(state)
            for state in states
        )
        work = [state for state in states if self._is_work(state)]
        part.counts["staged_documents"] += len(work)
        space = self.target.space
        if not self.target.built:
            part.counts["points_added"] += sum(state["i_chunk_count"] for state in work)
            return
        ids = [state["doc_id"] for state in work]
        with reading(self.workspace.catalog.engine) as tx:
            stored = chunk_rows.chunks_of(tx, space.index, [doc_id for doc_id in ids if doc_id not in chunks])
            current = point_rows.current_points(tx, space.collection, ids)
        for state in work:
            if (own := chunks.get(state["doc_id"])) is not None:
                rows = [chunk_rows.chunk_row(space.index, state, chunk) for chunk in own]
                stored[state["doc_id"]] = [storable_json(row) for row in rows]
        wanted = screened(self.workspace, work, stored)
        changes = PointChanges()
        for state in work:
            doc_id = state["doc_id"]
            compare_points(space, self.target.number, state, wanted[doc_id], current[doc_id], changes)
        changes.settle()
        part.counts["points_added"] += len(changes.points)
        part.counts["points_removed"] += len(changes.retired) + len(changes.never_seen)

    def _look_for_chunks(self) -> None:
        """Documents that the catalog knows to be due, after an interrupted run or another chunking rule."""
        index, source, model = self.target.space.index, self.source.source, self.target.config.embedding.model
        settings = chunking_fingerprint(self.source.chunking, self.target.config)
        stage_pass = begin_pass(self.workspace, "chunk", index, source, self.shards, settings)
        if stage_pass.nothing:
            return
        catalog = self.workspace.catalog
        rules = {
            media_type: chunker_fingerprint(self.source.chunking.rule_for(media_type), model)
            for media_type in chunk_rows.media_types(catalog, source, stage_pass.only)
        }
        due, settled = chunk_rows.chunk_pending(
            catalog, index, source, self.shards, rules, stage_pass.only, self.target.config.tenant
        )
        for doc_id in settled:
            self.quarantine.lift(doc_id, ["chunk"], index)
        self.place([row for row in due if self._is_open(row)])

    def _look_for_points(self) -> None:
        """Documents whose points the catalog knows to be out of date, or in another collection."""
        space, source = self.target.space, self.source.source
        settings = stage_fingerprint(space, self.source.chunking)
        stage_pass = begin_pass(
            self.workspace, "stage", space.index, source, self.shards, settings, self.dirty
        )
        if stage_pass.nothing:
            return
        catalog, tenant = self.workspace.catalog, self.target.config.tenant
        states = staged.stage_state(catalog, space.index, source, self.shards, stage_pass.only, tenant)
        self.place([state for state in states if self._is_open(state)])

    def _is_open(self, row: Row) -> bool:
        return row["doc_id"] not in self.placed and row["doc_id"] not in self.reparsed

    def _missing(self) -> Iterator[str]:
        """Texts without a vector in documents whose chunks stay."""
        space, source = self.target.space, self.source.source
        stage_pass = begin_pass(self.workspace, "embed", space.index, source, self.shards, space.model_fp)
        if stage_pass.nothing:
            return
        for doc_id, text in planning.texts_without_vector(
            self.workspace.catalog, space.index, source, space.model_fp, stage_pass.only
        ):
            if doc_id not in self.recut and doc_id not in self.reparsed:
                yield text


def document_weight(row: Row) -> float:
    """What a document's work is taken to be in proportion to: its chunks so far, else about its size."""
    return float(row.get("i_chunk_count") or (row["size"] or 0) / BYTES_A_CHUNK + 1)

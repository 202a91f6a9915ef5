"""A project that is changed at random, beside the model of what must come of it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from rag_pipelines.catalog import approvals, reports, versions
from rag_pipelines.catalog.store import reading
from rag_pipelines.catalog.tables import documents, embeddings
from rag_pipelines.core.errors import SourceError
from rag_pipelines.core.ids import content_hash
from rag_pipelines.core.ports import Embedder, EmbeddingBatch
from rag_pipelines.core.types import OPERATOR, Classification, Principal
from rag_pipelines.pipeline.approve import approve
from rag_pipelines.pipeline.publish import publish
from rag_pipelines.pipeline.reconcile import reconcile
from rag_pipelines.pipeline.rollback import rollback, unpin
from rag_pipelines.pipeline.sync import sync
from rag_pipelines.pipeline.vacuum import vacuum
from rag_pipelines_tests.pipeline.model import DOCS, NOTES, SOURCES, File, Key, Model
from rag_pipelines_tests.pipeline.reading import Reading
from rag_pipelines_tests.pipeline.stops import KilledError, killing
from rag_pipelines_tests.project import Parts, Project

INDEX = "knowledge"
PRINCIPALS = (
    Principal("ana", "acme", ("staff",)),
    Principal("bo", "acme", ("board",), Classification.CONFIDENTIAL),
)
BROKEN = b"\x00\x01\x02\x03" * 300


class CountingEmbedder:
    """The real model; refuses to compute a vector that the catalog has."""

    def __init__(self, real: Embedder) -> None:
        self.real = real
        self.texts: list[str] = []
        self.paid: Callable[[list[str]], int] = len

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def embed(self, texts: Sequence[str], on_done: Callable[[int], None] | None = None) -> EmbeddingBatch:
        """Vectors of texts that were never paid for."""
        assert len(set(texts)) == len(texts), "a text is embedded twice in one call"
        assert not self.paid([content_hash(text) for text in texts]), "a vector is computed again"
        self.texts += texts
        return self.real.embed(texts, on_done)


class World:
    """Every method changes the project or tells the pipeline something, and then looks at every version."""

    def __init__(self, root: Path, parts: Parts) -> None:
        """Nothing is synced yet."""
        self.root = root
        self.model = Model()
        self.project = Project(root, parts=parts)
        self._write_notes()
        self._write_configuration()
        self.workspace = self.project.workspace()
        real = self.workspace.embedder(self.workspace.configuration.indexes[INDEX])
        self.embedder = CountingEmbedder(real)
        self.embedder.paid = self._paid
        self.workspace._embedders = {INDEX: self.embedder}
        self.searchers = self.project.searchers()
        self.reading = Reading(self.searchers.get(INDEX), self.workspace)

    def close(self) -> None:
        """Let go of everything that the next world does not use."""
        self.searchers.close()
        self.workspace.close()

    def put(self, key: Key, file: File) -> None:
        """Create or replace a document in its source."""
        self.model.files[key] = file
        if key[0] == DOCS:
            self.project.write(key[1], BROKEN if file.text is None else file.text)
        self._write_notes()

    def take(self, key: Key) -> File:
        """Delete a document from its source."""
        if key[0] == DOCS:
            (self.root / DOCS / key[1]).unlink()
        file = self.model.files.pop(key)
        self._write_notes()
        return file

    def touch(self, key: Key) -> None:
        """The time changes, the bytes do not."""
        path = self.root / DOCS / key[1] if key[0] == DOCS else self.root / NOTES / "all.jsonl"
        stat = path.stat()
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1_000_000_000))

    def configure(self) -> None:
        """Have the workspace read what the model says of rights, limits and settings."""
        self._write_configuration()
        with self.project.workspace() as fresh:
            self.workspace.configuration = fresh.configuration

    def _write_configuration(self) -> None:
        model, rights = self.model, self.model.docs_rights
        own = {"acl": list(rights.acl), "classification": rights.classification.value}
        self.project.source(DOCS, **own, **model.settings[DOCS])
        fields = {"id": "id", "text": "text", "acl": "acl", "classification": "classification"}
        params = {"url": "notes/all.jsonl", "fields": fields}
        self.project.source(NOTES, connector="records", params=params, **model.settings[NOTES])
        mode = "manual" if model.manual else "auto"
        self.project.index(
            INDEX, sparse={"analyzer": model.analyzer}, publish=mode, retrieval={"locations": 100}
        )

    def _write_notes(self) -> None:
        rows = [
            {
                "id": uri,
                "text": file.text,
                "acl": list(file.rights.acl),
                "classification": file.rights.classification.value,
            }
            for (source, uri), file in sorted(self.model.files.items())
            if source == NOTES
        ]
        self.project.write("all.jsonl", "".join(f"{json.dumps(row)}\n" for row in rows), NOTES)

    def sync(self) -> None:
        """A sync that goes through, and its counts."""
        expected = {source: self.model.counts(source) for source in SOURCES}
        held = {source: self.model.missing(source).held for source in SOURCES}
        before = len(self.embedder.texts)
        run = sync(self.workspace, SOURCES)
        self.model.completed(self._held(held), self._live())
        counts = reports.run_counts(self.workspace.catalog, run)
        for source, wanted in expected.items():
            found = {name: counts[source].get(name, 0) for name in wanted}
            assert found == wanted, f"{source}: {found}, not {wanted}"
        embedded = self.embedder.texts[before:]
        assert sum(counts[source].get("embedded", 0) for source in SOURCES) == len(embedded)
        refused = {(row["source"], row["uri"]) for row in reports.quarantined(self.workspace.catalog)}
        interrupted = self.model.unsure - {*self.model.files}
        assert refused - interrupted == {*self.model.refused} - interrupted
        report = reconcile(self.workspace, INDEX, repair=False)
        assert report.right, report.as_json()
        self.look()

    def sync_twice(self) -> None:
        """The second sync finds nothing to do."""
        self.sync()
        before, pointer = len(self.embedder.texts), versions.pointer(self.workspace.catalog, INDEX)
        run = sync(self.workspace, SOURCES)
        for counts in reports.run_counts(self.workspace.catalog, run).values():
            done = {name for name, value in counts.items() if value and not name.startswith("ms_")}
            assert done <= {"listed", "unchanged", "held"}, counts
        assert len(self.embedder.texts) == before
        assert versions.pointer(self.workspace.catalog, INDEX) == pointer

    def interrupted_sync(self, place: str, count: int) -> None:
        """A sync that ends at the count-th passage of a fault point, if it gets there."""
        held = {source: self.model.missing(source).held for source in SOURCES}
        try:
            with killing(place, count):
                sync(self.workspace, SOURCES)
        except KilledError:
            self.model.interrupted(self._known(), SOURCES, self._live())
        else:
            self.model.completed(self._held(held), self._live())
        self.look(interrupted=True)

    def vacuum(self, place: str | None = None) -> None:
        """Clear away what no kept version needs; ends at the fault point, if there is one."""
        retain = self.workspace.configuration.indexes[INDEX].retain_versions
        with suppress(KilledError), killing(place, 1):
            vacuum(self.workspace, INDEX, artifacts=True)
        self.model.retain(retain)
        self.look()

    def reconcile(self, place: str | None = None) -> None:
        """Repair the engine, which after interruptions finds nothing but what they left."""
        with suppress(KilledError), killing(place, 1):
            reconcile(self.workspace, INDEX)
        self.look(interrupted=True)

    def unlistable_sync(self, source: str) -> None:
        """A sync whose listing breaks off: of the folder at once, of the records after the last good one."""
        with self._unlistable(source):
            try:
                sync(self.workspace, SOURCES)
            except SourceError:
                observed = SOURCES if source == NOTES else ()
                self.model.interrupted(self._known(), observed, self._live())
            else:
                raise AssertionError("a broken listing went through")
        self.look()

    @contextmanager
    def _unlistable(self, source: str) -> Iterator[None]:
        path = self.root / (DOCS if source == DOCS else f"{NOTES}/all.jsonl")
        path.rename(self.root / "kept")
        if source == NOTES:
            path.write_text((self.root / "kept").read_text() + '{"id": "half", "te')
        yield
        (self.root / "kept").rename(path)

    def approve(self) -> None:
        """Approve whatever waits."""
        for row in approvals.pending_approvals(self.workspace.catalog):
            approve(self.workspace, row, "ana")
            self.model.forgotten((row["source"], uri) for uri in row["documents"])
        self.look()

    def rollback(self, number: int) -> None:
        """To a stored version."""
        assert rollback(self.workspace, INDEX, number).settled
        self.model.live = self.model.pinned = number
        self.model.hide_gone()
        self.look()

    def unpin(self) -> None:
        """Let the index go."""
        assert unpin(self.workspace, INDEX) == self.model.pinned
        self.model.pinned = None
        self.look()

    def publish(self) -> None:
        """What was staged goes live, unless the index is pinned."""
        done = publish(self.workspace, INDEX)
        if self.model.pinned is None:
            self.model.went_live(done.version)
        assert (done.version, done.pinned) == (self.model.live, self.model.pinned)
        self.look()

    def look(self, *, interrupted: bool = False) -> None:
        """Read every version as everyone."""
        model = self.model
        pointer = versions.pointer(self.workspace.catalog, INDEX)
        assert (pointer and pointer.version, pointer and pointer.pinned) == (model.live, model.pinned)
        rows = versions.readable(versions.versions_of(self.workspace.catalog, INDEX))
        assert [row["number"] for row in rows] == sorted(model.versions, reverse=True)
        if pointer is None:
            return
        searcher = self.searchers.get(INDEX)
        searcher.refresh()
        opened = searcher.pointer
        assert opened is not None
        assert (opened.version, opened.generation) == (pointer.version, pointer.generation)
        for number in model.versions:
            seen = self.reading.read(number, OPERATOR)
            if interrupted and model.pinned is not None and number == model.live:
                gone = {*model.versions[number]} - {*model.known}
                model.hide(gone - {*seen})
            model.look(number, seen)
            for principal in PRINCIPALS:
                allowed = {key: model.may_read(key, principal) for key in seen}
                read = self.reading.read(number, principal)
                assert {*read} <= {key for key, may in allowed.items() if may is not False}, (
                    number,
                    principal,
                )
                assert {*read} >= {key for key, may in allowed.items() if may}, (number, principal)
                assert all(seen[key] == text for key, text in read.items())
        self.reading.search(model.live, PRINCIPALS)

    def _live(self) -> int | None:
        pointer = versions.pointer(self.workspace.catalog, INDEX)
        return pointer.version if pointer else None

    def _known(self) -> list[Key]:
        with reading(self.workspace.catalog.engine) as tx:
            rows = tx.execute(sa.select(documents.c.source, documents.c.uri).where(documents.c.live))
            return [(row.source, row.uri) for row in rows]

    def _held(self, expected: dict[str, frozenset[Key]]) -> set[Key]:
        """The deletions that wait; which of several equal documents moved instead is the product's choice."""
        pending = approvals.pending_approvals(self.workspace.catalog)
        held = {(row["source"], uri) for row in pending for uri in row["documents"]}
        assert len(pending) == sum(1 for keys in expected.values() if keys)
        for source, keys in expected.items():
            assert sorted(self.model.listed[key] for key in keys) == sorted(
                self.model.listed[key] for key in held if key[0] == source
            )
        return held

    def _paid(self, hashes: list[str]) -> int:
        with reading(self.workspace.catalog.engine) as tx:
            return len(
                tx.execute(
                    sa.select(embeddings.c.embed_hash).where(embeddings.c.embed_hash.in_(hashes))
                ).all()
            )

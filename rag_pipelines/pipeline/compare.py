"""Compares one collection in the engine with the catalog, point by point, and repairs it in batches."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from rag_pipelines.catalog import recovery
from rag_pipelines.catalog.store import Row
from rag_pipelines.core.errors import EngineError
from rag_pipelines.core.faults import fault_point
from rag_pipelines.core.ports import CollectionWriter
from rag_pipelines.core.types import StoredPoint
from rag_pipelines.pipeline.payload import access_payload
from rag_pipelines.pipeline.rebuild import Rebuilder, Wanted, alike, hash_of, sound
from rag_pipelines.pipeline.workspace import Workspace

BATCH = 500
GATHERED = 10_000
"""Points to rebuild are gathered, so that those of one document read its text once."""

Item = TypeVar("Item")

RIGHTS = ("tenant", "classification", "classification_rank", "acl")
VERSIONS = ("added", "removed")


@dataclass(frozen=True, slots=True)
class Scope:
    """What of a collection is to be compared; `rows` is how many points the catalog has of it.

    `published` is the newest version that readers ever saw: a dirty point added by then was in the engine.
    `hidden` documents are on their way out. `repair` false only counts.
    """

    collection: Row
    rows: int
    dimension: int
    published: int
    hidden: Collection[str]
    repair: bool


@dataclass(slots=True)
class Findings:
    """Counts of `reconcile.CollectionReport` by name, and why points could not be repaired, by point."""

    counts: Counter[str] = field(default_factory=Counter)
    problems: dict[str, str] = field(default_factory=dict)


class Comparison:
    """One pass over a collection; `before_write` is called once, before the first change."""

    def __init__(
        self,
        workspace: Workspace,
        scope: Scope,
        rebuilder: Rebuilder,
        before_write: Callable[[], None],
        advance: Callable[[int], None],
    ) -> None:
        self.findings = Findings()
        self.changed = False
        self._workspace = workspace
        self._scope = scope
        self._rebuilder = rebuilder
        self._before_write = before_write
        self._advance = advance
        self._writer: CollectionWriter | None = None
        self._stray: list[str] = []
        self._settings: dict[str, list[str]] = {}
        self._doubtful: dict[str, tuple[str, StoredPoint | None]] = {}

    def run(self, writer: CollectionWriter) -> None:
        """Walk through engine and catalog side by side, both in the order of ids.

        An engine without any point is filled document by document instead.
        """
        self._writer = writer
        name = self._scope.collection["collection"]
        if writer.count() == 0:
            self.run_empty()
        else:
            stored = writer.scroll(with_vectors=True, batch=BATCH)
            for found, row in side_by_side(stored, recovery.points_in_order(self._workspace.catalog, name)):
                self._pair(found, row)
                self._flush(BATCH, GATHERED)
        self._flush(1, 1)
        if self.changed:
            writer.flush()

    def run_empty(self) -> None:
        """The engine holds nothing of the collection, or is not to be asked."""
        rows = recovery.points_by_document(self._workspace.catalog, self._scope.collection["collection"])
        for row in rows:
            self._pair(None, row)
            self._flush(BATCH, BATCH)
        self._flush(1, 1)

    def _pair(self, found: StoredPoint | None, row: Row | None) -> None:
        counts = self.findings.counts
        if row is not None and counts["points"] % BATCH == 0:
            self._advance(min(BATCH, self._scope.rows - counts["points"]))
        counts["points"] += row is not None
        counts["engine_points"] += found is not None
        if row is None:
            if found is not None:
                counts["stray"] += 1
                self._stray.append(found.point_id)
        elif row["doc_id"] in self._scope.hidden:
            counts["hidden"] += 1
        elif row["dirty"] and (found is not None or row["added"] > self._scope.published):
            counts["pending"] += 1
        elif found is None:
            counts["missing"] += 1
            self._doubtful[row["point_id"]] = (row["doc_id"], None)
        else:
            self._compare(found, row)

    def _compare(self, found: StoredPoint, row: Row) -> None:
        counts = self.findings.counts
        payload = dict(found.payload)
        rights = {name: payload.pop(name, None) for name in RIGHTS}
        placed = {name: payload.pop(name, None) for name in VERSIONS}
        settings: dict[str, Any] = {}
        if placed != (wanted := {name: row[name] for name in VERSIONS}):
            counts["wrong_versions"] += 1
            settings |= wanted
        if row["known"] and rights != (allowed := access_payload(row)):
            counts["wrong_rights"] += 1
            settings |= allowed
        if settings:
            self._settings.setdefault(json.dumps(settings, sort_keys=True), []).append(found.point_id)
        fine = sound(found.dense, self._scope.dimension)
        counts["wrong_vectors"] += not fine
        if not fine or hash_of(payload) != row["payload_hash"]:
            self._doubtful[row["point_id"]] = (row["doc_id"], found)

    def _flush(self, enough: int, gathered: int) -> None:
        """Write what has come together, once it is so much."""
        if len(self._stray) >= enough:
            self._change(lambda writer: writer.delete(self._stray))
            self._stray = []
        if sum(map(len, self._settings.values())) >= enough:
            for settings, ids in self._settings.items():
                self._set(json.loads(settings), ids)
            self._settings = {}
        if len(self._doubtful) >= gathered:
            self._resolve()

    def _set(self, settings: Mapping[str, Any], ids: list[str]) -> None:
        self._change(lambda writer: writer.set_payload(ids, settings))

    def _resolve(self) -> None:
        """Build what is missing or looks wrong, and write what really is."""
        doubtful, self._doubtful = self._doubtful, {}
        in_order = sorted(doubtful, key=lambda name: doubtful[name][0])
        found = {name: point for name, (_, point) in doubtful.items() if point is not None}
        if not self._scope.repair:
            in_order = [name for name in in_order if name in found]
        for start in range(0, len(in_order), BATCH):
            batch = in_order[start : start + BATCH]
            texts = {name: found[name].payload.get("text") for name in batch if name in found}
            wanted, problems = self._rebuilder.payloads(batch, texts)
            self._note(problems)
            self.findings.counts["wrong_payload"] += sum(name in found for name in problems)
            wrong = [part for part in wanted if self._is_wrong(part, found.get(part.row["point_id"]))]
            if self._scope.repair and wrong:
                points, problems = self._rebuilder.points(wrong)
                self._note(problems)
                if points:
                    self._change(lambda writer, points=points: writer.upsert(points))  # type: ignore[misc]

    def _is_wrong(self, wanted: Wanted, found: StoredPoint | None) -> bool:
        if found is None:
            return True
        beside = (*RIGHTS, *VERSIONS)  # counted apart, and set already
        same = alike(_without(wanted.payload, beside), _without(found.payload, beside))
        self.findings.counts["wrong_payload"] += not same
        return not same or not sound(found.dense, self._scope.dimension)

    def _note(self, problems: Mapping[str, str]) -> None:
        self.findings.problems.update(problems)

    def _change(self, action: Callable[[CollectionWriter], None]) -> None:
        if self._writer is None or not self._scope.repair:
            return
        if not self.changed:
            self._before_write()
            self.changed = True
        action(self._writer)
        fault_point("reconcile.repaired")


def _without(payload: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    return {name: value for name, value in payload.items() if name not in names}


def side_by_side(
    stored: Iterable[StoredPoint], rows: Iterable[Row]
) -> Iterator[tuple[StoredPoint | None, Row | None]]:
    """Every id once, with what the engine and what the catalog has of it: one pass over two ordered streams.

    Raises EngineError where either is out of order: then nothing could be told missing from misplaced.
    """
    left = _ascending((point.point_id, point) for point in stored)
    right = _ascending((row["point_id"], row) for row in rows)
    found, wanted = next(left, None), next(right, None)
    while found is not None or wanted is not None:
        if wanted is None or (found is not None and found[0] < wanted[0]):
            yield found[1] if found is not None else None, None
            found = next(left, None)
        elif found is None or wanted[0] < found[0]:
            yield None, wanted[1]
            wanted = next(right, None)
        else:
            yield found[1], wanted[1]
            found, wanted = next(left, None), next(right, None)


def _ascending(items: Iterable[tuple[str, Item]]) -> Iterator[tuple[str, Item]]:
    before = ""
    for name, item in items:
        if name <= before:
            raise EngineError(
                f"point {name} comes after {before}: ids out of order, so catalog and engine cannot be compared; "
                "look for points that another program wrote, or drop the collection and reconcile again"
            )
        before = name
        yield name, item

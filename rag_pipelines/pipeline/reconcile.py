"""Holds the engine against the catalog, both ways, and repairs the engine: it is a copy that can be lost."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from rag_pipelines.catalog import collection_rows, recovery, upkeep, versions
from rag_pipelines.catalog.store import Row
from rag_pipelines.core.errors import EngineError
from rag_pipelines.core.faults import fault_point
from rag_pipelines.core.ports import Progress
from rag_pipelines.pipeline.artifacts import lost_parsed
from rag_pipelines.pipeline.compare import Comparison, Scope
from rag_pipelines.pipeline.hiding import settle_hidden
from rag_pipelines.pipeline.progress import Silent
from rag_pipelines.pipeline.readers import prune_snapshots, refresh_readers
from rag_pipelines.pipeline.rebuild import Rebuilder
from rag_pipelines.pipeline.workspace import Workspace
from rag_pipelines.pipeline.writers import opened_writer

SHOWN = 100
COUNTS = (
    "points",
    "engine_points",
    "pending",
    "missing",
    "stray",
    "wrong_payload",
    "wrong_versions",
    "wrong_rights",
    "wrong_vectors",
)
FAULTS = COUNTS[3:]
NOT_CHECKED = "the values of dense and sparse vectors"


@dataclass(frozen=True, slots=True)
class CollectionReport:
    """What was found in one collection, and repaired unless the report was all that was asked for.

    `counts` has the names of `COUNTS`: points in the catalog and in the engine; those that an interrupted
    staging left for the next sync; missing and stray ones in the engine; and those that differ (a point
    may do so in several ways). `wrong_vectors` are absent, of another length, not finite or zero.
    `dropped`: the engine had no such collection. `lost_snapshot`: readers had nothing to open.
    `embedded` are vectors that the catalog lacked. `unrepairable` says why, by point.
    """

    collection: str
    counts: Counter[str]
    missing_payload_indexes: tuple[str, ...] = ()
    dropped: bool = False
    lost_snapshot: bool = False
    embedded: int = 0
    unrepairable: dict[str, str] = field(default_factory=dict)

    @property
    def right(self) -> bool:
        """Whether nothing was wrong."""
        return not (
            any(self.counts[name] for name in FAULTS)
            or self.missing_payload_indexes
            or self.dropped
            or self.lost_snapshot
        )

    def as_json(self) -> dict[str, Any]:
        """The counts by name, and the rest."""
        return {
            "collection": self.collection,
            **{name: self.counts[name] for name in COUNTS},
            "missing_payload_indexes": list(self.missing_payload_indexes),
            "dropped": self.dropped,
            "lost_snapshot": self.lost_snapshot,
            "embedded": self.embedded,
            "unrepairable": len(self.unrepairable),
        }


@dataclass(frozen=True, slots=True)
class ReconcileReport:
    """What reconciling one index found; `repaired` false where it only looked.

    `stray_collections` are in the engine and unknown to the catalog; `lost_artifacts` are live documents whose
    parsed text is lost and that the next sync fetches again; `wrong_totals` are sums that are counted again.
    """

    index: str
    repaired: bool
    collections: tuple[CollectionReport, ...]
    stray_collections: tuple[str, ...] = ()
    lost_artifacts: int = 0
    wrong_totals: int = 0

    @property
    def right(self) -> bool:
        """Whether nothing was wrong."""
        return all(part.right for part in self.collections) and not (
            self.stray_collections or self.lost_artifacts or self.wrong_totals
        )

    def as_json(self) -> dict[str, Any]:
        """Sums over the collections, each collection, and up to 100 reasons why something was not repaired."""
        reasons = [
            f"point {point} of {part.collection}: {reason}"
            for part in self.collections
            for point, reason in sorted(part.unrepairable.items())
        ]
        return {
            "index": self.index,
            "right": self.right,
            "repaired": self.repaired,
            **{name: sum(part.counts[name] for part in self.collections) for name in COUNTS},
            "embedded": sum(part.embedded for part in self.collections),
            "collections": [part.as_json() for part in self.collections],
            "stray_collections": list(self.stray_collections),
            "lost_artifacts": self.lost_artifacts,
            "wrong_totals": self.wrong_totals,
            "unrepairable_count": len(reasons),
            "unrepairable": reasons[:SHOWN],
            "not_checked": NOT_CHECKED,
        }


def reconcile(
    workspace: Workspace, index: str, *, repair: bool = True, progress: Progress | None = None
) -> ReconcileReport:
    """Compare every collection of the index that a stored version, the candidate or the next sync needs.

    What is wrong in the engine is repaired from the catalog, for every version; vectors are computed only
    where the catalog lacks them, and readers get the repaired state. Artifacts that are lost are fetched by the
    next sync. `repair=False` only reports. The caller holds `catalog.exclusive("sync")`. Killed anywhere,
    the next call finishes it. Raises EngineError, EmbeddingError and ConfigError.
    """
    config = workspace.configuration.index_named(index)
    sources = [name for name in workspace.configuration.sources if config.covers(name)]
    progress = progress or Silent()
    known = collection_rows.collections_of(workspace.catalog, index)
    stored = versions.readable(versions.versions_of(workspace.catalog, index))
    with workspace.catalog.begin() as tx:
        needed = upkeep.needed_collections(tx, index, [row["number"] for row in stored], sources)
    there = set(workspace.engine.collections())
    strays = _strays(index, there - {row["collection"] for row in known})
    asked_before = versions.refresh_requested(workspace.catalog, index)
    covered = [row for row in known if row["collection"] in needed]
    sizes = {row["collection"]: recovery.count_rows(workspace.catalog, row["collection"]) for row in covered}
    hidden = frozenset(versions.hidden_documents(workspace.catalog, index))
    reports: list[CollectionReport] = []
    changed: set[str] = set()
    progress.start("reconcile", sum(sizes.values()))
    for row in covered:
        scope = Scope(
            collection=row,
            rows=sizes[row["collection"]],
            dimension=row["vectors"]["dimension"],
            published=max((row["number"] for row in stored), default=0),
            hidden=hidden,
            repair=repair,
        )
        report, wrote = _one(workspace, index, scope, row["collection"] in there, progress)
        reports.append(report)
        if wrote:
            changed.add(row["collection"])
    progress.finish("reconcile")
    totals = recovery.wrong_totals(workspace.catalog, index)
    lost = lost_parsed(workspace)
    if repair:
        _finish(workspace, index, reports, None if asked_before else changed)
        for name in strays:
            workspace.engine.drop(name)
        fault_point("reconcile.dropped")
        with workspace.catalog.begin() as tx:
            for collection, source in totals:
                collection_rows.forget_totals(tx, collection, source)
        fault_point("reconcile.recounted")
    return ReconcileReport(
        index,
        repair,
        tuple(reports),
        tuple(strays),
        recovery.fetch_again(workspace.catalog, lost) if repair else len(lost),
        len(totals),
    )


def _strays(index: str, unknown: set[str]) -> list[str]:
    """Those that can only be of this index: its name and a fingerprint, as `space` names them."""
    return sorted(name for name in unknown if re.fullmatch(rf"{index}_[0-9a-f]{{16}}", name))


def _one(
    workspace: Workspace, index: str, scope: Scope, there: bool, progress: Progress
) -> tuple[CollectionReport, bool]:
    """One collection; the second answer is whether anything was written to it."""
    row, name = scope.collection, scope.collection["collection"]
    rebuilder = Rebuilder(workspace, index, row)

    def before_write() -> None:
        with workspace.catalog.begin() as tx:
            versions.request_refresh(tx, index)
        fault_point("reconcile.requested")

    comparison = Comparison(
        workspace, scope, rebuilder, before_write, lambda amount: progress.advance("reconcile", amount)
    )
    missing: list[str] = []
    if not there and not scope.repair:
        comparison.run_empty()
    else:
        if not there:
            workspace.engine.drop(name)  # what is left of it cannot be opened
        with opened_writer(workspace, name, rebuilding=True) as writer:
            missing = writer.missing_indexes()
            if missing and scope.repair:
                before_write()
                writer.create_indexes()
            comparison.run(writer)
            if comparison.changed:
                writer.optimize()
                writer.flush()
    report = CollectionReport(
        name,
        comparison.findings.counts,
        tuple(missing),
        dropped=not there,
        lost_snapshot=_has_lost_snapshot(workspace, index, row),
        embedded=rebuilder.embedded,
        unrepairable=comparison.findings.problems,
    )
    return report, comparison.changed or bool(missing and scope.repair)


def _has_lost_snapshot(workspace: Workspace, index: str, row: Row) -> bool:
    """Whether what readers would open of the collection is not there."""
    live = versions.pointer(workspace.catalog, index)
    wanted = set(row["snapshots"][-1:])
    if live is not None and live.collection == row["collection"]:
        wanted.add(live.snapshot)
    try:
        for snapshot in sorted(wanted):
            workspace.engine.reader(row["collection"], snapshot).close()
    except EngineError as error:
        if error.transient:
            raise
        return True
    return False


def _finish(
    workspace: Workspace, index: str, reports: list[CollectionReport], changed: set[str] | None
) -> None:
    """Readers get what was repaired; `changed` None: everything, since a killed run may have changed any."""
    lost = {report.collection for report in reports if report.lost_snapshot}
    for collection in sorted(lost):
        _replace_snapshot(workspace, index, collection)
    if changed is None or changed - lost:
        refresh_readers(workspace, index, None if changed is None else changed - lost)
    else:
        with workspace.catalog.begin() as tx:
            versions.request_refresh(tx, index, wanted=False)
    settle_hidden(workspace, index)


def _replace_snapshot(workspace: Workspace, index: str, collection: str) -> None:
    """A new snapshot where the remembered ones are lost. The new one may have the number of a lost one."""
    with opened_writer(workspace, collection) as writer:
        writer.flush()
        snapshot = workspace.engine.snapshot(collection)
        fault_point("reconcile.copied")
        with workspace.catalog.begin() as tx:
            live = versions.pointer_in(tx, index)
            if live is not None and live.collection == collection:
                versions.move_pointer(tx, index, live.version, collection, snapshot)
            recovery.only_snapshot(tx, collection, snapshot)
        fault_point("reconcile.moved")
        prune_snapshots(workspace, collection)

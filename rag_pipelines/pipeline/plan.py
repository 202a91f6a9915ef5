"""What the next sync would do, without doing it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rag_pipelines.catalog import staged
from rag_pipelines.catalog.store import reading
from rag_pipelines.core.ports import Progress
from rag_pipelines.pipeline.plan_seconds import AMOUNTS, estimate_seconds
from rag_pipelines.pipeline.plan_source import SourcePlan, plan_rest, plan_source
from rag_pipelines.pipeline.plan_target import Target, open_target
from rag_pipelines.pipeline.progress import Silent
from rag_pipelines.pipeline.workspace import Workspace, indexes_of

SAMPLE = 2000


@dataclass(frozen=True, slots=True)
class IndexPlan:
    """What becomes of one index: its collection, and whether readers will see the change.

    `version` is the number that the change is staged under, None where there is none. `paused` says why it
    is not published, empty where it is.
    """

    index: str
    collection: str
    new_collection: bool
    reason: str
    version: int | None
    live: int | None
    pinned: int | None
    paused: str

    @property
    def publishes(self) -> bool:
        """Whether readers get to see another version."""
        return self.version is not None and not self.paused

    def as_json(self) -> dict[str, Any]:
        """The part of `plan --json` that is about the index."""
        return {
            "collection": {"name": self.collection, "new": self.new_collection, "reason": self.reason},
            "version": self.version,
            "live": self.live,
            "pinned": self.pinned,
            "publishes": self.publishes,
            "paused": self.paused,
        }


@dataclass(frozen=True, slots=True)
class Plan:
    """Sources by name, indexes by name, seconds by stage; `learnt` where past runs of this catalog told them."""

    sources: dict[str, SourcePlan]
    indexes: dict[str, IndexPlan]
    seconds: dict[str, float]
    learnt: bool

    @property
    def errors(self) -> dict[str, str]:
        """Source -> why it could not be planned."""
        return {name: plan.error for name, plan in self.sources.items() if plan.error is not None}

    @property
    def nothing(self) -> bool:
        """Whether the sync would find everything as it is."""
        publishes = any(index.publishes for index in self.indexes.values())
        compared = any(plan.compared_anew for plan in self.sources.values())
        return not (self.errors or publishes or compared or any(self.total(name) for name in CHANGES))

    def total(self, name: str, index: str | None = None) -> int:
        """A count over all sources, and over all indexes or one."""
        return sum(
            plan.counts.get(name, 0)
            + sum(counts.get(name, 0) for key, counts in plan.indexes.items() if index in (None, key))
            for plan in self.sources.values()
        )

    def as_json(self, index: str) -> dict[str, Any]:
        """The object that `plan --json` prints."""
        return {
            "index": index,
            **(self.indexes[index].as_json() if index in self.indexes else {}),
            "nothing_to_do": self.nothing,
            "documents": self.total("staged_documents", index),
            "chunks": self.total("chunks_added", index),
            "embeddings": self.total("embedded", index),
            "deletions": self.total("deleted"),
            "held": self.total("held"),
            "seconds": round(sum(self.seconds.values()), 1),
            "seconds_by_stage": self.seconds,
            "estimated_from": "past runs" if self.learnt else "defaults",
            "sources": {name: _source_json(plan, index) for name, plan in self.sources.items()},
            "errors": self.errors,
        }


CHANGES = (
    "added",
    "changed",
    "moved",
    "access_changed",
    "deleted",
    "held",
    "fetched",
    "refused",
    "chunked",
    "chunk_refused",
    "embedded",
    "staged_documents",
    "points_added",
    "points_removed",
    "access_applied",
)


def plan(
    workspace: Workspace,
    sources: Sequence[str],
    *,
    sample: int = SAMPLE,
    index: str | None = None,
    progress: Progress | None = None,
) -> Plan:
    """Count what a sync of the sources would do, for every index that reads them or for `index` alone.

    Documents that changed are fetched, parsed in the sandbox and cut in memory; nothing is written but the
    caches of connectors. Where more than `sample` documents of a source need the same work, only so many
    are looked at and the counts are carried over to the others.
    """
    progress = progress or Silent()
    planned: dict[str, set[str]] = {}
    names = [name for name in indexes_of(workspace, sources) if index in (None, name)]
    targets = {name: open_target(workspace, name, planned) for name in names}
    found: dict[str, SourcePlan] = {}
    for source in sources:
        mine = [target for target in targets.values() if target.config.covers(source)]
        found[source] = plan_source(workspace, source, mine, sample, progress)
    for source, brought in _brought_along(workspace, targets, found).items():
        found[source] = plan_rest(workspace, source, brought, sample, progress)
    indexes = {name: _index_plan(target, found) for name, target in targets.items()}
    seconds, learnt = estimate_seconds(workspace.catalog, _amounts(indexes, targets, found))
    return Plan(found, indexes, seconds, learnt)


def _brought_along(
    workspace: Workspace, targets: dict[str, Target], found: dict[str, SourcePlan]
) -> dict[str, list[Target]]:
    """Source -> indexes whose version is complete only with it, as `publish.close_candidate` decides."""
    needed: dict[str, list[Target]] = {}
    for name, target in targets.items():
        changes = _has_changes(name, found)
        if target.config.publish != "auto" or not (changes or target.waiting):
            continue
        behind = set(staged.unfinished_sources(workspace.catalog, name))
        if changes or (target.waiting and target.waiting["collection"] == target.space.collection):
            with reading(workspace.catalog.engine) as tx:
                behind.update(staged.sources_elsewhere(tx, name, target.space.fingerprint))
        for source in sorted(behind & set(workspace.configuration.sources) - found.keys()):
            needed.setdefault(source, []).append(target)
    return needed


def _has_changes(index: str, found: dict[str, SourcePlan]) -> bool:
    return any(plan.indexes.get(index, {}).get("staged_documents") for plan in found.values())


def _index_plan(target: Target, found: dict[str, SourcePlan]) -> IndexPlan:
    index = target.space.index
    changes = _has_changes(index, found)
    paused = ""
    if target.pinned is not None:
        paused = f"the index is pinned at version {target.pinned}; `rag-pipelines unpin` lets it go on"
    elif target.config.publish != "auto":
        paused = "the index is published by hand: `rag-pipelines publish`"
    return IndexPlan(
        index=index,
        collection=target.space.collection,
        new_collection=changes and not target.built,
        reason=target.reason if changes else "",
        version=target.number if changes or target.waiting else target.ready,
        live=target.live,
        pinned=target.pinned,
        paused=paused,
    )


def _amounts(
    indexes: dict[str, IndexPlan], targets: dict[str, Target], found: dict[str, SourcePlan]
) -> dict[str, float]:
    """Stage -> how much it has to do."""
    total: Counter[str] = Counter()
    for plan_ in found.values():
        total.update(plan_.counts)
        for counts in plan_.indexes.values():
            total.update(counts)
    amounts = {stage: float(sum(total[name] for name in names)) for stage, names in AMOUNTS.items()}
    amounts["publish"] = float(
        sum(
            max(targets[name].chunks + _growth(name, found), 1)
            for name, index in indexes.items()
            if index.publishes
        )
    )
    return amounts


def _growth(index: str, found: dict[str, SourcePlan]) -> int:
    own = [plan_.indexes.get(index, {}) for plan_ in found.values()]
    return sum(counts.get("chunks_added", 0) - counts.get("chunks_removed", 0) for counts in own)


def _source_json(source: SourcePlan, index: str) -> dict[str, Any]:
    return {
        **source.counts,
        **source.indexes.get(index, {}),
        "listed_now": source.listed,
        "settings": list(source.settings),
        "compared_anew": index in source.compared_anew,
        "at_most": source.at_most,
        "held_reason": source.held_reason,
        "sampled": source.of > 0,
        "sampled_documents": source.sampled,
        "of_documents": source.of,
        "error": source.error,
    }

"""Finds near-duplicates among the documents of an index, and which of them stand for which others.

Texts are compared once, by their hash; documents with the same text share signature and pairs. A pass looks
at what was touched: it signs new texts, and chooses again in every cluster that a touched document belongs
or belonged to. So any order of changes ends in the clusters that one pass over everything would find.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Any

from rag_pipelines.catalog import duplicates as rows
from rag_pipelines.catalog import marks, signatures, staged
from rag_pipelines.catalog.documents import access_of
from rag_pipelines.catalog.store import Row, Transaction, batches, reading
from rag_pipelines.config.load import Configuration
from rag_pipelines.config.models import IndexConfig, SourceConfig
from rag_pipelines.core.faults import fault_point
from rag_pipelines.core.fingerprints import fingerprint
from rag_pipelines.core.ids import content_hash
from rag_pipelines.core.ports import Progress
from rag_pipelines.dedup import Member, choose, components, dedup_fingerprint, preference
from rag_pipelines.pipeline.passes import Pass, begin_pass, end_pass
from rag_pipelines.pipeline.progress import Silent, elapsed_ms
from rag_pipelines.pipeline.sign import TextSigner
from rag_pipelines.pipeline.workspace import Workspace

BATCH_DOCUMENTS = 1000
OFF = "off"
STANDING = ("cluster", "representative", "similarity")
COLUMNS = ("index_name", "doc_id", "source", "parsed_hash", "scope", "policy")


def deduplicate(
    workspace: Workspace,
    index: str,
    source: str,
    shards: Collection[int],
    run_id: str,
    progress: Progress | None = None,
) -> Counter[str]:
    """Bring the clusters in line with the documents of the shards.

    Documents that are indexed from now on, or no more, are touched, whatever their source: it is completed
    before anything is published. Returns counts: signed, candidates, pairs, regrouped (documents
    whose being indexed changed).
    """
    config = workspace.configuration.indexes[index]
    source_config = workspace.configuration.source_named(source)
    settings = duplicates_fingerprint(config, source_config)
    stage_pass = begin_pass(workspace, "dedup", index, source, shards, settings)
    counts: Counter[str] = Counter(signed=0, candidates=0, pairs=0, regrouped=0)
    if stage_pass.nothing:
        return counts
    began = time.monotonic()
    progress = progress or Silent()
    progress.start("dedup", None if stage_pass.only is None else len(stage_pass.only))
    comparison = _Comparison(workspace, config, source_config, stage_pass, counts)
    for batch in _batches(workspace, stage_pass):
        comparison.take(batch)
        progress.advance("dedup", len(batch))
    end_pass(workspace, stage_pass)
    workspace.count(run_id, source, {**counts, "ms_dedup": elapsed_ms(began)})
    progress.finish("dedup")
    return counts


def duplicates_fingerprint(config: IndexConfig, source: SourceConfig) -> str:
    """While it stays, only documents that were touched can have other duplicates."""
    own = source.dedup
    settings = [dedup_fingerprint(config.dedup), own.policy, own.authority, scope_keys(config)]
    return fingerprint("duplicates", 1, [*settings, *([config.tenant] if config.tenant is not None else [])])


def scope_keys(config: IndexConfig) -> list[str]:
    """Metadata keys in which duplicates agree: what is filtered on must find the representative as well."""
    return sorted({*config.dedup.within, *config.filter_types})


def _batches(workspace: Workspace, stage_pass: Pass) -> Iterator[Sequence[str]]:
    if stage_pass.only is not None:
        yield from batches(stage_pass.only, BATCH_DOCUMENTS)
        return
    for shard in stage_pass.shards:
        yield from batches(rows.documents_in(workspace.catalog, stage_pass.source, shard), BATCH_DOCUMENTS)


class _Comparison:
    """One pass of one source through one index."""

    def __init__(
        self,
        workspace: Workspace,
        config: IndexConfig,
        source: SourceConfig,
        stage_pass: Pass,
        counts: Counter[str],
    ) -> None:
        self._workspace = workspace
        self._index = config.index
        self._tenant = config.tenant
        self._scope = scope_keys(config)
        self._policy = source.dedup.policy
        self._signer = TextSigner(workspace, config.dedup)
        self._pass = stage_pass
        self._counts = counts

    def take(self, doc_ids: Sequence[str]) -> None:
        """Make these documents members as they are now, and choose again wherever that makes a difference."""
        with reading(self._workspace.catalog.engine) as tx:
            found = rows.facts_of(tx, self._index, doc_ids, self._tenant)
        taking_part = [
            row
            for row in found
            if row["live"] and row["parsed_hash"] and not row["refused"] and self._policy != OFF
        ]
        wordless, counts = self._signer.sign({row["parsed_hash"] for row in taking_part})
        self._counts.update(counts)
        with self._workspace.catalog.begin() as tx:
            before = rows.members_by_document(tx, self._index, doc_ids)
            wanted = {
                row["doc_id"]: self._member(row, before.get(row["doc_id"]))
                for row in taking_part
                if row["parsed_hash"] not in wordless
            }
            rows.save_members(tx, [row for name, row in wanted.items() if row != before.get(name)])
            left = [doc_id for doc_id in before if doc_id not in wanted]
            rows.forget_members(tx, self._index, left)
            texts = {row["parsed_hash"] for row in (*before.values(), *wanted.values())}
            changed = {doc_id for doc_id in left if rows.is_collapsed(before[doc_id])}
            changed |= {
                doc_id
                for doc_id, row in wanted.items()
                if rows.is_collapsed(row) != rows.is_collapsed(before.get(doc_id, row))
            }
            changed |= self._choose_again(tx, texts)
            self._touch(tx, changed)
        fault_point("dedup.chosen")
        self._counts["regrouped"] += len(changed)

    def _member(self, row: Row, before: Row | None) -> dict[str, Any]:
        """A member row; where it stands is kept until the choice is made again."""
        stands = before or {"cluster": row["doc_id"], "representative": row["doc_id"], "similarity": 1.0}
        within = [row["metadata"].get(name) for name in self._scope]
        return {
            "index_name": self._index,
            "doc_id": row["doc_id"],
            "source": row["source"],
            "parsed_hash": row["parsed_hash"],
            "scope": content_hash(json.dumps(within, sort_keys=True, default=str)) if within else "",
            "policy": self._policy,
            **{name: stands[name] for name in STANDING},
        }

    def _choose_again(self, tx: Transaction, texts: Collection[str]) -> set[str]:
        """Choose in every cluster with one of the texts; returns documents whose being indexed changed."""
        near, members = self._reachable(tx, texts)
        by_place: dict[tuple[str, str], list[Row]] = {}
        for row in members:
            by_place.setdefault((row["scope"], row["parsed_hash"]), []).append(row)
        edges: list[tuple[str, str]] = []
        for (scope, text), here in by_place.items():
            first = here[0]["doc_id"]
            edges += [(first, row["doc_id"]) for row in here]
            edges += [
                (first, by_place[scope, other][0]["doc_id"])
                for other in near.get(text, ())
                if (scope, other) in by_place
            ]
        by_id = {row["doc_id"]: row for row in members}
        moved = [
            row
            for component in components(edges)
            for row in self._chosen([by_id[doc_id] for doc_id in component], near)
            if any(row[name] != by_id[row["doc_id"]][name] for name in STANDING)
        ]
        rows.save_members(tx, moved)
        return {
            row["doc_id"]
            for row in moved
            if rows.is_collapsed(row) != rows.is_collapsed(by_id[row["doc_id"]])
        }

    def _reachable(
        self, tx: Transaction, texts: Collection[str]
    ) -> tuple[dict[str, dict[str, float]], list[Row]]:
        """Everything connected with the texts through texts that have members: neighbours by text, and members."""
        near: dict[str, dict[str, float]] = {}
        members: dict[str, Row] = {}
        seen: set[str] = set()
        # A text that has just lost its last member connected those that it was near to.
        own = signatures.pairs_of(tx, self._signer.fingerprint, texts)
        frontier = {*texts, *(text for pair in own for text in pair)}
        while frontier:
            seen |= frontier
            here = rows.members_by_text(tx, self._index, frontier)
            members |= {row["doc_id"]: row for row in here}
            inhabited = {row["parsed_hash"] for row in here}
            following: set[str] = set()
            pairs = signatures.pairs_of(tx, self._signer.fingerprint, inhabited)
            for (low, high), similarity in pairs.items():
                near.setdefault(low, {})[high] = similarity
                near.setdefault(high, {})[low] = similarity
                following |= {low, high}
            frontier = following - seen
        return near, list(members.values())

    def _chosen(self, component: Sequence[Row], near: dict[str, dict[str, float]]) -> Iterator[Row]:
        by_id = {row["doc_id"]: row for row in component}
        members = [as_member(self._workspace.configuration, row) for row in component]

        def similarity(a: str, b: str) -> float:
            one, other = by_id[a]["parsed_hash"], by_id[b]["parsed_hash"]
            return 1.0 if one == other else near.get(one, {}).get(other, 0.0)

        first = preference(members)[0].doc_id
        for doc_id, representative in choose(members, lambda a, b: similarity(a, b) > 0).items():
            yield {
                **{name: by_id[doc_id][name] for name in COLUMNS},
                "cluster": first,
                "representative": representative,
                "similarity": similarity(doc_id, representative),
            }

    def _touch(self, tx: Transaction, changed: Collection[str]) -> None:
        """These have to be cut or taken out; other sources are completed before the next publish."""
        for source, doc_ids in rows.sources_of(tx, changed).items():
            tick = marks.next_tick(tx, source)
            marks.touch(tx, doc_ids, tick)
            staged.begin_staging(tx, self._index, source)
            if source == self._pass.source:
                self._pass.tick = tick


def as_member(configuration: Configuration, row: Row) -> Member:
    """What is chosen by, from a member row with the rights and age of its document."""
    source = configuration.sources.get(row["source"])
    return Member(
        row["doc_id"],
        source.dedup.authority if source is not None else 0,
        _moment(row["revised_at"]),
        access_of(row),
    )


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None

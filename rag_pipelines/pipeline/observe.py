"""Lists a source and writes down what changed."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from rag_pipelines.catalog import approvals, latencies, marks
from rag_pipelines.catalog import documents as rows
from rag_pipelines.catalog.shards import register_source
from rag_pipelines.catalog.store import Row, Transaction, now
from rag_pipelines.config.models import SourceConfig
from rag_pipelines.core.errors import SourceError
from rag_pipelines.core.events import Event
from rag_pipelines.core.faults import fault_point
from rag_pipelines.core.ids import shard_of
from rag_pipelines.core.ports import Progress
from rag_pipelines.core.types import Excluded, SourceItem
from rag_pipelines.pipeline.listing import Comparison, Difference
from rag_pipelines.pipeline.operator import operator, told_rights
from rag_pipelines.pipeline.progress import Silent, elapsed_ms
from rag_pipelines.pipeline.workspace import Workspace, indexes_of

logger = logging.getLogger(__name__)


def observe(workspace: Workspace, source: str, run_id: str, progress: Progress | None = None) -> Counter[str]:
    """Compare the source's listing with the catalog: added, changed, moved, access-only, deleted, unchanged.

    Additions and changes are recorded as the listing goes; deletions only after it has finished, so that
    an interrupted or failing listing deletes nothing. Deletions beyond the source's limit are held for
    approval: their documents stay. Returns counts, in documents. Raises SourceError, which is recorded
    on the source.
    """
    config = workspace.configuration.source_named(source)
    progress = progress or Silent()
    began = time.monotonic()
    with workspace.catalog.begin() as tx:
        if register_source(tx, source, config.shards):
            logger.info("source=%s now has shards=%s", source, config.shards)
    fault_point("observe.registered")
    known = rows.source_row(workspace.catalog, source)
    listing = _Listing(
        workspace=workspace,
        config=config,
        indexes=indexes_of(workspace, [source]),
        began=now(),
        before=known["listed_at"] if known else None,
    )
    progress.start("list", None)
    try:
        with workspace.opened_source(source) as connector:
            token = connector.probe()
            found = listing.compare(connector.list(), progress)
    except SourceError as error:
        with workspace.catalog.begin() as tx:
            rows.update_source(tx, source, error=str(error))
        raise
    with workspace.catalog.begin() as tx:
        rows.update_source(tx, source, error=None, listed_at=listing.began, probe_token=token)
    fault_point("observe.listed")
    workspace.count(run_id, source, {**found, "ms_list": elapsed_ms(began)})
    progress.finish("list")
    return found


@dataclass(slots=True)
class _Listing:
    """One comparison; `before` is the start of the last complete listing, `tick` the last that it was given."""

    workspace: Workspace
    config: SourceConfig
    indexes: Sequence[str]
    began: str
    before: str | None
    tick: int = 0

    def compare(self, listing: Iterator[SourceItem | Excluded], progress: Progress) -> Counter[str]:
        """Record everything that the listing says, then what it no longer has."""
        name = self.config.source
        with self.workspace.catalog.begin() as tx:
            comparison = Comparison(self.config, rows.count_live(tx, name))
        for batch in comparison.batches(listing, progress):
            self._record(comparison, batch)
        with self.workspace.catalog.begin() as tx:
            rows.replace_exclusions(tx, name, comparison.excluded)
            self._settle_deletions(tx, comparison)
        fault_point("observe.settled")
        return comparison.found

    def _record(self, comparison: Comparison, batch: dict[str, SourceItem]) -> None:
        with self.workspace.catalog.begin() as tx:
            changed = comparison.differences(tx, batch)
            if not changed:
                return
            tick = self._next_tick(tx)
            events: list[Row] = []
            for difference in changed:
                row = difference.row
                row |= {"touched": tick, "seen_at": now()}
                if difference.edited:
                    events += self._events(row, latencies.EDIT, row["modified_at"])
                if difference.regraded:
                    events += self._events(row, latencies.REVOKE, None)
            latencies.expect(tx, events)
            saved = [difference.row for difference in changed]
            rows.save_listed(tx, saved)
            rows.forget_past(tx, [difference.row["doc_id"] for difference in changed if difference.added])
            self._mark_shards(tx, saved)
            self._tell_rights(tx, changed)
        fault_point("observe.recorded")

    def _tell_rights(self, tx: Transaction, changed: Sequence[Difference]) -> None:
        told = told_rights(
            (one.row["doc_id"], one.before, rows.access_of(one.row)) for one in changed if one.regraded
        )
        if told:
            event = Event("rights.change", operator(), self.config.source, details={"rights": told})
            self.workspace.audit.append(tx, event)

    def _settle_deletions(self, tx: Transaction, comparison: Comparison) -> None:
        name = self.config.source
        verdict = comparison.settle(tx)
        if verdict.held:
            approvals.hold(tx, name, verdict.reason, verdict.held)
            logger.warning("source=%s deletions held for approval=%s", name, len(verdict.held))
        else:
            approvals.withdraw(tx, name)
        if verdict.deleted:
            delete_documents(tx, self.config, self.indexes, verdict.deleted, self.before, self._next_tick(tx))

    def _next_tick(self, tx: Transaction) -> int:
        """A new one for every transaction: who read the catalog between two of them must notice the second."""
        self.tick = marks.next_tick(tx, self.config.source)
        return self.tick

    def _events(self, row: Row, kind: str, stated: str | None) -> list[Row]:
        """None for a first listing: what was there before anybody looked is no change."""
        if self.before is None:
            return []
        told = _utc(stated) if stated else self.before
        earliest = max(self.before, told) if told <= self.began else self.before
        return [latencies.event(index, row, kind, earliest, now()) for index in self.indexes]

    def _mark_shards(self, tx: Transaction, changed: Sequence[Row]) -> None:
        shards = {row["shard"] for row in changed}
        marks.save_marks(tx, marks.LISTING, "", self.config.source, shards, "", self.tick)


def _utc(stated: str) -> str:
    """A time in the form of the catalog's own, so that the two compare; without a zone it is taken as UTC."""
    moment = datetime.fromisoformat(stated)
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return moment.isoformat(timespec="milliseconds")


def delete_documents(
    tx: Transaction,
    config: SourceConfig,
    indexes: Sequence[str],
    doc_ids: Sequence[str],
    before: str | None,
    tick: int,
) -> None:
    """These are gone from the source; `before` is when it was last listed with them."""
    rows.mark_gone(tx, doc_ids, tick)
    found_at = now()
    gone = [{"doc_id": name, "source": config.source, "touched": tick} for name in doc_ids]
    latencies.expect(
        tx,
        [
            latencies.event(index, row, latencies.DELETE, before or found_at, found_at)
            for index in indexes
            for row in gone
        ],
    )
    shards = {shard_of(name, config.shards) for name in doc_ids}
    marks.save_marks(tx, marks.LISTING, "", config.source, shards, "", tick)

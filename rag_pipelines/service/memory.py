"""What the service remembers: the audit log, and what was searched."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

from rag_pipelines.catalog import searches as search_rows
from rag_pipelines.catalog.audit import AuditLog, open_log
from rag_pipelines.catalog.audit_chain import Entry, entry
from rag_pipelines.catalog.group_commit import GroupCommit
from rag_pipelines.catalog.searches import Search
from rag_pipelines.catalog.store import Catalog, now
from rag_pipelines.config.policy import PolicyConfig
from rag_pipelines.core.events import Event

TEXTS = frozenset({"query", "question", "text", "comment", "prompt"})
"""Details of this name never reach the log, whoever sends them: what is in it cannot be taken out again."""


@dataclass(frozen=True, slots=True)
class _Item:
    entry: Entry
    search: Search | None = None


class Memory:
    """Writes lines and searches through one thread, many in one transaction; safe to use from several threads.

    Calls block: in strict mode until the line is on the disk, in fast mode only while too many wait.
    """

    def __init__(self, catalog: Catalog, policy: PolicyConfig) -> None:
        self.catalog = catalog
        self.log: AuditLog = open_log(policy.audit)
        self._keeps_text = policy.queries.stores_text
        self._writer = GroupCommit(self._write, wait=policy.audit.mode == "strict", room=policy.audit.queue)

    def audit(self, event: Event) -> None:
        """Remember an event. Raises CatalogError where it cannot be, and then the request must not be answered."""
        self._writer.put(_Item(entry(_without_text(event), now())))

    def searched(self, event: Event, search: Search) -> None:
        """Remember an event and the search that it tells of, both or neither.

        The text of `search` is kept in its row, or nowhere, as the policy says; the event gets a hash of it.
        """
        details = dict(_without_text(event).details)
        if search.query is None or not self._keeps_text:
            kept = replace(search, query=None, query_key=None)
        else:
            kept = replace(search, query_key=search_rows.new_query_key())
            details["query_hash"] = search_rows.query_hash(str(kept.query_key), search.query)
        self._writer.put(_Item(entry(replace(event, details=details), kept.at), kept))

    def flush(self) -> None:
        """Wait for what was handed over before."""
        self._writer.flush()

    def close(self) -> None:
        """Write what waits."""
        self._writer.close()

    def _write(self, items: list[_Item]) -> None:
        with self.catalog.begin() as tx:
            search_rows.save_searches(tx, [item.search for item in items if item.search is not None])
            self.log.append(tx, *(item.entry for item in items))


@contextlib.contextmanager
def opened_memory(catalog: Catalog, policy: PolicyConfig) -> Iterator[Memory]:
    """For the length of the block. Raises ConfigError where a key of the audit log is missing."""
    memory = Memory(catalog, policy)
    try:
        yield memory
    finally:
        memory.close()


def _without_text(event: Event) -> Event:
    return replace(event, details={name: told for name, told in event.details.items() if name not in TEXTS})

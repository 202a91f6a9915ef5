"""Compares a source's listing with the catalog and writes nothing: what observing records, and planning counts."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from rag_pipelines.catalog import documents as rows
from rag_pipelines.catalog.store import Transaction
from rag_pipelines.config.models import SourceConfig
from rag_pipelines.core.errors import SourceError
from rag_pipelines.core.ids import content_hash, document_id, shard_of
from rag_pipelines.core.ports import Progress
from rag_pipelines.core.types import Access, Excluded, SourceItem
from rag_pipelines.pipeline.breaker import Verdict, divide

BATCH = 500


@dataclass(frozen=True, slots=True)
class Difference:
    """A listed document that the catalog does not have like this.

    `edited`: its bytes may be others (also where it is new); `regraded`: its rights are others
    than `before`.
    """

    row: dict[str, Any]
    added: bool
    edited: bool
    regraded: bool
    before: Access | None = None


@dataclass(slots=True)
class Comparison:
    """One listing: `found` counts documents, `added` maps new ones to their version."""

    config: SourceConfig
    live: int
    found: Counter[str] = field(
        default_factory=lambda: Counter(listed=0, changed=0, access_changed=0, unchanged=0)
    )
    seen: set[str] = field(default_factory=set)
    added: dict[str, str] = field(default_factory=dict)
    excluded: dict[str, str] = field(default_factory=dict)

    def batches(
        self, listing: Iterator[SourceItem | Excluded], progress: Progress
    ) -> Iterator[dict[str, SourceItem]]:
        """The items by document id. Raises SourceError where two have the same uri."""
        batch: dict[str, SourceItem] = {}
        for item in listing:
            progress.advance("list")
            self.found["listed"] += 1
            if isinstance(item, Excluded):
                self.excluded[item.uri] = item.reason
                continue
            doc_id = document_id(self.config.source, item.uri)
            if doc_id in self.seen:
                raise SourceError(
                    f"source {self.config.source!r} lists {item.uri!r} twice; every document needs a uri of its own"
                )
            self.seen.add(doc_id)
            batch[doc_id] = item
            if len(batch) >= BATCH:
                yield batch
                batch = {}
        if batch:
            yield batch
        self.found["excluded"] = len(self.excluded)

    def differences(self, tx: Transaction, batch: Mapping[str, SourceItem]) -> list[Difference]:
        """Those of the batch that differ, counted as added, changed or access_changed."""
        known = rows.known_documents(tx, batch)
        changed: list[dict[str, Any]] = []
        for doc_id, item in batch.items():
            row = listed_row(self.config, doc_id, item)
            before = known.get(doc_id)
            if before is None or not before.live:
                self.added[doc_id] = item.version
            elif before.version == item.version and before.row_hash == row["row_hash"]:
                self.found["unchanged"] += 1
                continue
            changed.append(row)
        rights = rows.known_rights(tx, [row["doc_id"] for row in changed])
        found: list[Difference] = []
        for row in changed:
            doc_id = row["doc_id"]
            added = doc_id in self.added
            edited = added or known[doc_id].version != row["version"]
            regraded = not added and rights[doc_id] != rows.access_of(row)
            found.append(Difference(row, added, edited, regraded, rights.get(doc_id)))
            if not added:
                self.found["access_changed" if regraded and not edited else "changed"] += 1
        return found

    def settle(self, tx: Transaction) -> Verdict:
        """After the whole listing: what becomes of the documents that it no longer has."""
        gone: list[tuple[str, str, str]] = []
        if self.live + len(self.added) > len(self.seen):
            gone = [row for row in rows.live_documents(tx, self.config.source) if row[0] not in self.seen]
        verdict = divide(self.config.limits, self.live, self.found["listed"], gone, self.added)
        self.found.update(
            moved=verdict.moved,
            added=len(self.added) - verdict.moved,
            deleted=len(verdict.deleted) - verdict.moved,
            held=len(verdict.held),
        )
        return verdict


def listed_row(config: SourceConfig, doc_id: str, item: SourceItem) -> dict[str, Any]:
    """The columns of `documents` that a listing decides."""
    access = resolve_access(config, item)
    metadata = json.loads(json.dumps(_metadata(config, item), default=str, sort_keys=True))
    row: dict[str, Any] = {
        "doc_id": doc_id,
        "source": config.source,
        "shard": shard_of(doc_id, config.shards),
        "uri": item.uri,
        "kind": PurePosixPath(item.uri).suffix.lower()[:16],
        "live": True,
        "version": item.version,
        "metadata": metadata,
        "tenant": access.tenant,
        "classification": access.classification.value,
        "acl": list(access.acl),
    }
    row["row_hash"] = content_hash(json.dumps([metadata, row["tenant"], row["classification"], row["acl"]]))
    row["size"] = item.size
    row["modified_at"] = item.modified_at.isoformat() if item.modified_at else None
    return row


def _metadata(config: SourceConfig, item: SourceItem) -> dict[str, Any]:
    """What the connector knows, else what the uri says, else what the source's YAML says of all documents."""
    found = re.search(config.uri_metadata, item.uri) if config.uri_metadata else None
    named = {name: text for name, text in found.groupdict().items() if text is not None} if found else {}
    return {**config.metadata, **named, **item.metadata}


def resolve_access(config: SourceConfig, item: SourceItem) -> Access:
    """The rights of one item: what the connector knows, else what the source's YAML says."""
    return Access(
        tenant=item.tenant or config.tenant,
        classification=item.classification or config.classification,
        acl=tuple(sorted(set(config.acl if item.acl is None else item.acl))),
    )

"""Lists a source and writes down what changed."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from rag_pipelines.catalog import documents as rows
from rag_pipelines.catalog.shards import register_source
from rag_pipelines.catalog.store import Row, now
from rag_pipelines.config.models import SourceConfig
from rag_pipelines.core.errors import SourceError
from rag_pipelines.core.ids import content_hash, document_id, shard_of
from rag_pipelines.core.ports import Progress
from rag_pipelines.core.types import Access, Excluded, SourceItem
from rag_pipelines.pipeline.progress import Silent
from rag_pipelines.pipeline.workspace import Workspace

logger = logging.getLogger(__name__)
BATCH = 500


def observe(workspace: Workspace, source: str, run_id: str, progress: Progress | None = None) -> Counter[str]:
    """Compare the source's listing with the catalog: added, changed, moved, access-only, deleted, unchanged.

    Additions and changes are recorded as the listing goes; deletions only after it has finished, so that
    an interrupted or failing listing deletes nothing. Returns counts, in documents. Raises SourceError, which
    is recorded on the source.
    """
    config = workspace.configuration.source_named(source)
    progress = progress or Silent()
    with workspace.catalog.begin() as tx:
        if register_source(tx, source, config.shards):
            logger.info("source=%s now has shards=%s", source, config.shards)
    progress.start("list", None)
    try:
        with workspace.opened_source(source) as connector:
            token = connector.probe()
            found = _compare(workspace, config, connector.list(), progress)
    except SourceError as error:
        with workspace.catalog.begin() as tx:
            rows.update_source(tx, source, error=str(error))
        raise
    with workspace.catalog.begin() as tx:
        rows.update_source(tx, source, error=None, listed_at=now(), probe_token=token)
    workspace.count(run_id, source, found)
    progress.finish("list")
    return found


def _compare(
    workspace: Workspace,
    config: SourceConfig,
    listing: Iterator[SourceItem | Excluded],
    progress: Progress,
) -> Counter[str]:
    found: Counter[str] = Counter()
    seen: dict[str, str] = {}
    excluded: dict[str, str] = {}
    added: dict[str, str] = {}
    batch: list[SourceItem] = []
    for item in listing:
        progress.advance("list")
        found["listed"] += 1
        if isinstance(item, Excluded):
            excluded[item.uri] = item.reason
            continue
        doc_id = document_id(config.source, item.uri)
        if doc_id in seen:
            raise SourceError(
                f"source {config.source!r} lists {item.uri!r} twice; every document needs a uri of its own"
            )
        seen[doc_id] = item.version
        batch.append(item)
        if len(batch) >= BATCH:
            _record(workspace, config, batch, found, added)
            batch = []
    _record(workspace, config, batch, found, added)
    with workspace.catalog.begin() as tx:
        rows.replace_exclusions(tx, config.source, excluded)
        gone = [row for row in rows.live_documents(tx, config.source) if row[0] not in seen]
        rows.mark_gone(tx, [doc_id for doc_id, _, _ in gone])
    moved = sum((Counter(added.values()) & Counter(version for _, _, version in gone)).values())
    found.update(excluded=len(excluded), moved=moved, deleted=len(gone) - moved, added=len(added) - moved)
    for name in ("changed", "access_changed", "unchanged"):
        found.setdefault(name, 0)
    return found


def _record(
    workspace: Workspace,
    config: SourceConfig,
    items: list[SourceItem],
    found: Counter[str],
    added: dict[str, str],
) -> None:
    if not items:
        return
    with workspace.catalog.begin() as tx:
        ids = {item.uri: document_id(config.source, item.uri) for item in items}
        known = rows.known_documents(tx, list(ids.values()))
        changed: list[Row] = []
        for item in items:
            row = _row(config, ids[item.uri], item)
            before = known.get(row["doc_id"])
            if before is None or not before.live:
                added[row["doc_id"]] = item.version
            elif before.row_hash == row["row_hash"] and before.version == item.version:
                found["unchanged"] += 1
                continue
            elif before.version == item.version and before.access != rows.access_of(row):
                found["access_changed"] += 1
            else:
                found["changed"] += 1
            changed.append(row)
        rows.save_listed(tx, changed)


def _row(config: SourceConfig, doc_id: str, item: SourceItem) -> dict[str, Any]:
    access = resolve_access(config, item)
    metadata = json.loads(json.dumps(dict(item.metadata), default=str, sort_keys=True))
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
    row["seen_at"] = now()
    return row


def resolve_access(config: SourceConfig, item: SourceItem) -> Access:
    """The rights of one item: what the connector knows, else what the source's YAML says."""
    return Access(
        tenant=item.tenant or config.tenant,
        classification=item.classification or config.classification,
        acl=tuple(sorted(set(config.acl if item.acl is None else item.acl))),
    )

"""What of a source waits for a person: documents that were refused, deletions that are held; each with its rights."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from rag_pipelines.catalog.control_tables import approval_documents, approvals
from rag_pipelines.catalog.documents import access_of
from rag_pipelines.catalog.store import Catalog, reading, rows_of
from rag_pipelines.catalog.tables import documents, quarantine
from rag_pipelines.core.types import Access

_RIGHTS = (documents.c.tenant, documents.c.classification, documents.c.acl)


@dataclass(frozen=True, slots=True)
class Refused:
    """A quarantined document."""

    uri: str
    stage: str
    reason: str
    since: str
    access: Access


@dataclass(frozen=True, slots=True)
class Held:
    """A document whose deletion waits for the approval of this number."""

    approval: int
    requested_at: str
    uri: str
    access: Access


def refused_documents(catalog: Catalog, source: str) -> list[Refused]:
    """Newest first. One whose rights are not known is nobody's, and is left out."""
    own = quarantine.c
    statement = (
        sa.select(own.uri, own.stage, own.reason, own.since, *_RIGHTS)
        .join(documents, documents.c.doc_id == own.doc_id)
        .where(own.source == source)
        .order_by(own.since.desc(), own.uri)
    )
    with reading(catalog.engine) as tx:
        return [
            Refused(row["uri"], row["stage"], row["reason"], row["since"], access_of(row))
            for row in rows_of(tx.execute(statement))
        ]


def held_documents(catalog: Catalog, source: str) -> list[Held]:
    """Of all requests that wait, the oldest first."""
    own = approval_documents.c
    statement = (
        sa.select(approvals.c.id, approvals.c.requested_at, own.uri, *_RIGHTS)
        .join(approvals, approvals.c.id == own.approval_id)
        .join(documents, documents.c.doc_id == own.doc_id)
        .where(approvals.c.source == source, approvals.c.status == "pending")
        .order_by(approvals.c.id, own.uri)
    )
    with reading(catalog.engine) as tx:
        return [
            Held(row["id"], row["requested_at"], row["uri"], access_of(row))
            for row in rows_of(tx.execute(statement))
        ]

"""Requests to do part of a source again, from people who cannot start runs; a sensor picks them up."""

from __future__ import annotations

from dataclasses import replace

import sqlalchemy as sa

from rag_pipelines.catalog.audit import AuditLog
from rag_pipelines.catalog.control_tables import reindex_requests
from rag_pipelines.catalog.store import Catalog, Row, now, reading, rows_of
from rag_pipelines.core.events import Event

PENDING, STARTED, DONE, FAILED = "pending", "started", "done", "failed"


def request_reindex(
    catalog: Catalog,
    source: str,
    uri_prefix: str,
    force: bool,
    by: str,
    told: tuple[AuditLog, Event] | None = None,
) -> Row:
    """Ask for it; one that asks for the same and still waits is returned instead of a second.

    `told` is what the audit log then says, with the request's number added.
    """
    own = reindex_requests.c
    with catalog.begin() as tx:
        same = sa.select(reindex_requests).where(
            own.source == source, own.uri_prefix == uri_prefix, own.force == force, own.status == PENDING
        )
        waiting = rows_of(tx.execute(same))
        if waiting:
            return waiting[0]
        values = {
            "source": source,
            "uri_prefix": uri_prefix,
            "force": force,
            "requested_by": by,
            "requested_at": now(),
            "status": PENDING,
            "updated_at": now(),
            "detail": "",
        }
        number = tx.execute(sa.insert(reindex_requests).values(values).returning(own.id)).scalar_one()
        if told is not None:
            log, event = told
            log.append(tx, replace(event, details={**event.details, "number": number}))
        return {**values, "id": number}


def reindex_request(catalog: Catalog, number: int) -> Row | None:
    """One request, or None."""
    with reading(catalog.engine) as tx:
        found = rows_of(tx.execute(sa.select(reindex_requests).where(reindex_requests.c.id == number)))
    return found[0] if found else None


def pending_requests(catalog: Catalog) -> list[Row]:
    """Requests that nobody has picked up, oldest first."""
    own = reindex_requests.c
    with reading(catalog.engine) as tx:
        return rows_of(tx.execute(sa.select(reindex_requests).where(own.status == PENDING).order_by(own.id)))


def update_request(catalog: Catalog, number: int, status: str, detail: str = "") -> None:
    """What became of a request."""
    with catalog.begin() as tx:
        tx.execute(
            sa.update(reindex_requests)
            .where(reindex_requests.c.id == number)
            .values(status=status, detail=detail, updated_at=now())
        )

"""Changes that wait for a person's decision, with the documents that they are about."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from rag_pipelines.catalog.control_tables import approval_documents, approvals
from rag_pipelines.catalog.store import Catalog, Row, Transaction, batches, now, reading, rows_of

DELETIONS = "deletions"
SHOWN = 1000


def hold(tx: Transaction, source: str, reason: str, held: Sequence[tuple[str, str]]) -> int:
    """Ask for a decision on deleting these (doc_id, uri); a request that still waits is brought up to date."""
    waiting = _waiting(tx, source)
    if waiting is None:
        waiting = tx.execute(
            sa.insert(approvals)
            .values(source=source, kind=DELETIONS, status="pending", reason=reason, requested_at=now())
            .returning(approvals.c.id)
        ).scalar_one()
        known: set[str] = set()
    else:
        tx.execute(sa.update(approvals).where(approvals.c.id == waiting).values(reason=reason))
        of_request = sa.select(approval_documents.c.doc_id).where(approval_documents.c.approval_id == waiting)
        known = {row[0] for row in tx.execute(of_request)}
    wanted = dict(held)
    for batch in batches(sorted(known - wanted.keys())):
        tx.execute(
            sa.delete(approval_documents).where(
                approval_documents.c.approval_id == waiting, approval_documents.c.doc_id.in_(batch)
            )
        )
    fresh = [
        {"approval_id": waiting, "doc_id": doc_id, "uri": uri}
        for doc_id, uri in wanted.items()
        if doc_id not in known
    ]
    for rows in batches(fresh):
        tx.execute(sa.insert(approval_documents), list(rows))
    return int(waiting)


def withdraw(tx: Transaction, source: str) -> None:
    """Nothing of the source is held any more: a later listing settled it."""
    tx.execute(
        sa.update(approvals)
        .where(approvals.c.source == source, approvals.c.status == "pending")
        .values(status="withdrawn", decided_at=now())
    )


def decide(tx: Transaction, approval: int, by: str) -> list[str]:
    """Approve the request; returns the documents it is about."""
    tx.execute(
        sa.update(approvals)
        .where(approvals.c.id == approval)
        .values(status="approved", decided_at=now(), decided_by=by)
    )
    of_request = sa.select(approval_documents.c.doc_id).where(approval_documents.c.approval_id == approval)
    return [row[0] for row in tx.execute(of_request)]


def pending_approvals(catalog: Catalog, source: str | None = None) -> list[Row]:
    """Requests that wait, oldest first: the columns of `approvals`, `count`, and `documents` (uris, at most 1,000)."""
    statement = sa.select(approvals).where(approvals.c.status == "pending").order_by(approvals.c.id)
    if source is not None:
        statement = statement.where(approvals.c.source == source)
    found: list[Row] = []
    with reading(catalog.engine) as tx:
        for row in rows_of(tx.execute(statement)):
            mine = approval_documents.c.approval_id == row["id"]
            uris = tx.execute(
                sa.select(approval_documents.c.uri)
                .where(mine)
                .order_by(approval_documents.c.uri)
                .limit(SHOWN)
            )
            shown = [uri for (uri,) in uris]
            count = tx.execute(
                sa.select(sa.func.count()).select_from(approval_documents).where(mine)
            ).scalar_one()
            found.append({**row, "count": count, "documents": shown})
    return found


def _waiting(tx: Transaction, source: str) -> int | None:
    return tx.execute(
        sa.select(approvals.c.id).where(approvals.c.source == source, approvals.c.status == "pending")
    ).scalar()

"""What people asked and what they were shown. The text can be forgotten: the audit log has only a hash of it.

The hash is keyed with a random key of that one search, which goes with the text: afterwards nobody can tell by
trying whether a text they think of was the one.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from rag_pipelines.catalog.memory_tables import feedback, searches
from rag_pipelines.catalog.store import Catalog, Row, Transaction, batches, reading, rows_of
from rag_pipelines.core.ids import content_hash

PAGE = 5_000
Shown = tuple[str, str, int]
"""(chunk_id, doc_id, rank) of a passage."""


@dataclass(frozen=True, slots=True)
class Search:
    """One search; `query` and `query_key` are None where the text is not kept."""

    request: str
    at: str
    index: str
    version: int
    tenant: str
    subject: str
    passages: tuple[Shown, ...]
    variant: str | None = None
    query: str | None = None
    query_key: str | None = None
    answerable: bool | None = None

    def as_row(self) -> dict[str, Any]:
        """The columns of `searches`."""
        return {
            "request": self.request,
            "at": self.at,
            "index_name": self.index,
            "version": self.version,
            "variant": self.variant,
            "tenant": self.tenant,
            "subject": self.subject,
            "person": person(self.tenant, self.subject),
            "query": self.query,
            "query_key": self.query_key,
            "passages": [list(shown) for shown in self.passages],
            "answerable": self.answerable,
        }


def person(tenant: str, subject: str) -> str:
    """One name of one length for a subject of a tenant."""
    return content_hash(f"{len(tenant)}\n{tenant}\n{subject}")


def new_query_key() -> str:
    """The random key of one search."""
    return secrets.token_hex(32)


def query_hash(query_key: str, query: str) -> str:
    """What the audit log says of a text; with the stored key anybody can compare it with the stored text."""
    return hmac.digest(bytes.fromhex(query_key), query.encode("utf-8", "surrogatepass"), "sha256").hex()


def save_searches(tx: Transaction, found: Iterable[Search]) -> None:
    """Add rows."""
    rows = [search.as_row() for search in found]
    for batch in batches(rows):
        tx.execute(sa.insert(searches), list(batch))


def searches_of(tx: Transaction, request: str, index: str, tenant: str, subject: str) -> list[Row]:
    """The searches of one request, if it was this person's, oldest first."""
    own = searches.c
    chosen = sa.select(searches).where(
        own.request == request, own.index_name == index, own.person == person(tenant, subject)
    )
    return rows_of(tx.execute(chosen.order_by(own.id)))


def asked(catalog: Catalog, index: str) -> list[Row]:
    """Every search of an index whose text is still known, oldest first."""
    own = searches.c
    columns = (own.tenant, own.subject, own.person, own.query, own.answerable, own.request, own.at)
    chosen = sa.select(*columns).where(own.index_name == index, own.query.is_not(None)).order_by(own.id)
    with reading(catalog.engine) as tx:
        return rows_of(tx.execute(chosen))


def forget_texts(tx: Transaction, before: str | None, limit: int = PAGE) -> int:
    """Take text and key off some searches from before that time, of any where it is None; returns how many."""
    own = searches.c
    old = [own.at < before] if before is not None else []
    return _some(tx, sa.and_(own.query.is_not(None), *old), limit, query=None, query_key=None)


def forget_searches(tx: Transaction, before: str, limit: int = PAGE) -> int:
    """Delete some searches from before that time; returns how many."""
    return _delete(tx, searches, searches.c.at < before, limit)


def forget_feedback(tx: Transaction, before: str, limit: int = PAGE) -> int:
    """Delete some feedback from before that time; returns how many."""
    return _delete(tx, feedback, feedback.c.at < before, limit)


def erase_person(tx: Transaction, tenant: str, subject: str) -> tuple[int, int]:
    """Delete all searches and all feedback of a person; returns how many of each."""
    who = person(tenant, subject)
    counts = [
        tx.execute(sa.delete(table).where(table.c.person == who)).rowcount for table in (searches, feedback)
    ]
    return counts[0], counts[1]


def _some(tx: Transaction, chosen: sa.ColumnElement[bool], limit: int, **values: Any) -> int:
    ids = _ids(tx, searches, chosen, limit)
    for batch in batches(ids):
        tx.execute(sa.update(searches).where(searches.c.id.in_(batch)).values(**values))
    return len(ids)


def _delete(tx: Transaction, table: sa.Table, chosen: sa.ColumnElement[bool], limit: int) -> int:
    ids = _ids(tx, table, chosen, limit)
    for batch in batches(ids):
        tx.execute(sa.delete(table).where(table.c.id.in_(batch)))
    return len(ids)


def _ids(tx: Transaction, table: sa.Table, chosen: sa.ColumnElement[bool], limit: int) -> Sequence[int]:
    return list(tx.execute(sa.select(table.c.id).where(chosen).limit(limit)).scalars())

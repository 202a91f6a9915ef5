"""The audit log: lines that are only ever added, each with the hash of the one before.

Of all writers one at a time holds the head's row, from its append to the end of its transaction: append last.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from rag_pipelines.catalog.audit_chain import (
    COLUMNS,
    GENESIS,
    TRIM,
    Entry,
    Verified,
    entry,
    line_hash,
    verify,
)
from rag_pipelines.catalog.memory_tables import audit_head, audit_lines
from rag_pipelines.catalog.store import Catalog, Row, Transaction, batches, now, reading, rows_of, upsert
from rag_pipelines.config.environment import read_secret
from rag_pipelines.config.memory import AuditConfig
from rag_pipelines.core.errors import CatalogError, ConfigError
from rag_pipelines.core.events import Event

LEAST_KEY = 32
PAGE = 5_000
_LINE = tuple(audit_lines.c[name] for name in COLUMNS)


@dataclass(frozen=True, slots=True)
class AuditLog:
    """How lines are signed: with the last of `keys`, or not at all. Never shows a key."""

    keys: tuple[bytes, ...] = field(default=(), repr=False)

    def append(self, tx: Transaction, *events: Event | Entry) -> None:
        """Add lines at the end of a transaction; with it they are there, or not at all."""
        if not events:
            return
        key = self.keys[-1] if self.keys else None
        seq, previous = _held_head(tx)
        rows = []
        for event in events:
            seq += 1
            one = event if isinstance(event, Entry) else entry(event, now())
            fields = (seq, *one.fields(), previous)
            previous = line_hash(fields, key)
            rows.append(dict(zip(COLUMNS, (*fields, previous), strict=True)))
        for batch in batches(rows):
            tx.execute(sa.insert(audit_lines), list(batch))
        tx.execute(sa.update(audit_head).where(audit_head.c.id == 1).values(seq=seq, hash=previous))


def open_log(config: AuditConfig, variables: Mapping[str, str] | None = None) -> AuditLog:
    """Raises ConfigError where a key that the policy names is not set, or too short to keep anybody out."""
    if config.key_env is None:
        return AuditLog()
    keys = []
    for name in (*config.old_key_envs, config.key_env):
        secret = read_secret(name, variables)
        if secret is None or len(secret) < LEAST_KEY:
            wrong = "is not set" if secret is None else f"is shorter than {LEAST_KEY} characters"
            raise ConfigError(f"policy.yaml: audit signs with the key in {name}, which {wrong}")
        keys.append(secret.encode("utf-8", "surrogateescape"))
    return AuditLog(tuple(keys))


def record(catalog: Catalog, log: AuditLog, event: Event) -> None:
    """One line in a transaction of its own."""
    with catalog.begin() as tx:
        log.append(tx, event)


def _held_head(tx: Transaction) -> tuple[int, str]:
    """The end of the chain, which nobody else moves before this transaction ends."""
    held = sa.select(audit_head.c.seq, audit_head.c.hash).where(audit_head.c.id == 1).with_for_update()
    row = tx.execute(held).first()
    if row is None:
        # Another's first line may be committed meanwhile: only a head of one's own beside lines is a wrong one.
        upsert(tx, audit_head, [{"id": 1, "seq": 0, "hash": GENESIS, "first": 1}], update=())
        row = tx.execute(held).one()
        if row.seq == 0 and tx.execute(sa.select(audit_lines.c.seq).limit(1)).first() is not None:
            raise CatalogError("the head of the audit log is gone: run `rag-pipelines audit verify`")
    return int(row.seq), str(row.hash)


def head(catalog: Catalog) -> tuple[int, str] | None:
    """Number and hash of the newest line, None before the first: what to keep elsewhere as an anchor."""
    with reading(catalog.engine) as tx:
        row = tx.execute(sa.select(audit_head.c.seq, audit_head.c.hash)).first()
    return (int(row.seq), str(row.hash)) if row is not None and row.seq else None


def anchor(catalog: Catalog) -> str:
    """The head as `SEQ:HASH`, empty before the first line."""
    found = head(catalog)
    return f"{found[0]}:{found[1]}" if found is not None else ""


def verify_log(catalog: Catalog, log: AuditLog, anchors: Mapping[int, str] | None = None) -> Verified:
    """The whole chain as it is at one moment, in memory a page at a time."""
    with _one_moment(catalog) as tx:
        known = tx.execute(sa.select(audit_head)).first()
        begins = known.first if known is not None else None
        lines = _stream(tx, audit_lines.c.seq >= begins if begins is not None else None)
        end = (int(known.seq), str(known.hash)) if known is not None else (0, GENESIS)
        return verify(lines, log.keys, end, anchors, begins=begins)


def lines_since(catalog: Catalog, since: str | None = None, until: str | None = None) -> Iterator[Row]:
    """Lines of a span of time, oldest first."""
    own = audit_lines.c
    chosen = [own.at >= since] if since else []
    chosen += [own.at < until] if until else []
    with _one_moment(catalog) as tx:
        for row in _stream(tx, sa.and_(sa.true(), *chosen)):
            yield dict(zip(COLUMNS, row, strict=True))


def newest_lines(
    catalog: Catalog, limit: int, action: str | None = None, actor: str | None = None
) -> list[Row]:
    """The last lines, newest first; of one action or by one actor where that is given."""
    statement = sa.select(*_LINE).order_by(audit_lines.c.seq.desc()).limit(limit)
    if action is not None:
        statement = statement.where(audit_lines.c.action == action)
    if actor is not None:
        statement = statement.where(audit_lines.c.actor == actor)
    with reading(catalog.engine) as tx:
        return rows_of(tx.execute(statement))


def trim(tx: Transaction, log: AuditLog, before: str, actor: str) -> int:
    """Declare the oldest lines, those from before that time, as gone; `forget_trimmed` deletes them.

    A line at the end of the chain says so and names the hash of the last of them, so that nobody without the
    key can take away more. Returns how many.
    """
    end, _ = _held_head(tx)
    own = audit_lines.c
    first = int(tx.execute(sa.select(audit_head.c.first)).scalar_one())
    kept = tx.execute(sa.select(sa.func.min(own.seq)).where(own.seq >= first, own.at >= before)).scalar()
    begins = int(kept) if kept is not None else end + 1
    if begins <= first:
        return 0
    last = tx.execute(sa.select(own.hash).where(own.seq == begins - 1)).scalar_one()
    told = {"through": begins - 1, "hash": last, "lines": begins - first}
    log.append(tx, Event(TRIM, actor, "audit", details=told))
    tx.execute(sa.update(audit_head).where(audit_head.c.id == 1).values(first=begins))
    return begins - first


def forget_trimmed(tx: Transaction, limit: int = 10_000) -> int:
    """Delete some lines that were declared as gone; returns how many."""
    first = sa.select(audit_head.c.first).where(audit_head.c.id == 1).scalar_subquery()
    oldest = sa.select(sa.func.min(audit_lines.c.seq)).scalar_subquery()
    gone = (audit_lines.c.seq < first) & (audit_lines.c.seq < oldest + limit)
    return tx.execute(sa.delete(audit_lines).where(gone)).rowcount


def _one_moment(catalog: Catalog) -> Any:
    """A reading transaction that sees one state, on Postgres too."""
    if catalog.dialect == "sqlite":
        return reading(catalog.engine)
    return reading(catalog.engine.execution_options(isolation_level="REPEATABLE READ"))


def _stream(tx: Transaction, chosen: sa.ColumnElement[bool] | None) -> Iterable[Sequence[Any]]:
    statement = sa.select(*_LINE).order_by(audit_lines.c.seq)
    if chosen is not None:
        statement = statement.where(chosen)
    for page in tx.execution_options(yield_per=PAGE).execute(statement).partitions():
        yield from page

"""Forgets what the policy no longer keeps of what people did, asked and said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, astuple, dataclass
from datetime import UTC, datetime, timedelta

from rag_pipelines.catalog import audit
from rag_pipelines.catalog import searches as rows
from rag_pipelines.catalog.store import Transaction
from rag_pipelines.config.memory import span
from rag_pipelines.core.events import Event
from rag_pipelines.pipeline.operator import operator
from rag_pipelines.pipeline.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Forgotten:
    """How many query texts, searches, rows of feedback and lines of the audit log are gone."""

    texts: int = 0
    searches: int = 0
    feedback: int = 0
    audit_lines: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return sum(astuple(self))


def forget_old(workspace: Workspace) -> Forgotten:
    """Delete what is older than the policy keeps, and every text where it keeps none.

    Killed anywhere, the next call goes on.
    """
    policy = workspace.configuration.policy
    moment = datetime.now(UTC)
    texts = 0
    if not policy.queries.stores_text:
        texts = _all(workspace, lambda tx: rows.forget_texts(tx, None))
    elif (before := _before(moment, span(policy.queries.keep))) is not None:
        texts = _all(workspace, lambda tx: rows.forget_texts(tx, before))
    found = Forgotten(
        texts,
        _older(workspace, _before(moment, span(policy.queries.keep_searches)), rows.forget_searches),
        _older(workspace, _before(moment, span(policy.queries.keep_feedback)), rows.forget_feedback),
        _trim(workspace, _before(moment, span(policy.audit.keep))),
    )
    if found.total:
        workspace.record(Event("forget", operator(), "memory", details=asdict(found)))
    return found


def erase_person(workspace: Workspace, tenant: str, subject: str) -> Forgotten:
    """Delete every search and all feedback of one person; the audit log goes on saying that there were some."""
    with workspace.catalog.begin() as tx:
        searches, feedback = rows.erase_person(tx, tenant, subject)
        told = {"searches": searches, "feedback": feedback}
        workspace.audit.append(tx, Event("erase", operator(), f"user:{subject}", tenant, details=told))
    return Forgotten(searches=searches, feedback=feedback)


def _trim(workspace: Workspace, before: str | None) -> int:
    gone = 0
    if before is not None:
        with workspace.catalog.begin() as tx:
            gone = audit.trim(tx, workspace.audit, before, operator())
    _all(workspace, audit.forget_trimmed)
    return gone


def _older(workspace: Workspace, before: str | None, forget: Callable[[Transaction, str], int]) -> int:
    return _all(workspace, lambda tx: forget(tx, before)) if before is not None else 0


def _all(workspace: Workspace, some: Callable[[Transaction], int]) -> int:
    """A batch a transaction, so that nobody waits long for the database."""
    total = 0
    while True:
        with workspace.catalog.begin() as tx:
            found = some(tx)
        total += found
        if not found:
            return total


def _before(moment: datetime, kept: timedelta | None) -> str | None:
    return (moment - kept).isoformat(timespec="milliseconds") if kept is not None else None

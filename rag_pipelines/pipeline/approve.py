"""A person's decision about deletions that were held back."""

from __future__ import annotations

from collections.abc import Sequence

from rag_pipelines.catalog import approvals, marks
from rag_pipelines.catalog import documents as document_rows
from rag_pipelines.catalog.store import Row
from rag_pipelines.core.errors import NotFound
from rag_pipelines.core.events import Event
from rag_pipelines.core.faults import fault_point
from rag_pipelines.core.ids import content_hash
from rag_pipelines.pipeline.observe import delete_documents
from rag_pipelines.pipeline.operator import operator, system_user
from rag_pipelines.pipeline.workspace import Workspace, indexes_of


def choose_approvals(pending: Sequence[Row], wanted: Sequence[str]) -> list[Row]:
    """The requests with these numbers or of these sources; without any, the only one there is.

    Raises NotFound where nothing waits, where one of them does not, or where there are several to choose from.
    """
    if not pending:
        raise NotFound("nothing waits for approval")
    known = ", ".join(f"{row['id']} (source {row['source']}, {row['count']} documents)" for row in pending)
    if not wanted:
        if len(pending) > 1:
            raise NotFound(f"several requests wait; name a number or a source: {known}")
        return list(pending)
    chosen: dict[int, Row] = {}
    for name in wanted:
        found = [row for row in pending if name in (str(row["id"]), row["source"])]
        if not found:
            raise NotFound(f"no request {name!r} waits for approval; there are: {known}")
        chosen |= {row["id"]: row for row in found}
    return list(chosen.values())


def approve(workspace: Workspace, approval: Row, by: str | None = None) -> int:
    """Delete the held documents that are still missing; the coming stages take them out of the next version.

    Returns how many documents are gone. Raises ConfigError where the source is no longer configured.
    """
    config = workspace.configuration.source_named(approval["source"])
    known = document_rows.source_row(workspace.catalog, config.source)
    with workspace.catalog.begin() as tx:
        held = approvals.decide(tx, approval["id"], by or system_user())
        missing = document_rows.live_among(tx, held).get(config.source, [])
        if missing:
            delete_documents(
                tx,
                config,
                indexes_of(workspace, [config.source]),
                missing,
                known["listed_at"] if known else None,
                marks.next_tick(tx, config.source),
            )
        told = {
            "approval": approval["id"],
            "held": len(held),
            "deleted": len(missing),
            "documents_hash": content_hash("\n".join(sorted(missing))),
        }
        workspace.audit.append(tx, Event("approve", operator(by), config.source, details=told))
    fault_point("approve.decided")
    return len(missing)

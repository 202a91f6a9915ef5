"""Does part of a source again on request, for the people who own it."""

from __future__ import annotations

from collections import Counter

from rag_pipelines.catalog import marks
from rag_pipelines.catalog import reindexing as rows
from rag_pipelines.catalog.shards import register_source
from rag_pipelines.core.events import Event
from rag_pipelines.core.faults import fault_point
from rag_pipelines.core.ports import Progress
from rag_pipelines.pipeline.observe import observe
from rag_pipelines.pipeline.operator import operator
from rag_pipelines.pipeline.sync import process
from rag_pipelines.pipeline.workspace import Workspace


def reindex(
    workspace: Workspace,
    source: str,
    uri_prefix: str = "",
    force: bool = False,
    run_id: str = "",
    progress: Progress | None = None,
) -> Counter[str]:
    """List the source, try again what was refused under the prefix, and publish.

    With `force`, every document under the prefix is fetched, parsed and cut again even where nothing
    changed; vectors of texts that stay the same are reused. Returns the counts of all stages, and
    `selected`, how many documents the prefix matches. Raises SourceError where the source cannot be listed.
    """
    config = workspace.configuration.source_named(source)
    counts = observe(workspace, source, run_id, progress)
    with workspace.catalog.begin() as tx:
        register_source(tx, source, config.shards)
        selected = rows.documents_under(tx, source, uri_prefix)
        rows.retry_refused(tx, selected)
        if force:
            rows.forget_results(tx, selected)
        marks.touch(tx, selected, marks.next_tick(tx, source))
        told = {"uri_prefix": uri_prefix, "force": force, "documents": len(selected)}
        workspace.audit.append(tx, Event("reindex", operator(), source, request=run_id or None, details=told))
    fault_point("reindex.chosen")
    counts["selected"] = len(selected)
    workspace.count(run_id, source, {"selected": len(selected)})
    counts.update(process(workspace, [source], run_id, progress))
    return counts

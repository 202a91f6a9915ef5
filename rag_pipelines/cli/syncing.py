"""One sync through the Dagster job, and what is told of it."""

from __future__ import annotations

import time
from typing import Any

from rag_pipelines.catalog import gates, versions
from rag_pipelines.catalog.approvals import pending_approvals
from rag_pipelines.cli.output import (
    TerminalProgress,
    print_table,
    say,
    tell,
)
from rag_pipelines.core.errors import ConfigError
from rag_pipelines.pipeline.workspace import Workspace, open_workspace

REPORTED = (
    "listed",
    "added",
    "changed",
    "moved",
    "deleted",
    "held",
    "unchanged",
    "quarantined",
    "excluded",
    "embedded",
    "reused",
)


def run(names: list[str], index: str | None, quiet: bool) -> dict[str, Any]:
    """Sync and report; `errors` maps a source to what stopped it."""
    with open_workspace() as workspace:
        configuration = workspace.configuration
        for name in names:
            configuration.source_named(name)
        wanted = names or list(configuration.sources)
        if not wanted:
            raise ConfigError(
                f"no source is configured; add a file to {workspace.environment.configs / 'sources'}, "
                "for example with connector: filesystem"
            )
        index_name = configuration.index_named(index).index
        environment = workspace.environment
    from rag_pipelines.defs.run import run_sync

    began = time.monotonic()
    if quiet:
        outcomes = run_sync(environment, configuration, wanted, waiting=announce_waiting)
    else:
        with TerminalProgress() as progress:
            outcomes = run_sync(environment, configuration, wanted, progress, announce_waiting)
    with Workspace(environment, configuration) as workspace:
        return _report(workspace, index_name, outcomes, time.monotonic() - began)


def _report(workspace: Workspace, index: str, outcomes: Any, seconds: float) -> dict[str, Any]:
    from rag_pipelines.catalog import documents as document_rows
    from rag_pipelines.pipeline.sync import sync_report

    report: dict[str, Any] = {}
    errors: dict[str, str] = {}
    for outcome in outcomes:
        part = sync_report(workspace, index, outcome.sources, outcome.run_id, seconds).as_json()
        report = {**part, "sources": {**report.get("sources", {}), **part["sources"]}}
        for source in outcome.sources:
            row = document_rows.source_row(workspace.catalog, source)
            if row is not None and row["error"]:
                errors[source] = row["error"]
            elif outcome.error is not None and not outcome.refused:
                errors[source] = outcome.error
    held = {
        row["source"]: row["count"]
        for row in pending_approvals(workspace.catalog)
        if row["source"] in report["sources"]
    }
    live = versions.pointer(workspace.catalog, index)
    return report | {
        "held": held,
        "refused": _refused(workspace, index),
        "pinned": live.pinned if live else None,
        "errors": errors,
    }


def _refused(workspace: Workspace, index: str) -> str | None:
    """Why the gates hold back what is staged, if they do."""
    with workspace.catalog.begin() as tx:
        row = versions.candidate(tx, index)
        verdict = gates.verdict_in(tx, index, row["number"]) if row is not None else None
    return verdict["reason"] if verdict is not None and not verdict["passed"] else None


def print_report(report: dict[str, Any]) -> None:
    """The counts of each source, what is live, and what needs a person."""
    print_table(
        "",
        ("source", *REPORTED),
        [(source, *(counts[name] for name in REPORTED)) for source, counts in report["sources"].items()],
        "",
    )
    if report["version"] is None:
        say(f"{report['index']}: nothing to index yet")
    else:
        state = _state(report)
        say(f"{report['index']}: version {report['version']} {state} ({report['seconds']:.1f} s)")
    if report["refused"] is not None:
        tell(
            f"refused by its gates: {report['refused']}; the live version stays (`rag-pipelines gate` shows every "
            "check, `rag-pipelines publish --help` who may decide otherwise)",
            "red",
        )
    for source, count in report["held"].items():
        tell(
            f"held: {source}: {count} documents are missing from the listing, more than its limit lets go at once; "
            f"they stay until `rag-pipelines approve {source}` (the list: `rag-pipelines approvals`)",
            "yellow",
        )
    for source, message in report["errors"].items():
        tell(f"error: {source}: {message}", "red")


def _state(report: dict[str, Any]) -> str:
    if report["published"]:
        return "is live"
    if report["pinned"] is not None:
        return f"waits: the index is pinned at {report['pinned']} until `rag-pipelines unpin`"
    if report["refused"] is not None:
        return "is staged and refused"
    return "is staged; `rag-pipelines publish` makes it live"


def announce_waiting(holder: str) -> None:
    """Say whom we wait for."""
    tell(f"another sync is running ({holder}); waiting for it to finish")

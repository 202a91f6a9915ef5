"""One sync through the Dagster job, and what is told of it."""

from __future__ import annotations

import time
from collections.abc import Sequence
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
        indexes = configuration.indexes_named(index)
        environment = workspace.environment
    from rag_pipelines.defs.run import run_sync

    began = time.monotonic()
    if quiet:
        outcomes = run_sync(environment, configuration, wanted, waiting=announce_waiting)
    else:
        with TerminalProgress() as progress:
            outcomes = run_sync(environment, configuration, wanted, progress, announce_waiting)
    with Workspace(environment, configuration) as workspace:
        return _report(workspace, indexes, outcomes, time.monotonic() - began)


def _report(workspace: Workspace, indexes: Sequence[str], outcomes: Any, seconds: float) -> dict[str, Any]:
    """Of the first of the indexes, and what became of the others."""
    from rag_pipelines.catalog import documents as document_rows
    from rag_pipelines.pipeline.sync import sync_report

    report: dict[str, Any] = {}
    errors: dict[str, str] = {}
    for outcome in outcomes:
        part = sync_report(workspace, indexes[0], outcome.sources, outcome.run_id, seconds).as_json()
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
    others = {
        index: {name: part[name] for name in ("version", "published")} | _standing(workspace, index)
        for index in indexes[1:]
        for part in [sync_report(workspace, index, (), "", seconds).as_json()]
    }
    return report | {**_standing(workspace, indexes[0]), "held": held, "errors": errors, "others": others}


def _standing(workspace: Workspace, index: str) -> dict[str, Any]:
    """What keeps the newest version of an index from readers."""
    live = versions.pointer(workspace.catalog, index)
    return {"refused": _refused(workspace, index), "pinned": live.pinned if live else None}


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
    _print_index(report["index"], report, f" ({report['seconds']:.1f} s)")
    for index, state in report["others"].items():
        _print_index(index, state, "")
    for source, count in report["held"].items():
        tell(
            f"held: {source}: {count} documents are missing from the listing, more than its limit lets go at once; "
            f"they stay until `rag-pipelines approve {source}` (the list: `rag-pipelines approvals`)",
            "yellow",
        )
    for source, message in report["errors"].items():
        tell(f"error: {source}: {message}", "red")


def _print_index(index: str, state: dict[str, Any], took: str) -> None:
    if state["version"] is None:
        say(f"{index}: nothing to index yet")
    else:
        say(f"{index}: version {state['version']} {_state(state)}{took}")
    if state["refused"] is not None:
        tell(
            f"{index}: refused by its gates: {state['refused']}; the live version stays (`rag-pipelines gate` shows "
            "every check, `rag-pipelines publish --help` who may decide otherwise)",
            "red",
        )


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

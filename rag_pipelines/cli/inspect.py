"""Commands that look and change nothing: status, sources, versions, quarantine, config."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from rag_pipelines.catalog import documents as document_rows
from rag_pipelines.catalog import gates, reports, versions
from rag_pipelines.catalog.approvals import pending_approvals
from rag_pipelines.catalog.duplicates import count_duplicates
from rag_pipelines.catalog.latencies import latency_summary
from rag_pipelines.cli.output import failures, moment, print_json, print_table, say, tell
from rag_pipelines.pipeline.workspace import Workspace, open_workspace

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Index = Annotated[str | None, typer.Option("--index", help="Name of the index; by default the only one.")]
AskAs = Annotated[
    Path | None, typer.Option("--as", help="JSON file: subject, tenant, groups, clearance. Ask as somebody.")
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(help="What is live, how fresh each source is, and what was refused.")(status)
    app.command(help="The configured sources and what is known of each.")(sources)
    app.command("versions", help="The versions of an index, newest first.")(list_versions)
    app.command(help="Documents that could not be read, with the reason.")(quarantine)
    app.command(help="Check the configuration; with --schemas, write JSON Schemas for editors.")(config)


def status(as_json: Json = False) -> None:
    """Live versions, source totals and problems."""
    with failures(as_json), open_workspace() as workspace:
        indexes = [_index_status(workspace, name) for name in workspace.configuration.indexes]
        found = [_source_status(workspace, name) for name in workspace.configuration.sources]
        waiting = pending_approvals(workspace.catalog)
        if as_json:
            print_json({"indexes": indexes, "sources": found, "approvals": waiting})
            return
        print_table(
            "Indexes",
            ("index", "live version", "published", "documents", "duplicates", "chunks", "waiting", "pinned"),
            [
                (
                    i["index"],
                    i["version"],
                    moment(i["published_at"]),
                    i["documents"],
                    i["duplicates"],
                    i["chunks"],
                    i["candidate"],
                    i["pinned"],
                )
                for i in indexes
            ],
            "no index is configured; add a file to configs/indexes/",
        )
        _print_sources(found)
        _print_latencies(found)
        for request in waiting:
            tell(
                f"request {request['id']} waits for approval: {request['count']} deletions of {request['source']} "
                "(`rag-pipelines approvals` lists them)",
                "yellow",
            )


def sources(as_json: Json = False) -> None:
    """The configured sources."""
    with failures(as_json), open_workspace() as workspace:
        found = [_source_status(workspace, name) for name in workspace.configuration.sources]
        if as_json:
            print_json({"sources": found})
        else:
            _print_sources(found)


def list_versions(index: Index = None, as_json: Json = False) -> None:
    """The versions of an index."""
    with failures(as_json), open_workspace() as workspace:
        name = workspace.configuration.index_named(index).index
        live = versions.pointer(workspace.catalog, name)
        rows = versions.versions_of(workspace.catalog, name)
        verdicts = gates.verdicts_of(workspace.catalog, name)
        shown = [
            {
                "number": row["number"],
                "status": row["status"],
                "live": live is not None and live.version == row["number"],
                "pinned": live is not None and live.pinned == row["number"],
                "parent": row["parent"],
                "collection": row["collection"],
                "fingerprint": row["fingerprint"],
                "created_at": row["created_at"],
                "published_at": row["published_at"],
                "gate": _gate(verdicts.get(row["number"])),
                **{key: row["stats"].get(key) for key in ("documents", "chunks")},
            }
            for row in rows
        ]
        if as_json:
            print_json({"index": name, "version": live.version if live else None, "versions": shown})
            return
        print_table(
            f"Versions of {name}",
            ("version", "status", "documents", "chunks", "created", "published", "gate"),
            [
                (
                    f"{row['number']}{_marks(row)}",
                    row["status"],
                    row["documents"],
                    row["chunks"],
                    moment(row["created_at"]),
                    moment(row["published_at"]),
                    _gate_words(row["gate"]),
                )
                for row in shown
            ],
            f"index {name} has no version yet; run `rag-pipelines sync`",
        )


def quarantine(
    source: Annotated[str | None, typer.Argument(help="Only this source.")] = None, as_json: Json = False
) -> None:
    """Documents that could not be read."""
    with failures(as_json), open_workspace() as workspace:
        if source is not None:
            workspace.configuration.source_named(source)
        rows = reports.quarantined(workspace.catalog, source)
        items = [{key: row[key] for key in ("uri", "source", "reason", "stage", "since")} for row in rows]
        if as_json:
            print_json({"items": items})
            return
        print_table(
            "Quarantine",
            ("source", "uri", "stage", "reason", "since"),
            [(i["source"], i["uri"], i["stage"], i["reason"], moment(i["since"])) for i in items],
            "nothing is quarantined",
        )


def config(
    schemas: Annotated[
        Path | None, typer.Option("--schemas", help="Write JSON Schemas into this folder.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Check the configuration."""
    with failures(as_json), open_workspace() as workspace:
        configuration = workspace.configuration
        written: list[Path] = []
        if schemas is not None:
            from rag_pipelines.config.schema import write_schemas
            from rag_pipelines.sources import CONNECTORS

            written = write_schemas(schemas, {name: item.params for name, item in CONNECTORS.items()})
        if as_json:
            print_json(
                {
                    "sources": list(configuration.sources),
                    "indexes": list(configuration.indexes),
                    "schemas": [str(path) for path in written],
                }
            )
            return
        say(f"{len(configuration.sources)} sources and {len(configuration.indexes)} indexes are valid")
        for path in written:
            say(f"wrote {path}")


def _gate(verdict: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if verdict is None:
        return None
    override = verdict["override"]
    decision = {name: override[name] for name in ("by", "reason", "at")} if override else None
    return {
        "state": gates.gate_state(verdict),
        "reason": verdict["reason"],
        "at": verdict["at"],
        "override": decision,
    }


def _gate_words(gate: dict[str, Any] | None) -> str:
    if gate is None:
        return ""
    if gate["override"] is not None:
        return f"overridden by {gate['override']['by']}: {gate['override']['reason']} ({gate['reason']})"
    return f"refused: {gate['reason']}" if gate["state"] == "refused" else "passed"


def _marks(row: dict[str, Any]) -> str:
    marks = [name for name in ("live", "pinned") if row[name]]
    return f" ({', '.join(marks)})" if marks else ""


def _index_status(workspace: Workspace, name: str) -> dict[str, Any]:
    live = versions.pointer(workspace.catalog, name)
    rows = versions.versions_of(workspace.catalog, name)
    row = next((r for r in rows if live is not None and r["number"] == live.version), None)
    waiting = next((r for r in rows if r["status"] in ("staging", "staged")), None)
    return {
        "index": name,
        "version": live.version if live else None,
        "published_at": row["published_at"] if row else None,
        "documents": row["stats"].get("documents") if row else None,
        **count_duplicates(workspace.catalog, name),
        "chunks": row["stats"].get("chunks") if row else None,
        "candidate": waiting["number"] if waiting else None,
        "pinned": live.pinned if live else None,
    }


def _source_status(workspace: Workspace, name: str) -> dict[str, Any]:
    config = workspace.configuration.sources[name]
    row = document_rows.source_row(workspace.catalog, name)
    totals = reports.source_totals(workspace.catalog, name)
    return {
        "source": name,
        "connector": config.connector,
        "tenant": config.tenant,
        "classification": config.classification.value,
        "owner": config.owner,
        "schedule": config.schedule,
        "listed_at": row["listed_at"] if row else None,
        "synced_at": row["synced_at"] if row else None,
        "error": row["error"] if row else None,
        "latency": latency_summary(workspace.catalog, name),
        **totals,
    }


def _print_sources(found: list[dict[str, Any]]) -> None:
    print_table(
        "Sources",
        ("source", "connector", "tenant", "documents", "quarantined", "excluded", "last sync", "problem"),
        [
            (
                s["source"],
                s["connector"],
                s["tenant"],
                s["documents"],
                s["quarantined"],
                s["excluded"],
                moment(s["synced_at"]) or "never",
                s["error"],
            )
            for s in found
        ],
        "no source is configured; add a file to configs/sources/",
    )


def _print_latencies(found: list[dict[str, Any]]) -> None:
    rows = [
        (source["source"], figure.replace("_", " "), values["p50"], values["p95"], values["count"])
        for source in found
        for figure, values in source["latency"].items()
    ]
    if rows:
        print_table(
            "How long changes took, at most, in seconds",
            ("source", "figure", "p50", "p95", "changes"),
            rows,
            "",
        )

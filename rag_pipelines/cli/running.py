"""Commands that run something: sync, up, serve, doctor, bench."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rag_pipelines.catalog.store import open_catalog
from rag_pipelines.cli.inspect import Index, Json
from rag_pipelines.cli.output import (
    FAILED,
    HELD,
    failures,
    print_findings,
    print_json,
    print_table,
)
from rag_pipelines.cli.ports import port_is_free
from rag_pipelines.cli.syncing import print_report, run
from rag_pipelines.config.environment import read_environment
from rag_pipelines.config.load import load_configuration
from rag_pipelines.core.errors import ConfigError

BENCH = (
    "backend",
    "documents",
    "quarantined",
    "chunks",
    "seconds",
    "chunks_per_second",
    "ratio",
    "embedding_share",
    "peak_mb",
    "second_run_seconds",
    "model",
)
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(help="Sync, then start the Dagster UI and the query service; Ctrl-C stops everything.")(up)
    app.command(help="Bring the index up to date with its sources; recomputes only what changed.")(sync)
    app.command(help="Start the query service alone.")(serve)
    app.command(help="Check this machine, the configuration and every source, and say what to do.")(doctor)
    bench = typer.Typer(help="Measure, on your own documents.", no_args_is_help=True)
    bench.command("ingest", help="Files to searchable: chunks a second, share of embedding, peak memory.")(
        bench_ingest
    )
    app.add_typer(bench, name="bench")


def sync(
    sources: Annotated[list[str] | None, typer.Argument(metavar="[SOURCE]...")] = None,
    index: Index = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Sync sources through the Dagster job, in this process."""
    with failures(as_json):
        report = run(sources or [], index, quiet or as_json)
    if as_json:
        print_json(report)
    else:
        print_report(report)
    if report["errors"]:
        raise typer.Exit(FAILED)
    refused = any(state["refused"] is not None for state in (report, *report["others"].values()))
    if report["held"] or refused:
        raise typer.Exit(HELD)


def serve(
    port: Annotated[int | None, typer.Option("--port", help="Instead of the port in service.yaml.")] = None,
) -> None:
    """Run the query service in the foreground."""
    with failures(False):
        environment = read_environment()
        configuration = load_configuration(environment.configs)
        service = configuration.service
        listening = port or service.port
        if not port_is_free(service.host, listening):
            raise ConfigError(
                f"port {listening} is in use; stop what listens there, or choose one with --port"
            )
        open_catalog(environment.database_url).close()
        from rag_pipelines.service.app import create_app
        from rag_pipelines.service.logs import write_logs
        from rag_pipelines.service.server import server_of

        write_logs(service.telemetry.logs)
        app = create_app(environment, configuration, listening)
    server_of(app, service.limits, log_config=None, host=service.host, port=listening).run()


def up(
    quiet: Quiet = False,
    no_sync: Annotated[bool, typer.Option("--no-sync", help="Start without syncing first.")] = False,
) -> None:
    """Sync and start everything."""
    from rag_pipelines.cli.up import bring_up

    with failures(False):
        environment = read_environment()
        bring_up(environment, load_configuration(environment.configs), quiet=quiet, sync=not no_sync)


def doctor(as_json: Json = False) -> None:
    """Check everything."""
    from rag_pipelines.cli.doctor import examine

    findings = examine(read_environment())
    failed = any(item.level == "failed" for item in findings)
    if as_json:
        print_json({"ok": not failed, "checks": [item.as_json() for item in findings]})
    else:
        print_findings([(item.level, item.name, item.detail, item.advice) for item in findings])
    if failed:
        raise typer.Exit(FAILED)


def bench_ingest(
    path: Annotated[Path, typer.Argument(help="A folder of documents.")],
    backends: Annotated[
        list[str] | None,
        typer.Option("--backend", help="backend:precision, such as openvino:bf16; repeat to compare."),
    ] = None,
    baseline: Annotated[
        bool, typer.Option("--baseline", help="Also sentence-transformers' default: torch fp32.")
    ] = False,
    limit: Annotated[
        list[int] | None, typer.Option("--limit", help="Only the first N files; repeat.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure ingestion."""
    from rag_pipelines.cli.bench import bench

    with failures(as_json):
        rows = bench(path, backends or ["auto:auto"], baseline=baseline, limits=limit or [0])
    if as_json:
        print_json({"runs": rows})
        return
    print_table("Files to searchable", BENCH, [[row[name] for name in BENCH] for row in rows], "")

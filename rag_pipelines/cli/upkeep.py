"""Commands for what needs a person: approvals, approve, reindex, reconcile."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from rag_pipelines.catalog.approvals import pending_approvals
from rag_pipelines.cli.inspect import Index, Json
from rag_pipelines.cli.output import FAILED, failures, moment, print_json, print_table, say, tell
from rag_pipelines.cli.syncing import announce_waiting
from rag_pipelines.pipeline.workspace import open_workspace

SHOWN = 20


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(help="Deletions that wait for a person's decision, with their documents.")(approvals)
    app.command(help="Let held deletions go through, by number or source, and take them out of the index.")(
        approve
    )
    app.command(help="Do a source, or part of it, again: retry what was refused; --force redoes all of it.")(
        reindex
    )
    app.command(help="Compare the catalog with the vector engine, both ways, and repair the engine.")(
        reconcile
    )


def approvals(
    source: Annotated[str | None, typer.Argument(help="Only this source.")] = None, as_json: Json = False
) -> None:
    """Requests that wait."""
    with failures(as_json), open_workspace() as workspace:
        rows = pending_approvals(workspace.catalog, source)
    if as_json:
        print_json({"approvals": rows})
        return
    if not rows:
        say("nothing waits for approval")
    for row in rows:
        say(
            f"{row['id']}. {row['source']}: {row['count']} deletions since {moment(row['requested_at'])}",
            "bold",
        )
        say(f"   {row['reason']}")
        for uri in row["documents"][:SHOWN]:
            say(f"   {uri}")
        if row["count"] > SHOWN:
            say(f"   and {row['count'] - SHOWN} more (--json lists up to 1,000)")


def approve(
    requests: Annotated[
        list[str] | None, typer.Argument(metavar="[NUMBER|SOURCE]...", help="Which; by default the only one.")
    ] = None,
    by: Annotated[str | None, typer.Option("--by", help="Who approves; by default the system user.")] = None,
    no_index: Annotated[
        bool, typer.Option("--no-index", help="Leave it to the next sync to take them out of the index.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Delete what was held."""
    from rag_pipelines.pipeline.approve import approve as decide
    from rag_pipelines.pipeline.approve import choose_approvals
    from rag_pipelines.pipeline.sync import process

    done: list[dict[str, Any]] = []
    with (
        failures(as_json),
        open_workspace() as workspace,
        workspace.catalog.exclusive("sync", announce_waiting),
    ):
        for row in choose_approvals(pending_approvals(workspace.catalog), requests or []):
            gone = decide(workspace, row, by)
            done.append({"id": row["id"], "source": row["source"], "deleted": gone})
        if not no_index:
            process(workspace, sorted({row["source"] for row in done}), "")
    if as_json:
        print_json({"approved": done})
        return
    for row in done:
        where = "with the next sync" if no_index else "from the newest version"
        say(f"request {row['id']}: {row['deleted']} documents of {row['source']} are gone {where}")


def reindex(
    source: Annotated[str, typer.Argument(help="Name of the source.")],
    prefix: Annotated[str, typer.Option("--prefix", help="Only documents whose uri begins with this.")] = "",
    force: Annotated[
        bool, typer.Option("--force", help="Fetch, parse and cut again even where nothing changed.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Do part of a source again, as a Dagster run in this process."""
    with failures(as_json), open_workspace() as workspace:
        workspace.configuration.source_named(source)
        environment, configuration = workspace.environment, workspace.configuration
    from rag_pipelines.defs.run import run_reindex

    with failures(as_json):
        outcome = run_reindex(environment, configuration, source, prefix, force, announce_waiting)
        with open_workspace(environment) as workspace:
            from rag_pipelines.catalog.reports import run_counts

            counts = run_counts(workspace.catalog, outcome.run_id).get(source, {})
    if as_json:
        print_json(
            {"source": source, "prefix": prefix, "force": force, "counts": counts, "error": outcome.error}
        )
    elif outcome.error is None:
        say(
            f"{source}: {counts.get('selected', 0)} documents under {prefix!r}, {counts.get('fetched', 0)} fetched, "
            f"{counts.get('parsed', 0)} parsed, {counts.get('embedded', 0)} texts embedded"
        )
    else:
        tell(f"error: {outcome.error}", "red")
    if outcome.error is not None:
        raise typer.Exit(FAILED)


def reconcile(
    index: Index = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Report, repair nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Catalog against engine."""
    from rag_pipelines.pipeline.reconcile import reconcile as compare

    with failures(as_json), open_workspace() as workspace:
        name = workspace.configuration.index_named(index).index
        with workspace.catalog.exclusive("sync", announce_waiting):
            report = compare(workspace, name, repair=not dry_run).as_json()
    if as_json:
        print_json(report)
        return
    rows = [[part[column] for column in COLUMNS] for part in report["collections"]]
    headings = [column.replace("_", " ") for column in COLUMNS]
    print_table(f"Reconciliation of {name}", headings, rows, f"{name} has no collection yet")
    if report["right"]:
        say("catalog and engine agree")
    elif dry_run:
        say("they differ; without --dry-run the engine is repaired from the catalog")
    else:
        say(f"the engine was repaired; {report['embedded']} vectors had to be computed again")
    if report["lost_artifacts"]:
        say(f"{report['lost_artifacts']} documents lost a stored file; the next sync fetches them again")
    for line in report["unrepairable"][:SHOWN]:
        tell(f"cannot be repaired: {line}", "red")
    if report["unrepairable_count"]:
        raise typer.Exit(FAILED)


COLUMNS = (
    "collection",
    "points",
    "engine_points",
    "missing",
    "stray",
    "wrong_payload",
    "wrong_versions",
    "wrong_rights",
    "wrong_vectors",
    "embedded",
    "unrepairable",
)

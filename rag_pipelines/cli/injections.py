"""The command that lists passages which may hold instructions for a machine."""

from __future__ import annotations

from typing import Annotated

import typer

from rag_pipelines.catalog import versions
from rag_pipelines.catalog.injections import by_reason, suspects
from rag_pipelines.cli.inspect import Index, Json
from rag_pipelines.cli.output import failures, print_json, print_table, say
from rag_pipelines.core.errors import NotPublished
from rag_pipelines.governance.injection_policy import InjectionPolicy
from rag_pipelines.index.points import CLASSIFICATION, SOURCE
from rag_pipelines.pipeline.workspace import open_workspace

SHOWN = 50


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(help="Passages that may hold instructions for a machine, and what becomes of them.")(
        injections
    )


def injections(
    index: Index = None,
    least: Annotated[float, typer.Option("--least", min=0, max=1, help="Only from this score on.")] = 0.0,
    as_json: Json = False,
) -> None:
    """Suspect passages of the live version."""
    with failures(as_json), open_workspace() as workspace:
        name = workspace.configuration.index_named(index).index
        live = versions.pointer(workspace.catalog, name)
        if live is None:
            raise NotPublished(f"index {name!r} has no published version yet; run `rag-pipelines sync`")
        policy = InjectionPolicy(workspace.configuration.policy.injection, name)
        rows = suspects(workspace.catalog, live.collection, live.version)
        items = []
        for row in rows:
            own = policy.treatment({SOURCE: row["source"], CLASSIFICATION: row["classification"]})
            action = own.action if row["score"] >= own.threshold else "none"
            if row["score"] >= least:
                items.append({**row, "action": action})
    if as_json:
        counts = by_reason(items)
        print_json({"index": name, "version": live.version, "reasons": counts, "passages": items})
        return
    print_table(
        f"Suspect passages of {name} version {live.version}",
        ("score", "what is done", "source", "uri", "characters", "reasons"),
        [
            (
                f"{item['score']:.2f}",
                item["action"],
                item["source"],
                item["uri"],
                f"{item['start']}-{item['end']}",
                ", ".join(item["reasons"]),
            )
            for item in items[:SHOWN]
        ],
        "no passage is suspect",
    )
    if len(items) > SHOWN:
        say(f"and {len(items) - SHOWN} more; --json lists all of them")

"""The command that asks the release gates about what is staged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from rag_pipelines.cli.inspect import Index, Json
from rag_pipelines.cli.output import HELD, TerminalProgress, failures, print_json, print_table, say, tell
from rag_pipelines.cli.syncing import announce_waiting
from rag_pipelines.core.errors import ConfigError
from rag_pipelines.pipeline.workspace import Workspace, open_workspace

QUIET = typer.Option("--quiet", "-q", help="No progress bars.")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(help="Ask the release gates about the staged version, publishing nothing.")(gate)


def gate(index: Index = None, quiet: Annotated[bool, QUIET] = False, as_json: Json = False) -> None:
    """Judge the candidate."""
    from rag_pipelines.pipeline.gates import Verdict, judged_candidate
    from rag_pipelines.pipeline.publish import close_candidate

    def judged(workspace: Workspace, name: str) -> Verdict | None:
        with workspace.catalog.exclusive("sync", announce_waiting):
            close_candidate(workspace, name, "")
            if quiet or as_json:
                return judged_candidate(workspace, name, anew=True)
            with TerminalProgress() as progress:
                return judged_candidate(workspace, name, progress, anew=True)

    with failures(as_json), open_workspace() as workspace:
        config = workspace.configuration.index_named(index)
        if config.gates is None:
            raise ConfigError(
                f"index {config.index!r} has no gates; add `gates:` to its YAML, for example "
                "`gates: {suites: [{suite: sample}]}`"
            )
        verdict = judged(workspace, config.index)
    if as_json:
        print_json({"index": config.index, "version": None} if verdict is None else verdict.as_json())
    elif verdict is None:
        say(
            f"nothing is staged for {config.index}; `rag-pipelines versions` shows what its gates found before"
        )
    else:
        print_verdict(verdict.as_json())
    if verdict is not None and not verdict.passed:
        raise typer.Exit(HELD)


def print_verdict(verdict: Mapping[str, Any]) -> None:
    """Every check, and the sentence that counts."""
    print_table(
        f"Gates of {verdict['index']} version {verdict['version']}",
        ("check", "", "found"),
        [(check["name"], _mark(check), check["reason"] or _figures(check)) for check in verdict["checks"]],
        "no gate is configured",
    )
    if verdict["passed"]:
        say(f"version {verdict['version']} of {verdict['index']} passes ({verdict['seconds']:.1f} s)")
    else:
        tell(f"refused: {verdict['reason']}", "red")


def _mark(check: Mapping[str, Any]) -> str:
    if check["passed"]:
        return "passed"
    return "refused" if check["severity"] == "error" else "warning"


def _figures(check: Mapping[str, Any]) -> str:
    """The figures of a check that passed, a line's worth."""
    means = {
        name: f"{found['mean']:.3f}"
        for name, found in check["metadata"].get("measures", {}).items()
        if isinstance(found, Mapping)
    }
    plain = {
        name.replace("_", " "): str(value)
        for name, value in check["metadata"].items()
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    }
    return ", ".join(f"{name} {value}" for name, value in list((means or plain).items())[:6])

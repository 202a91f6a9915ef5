"""The command that says what a sync would do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from rag_pipelines.cli.inspect import Index, Json
from rag_pipelines.cli.output import FAILED, TerminalProgress, failures, print_json, print_table, say, tell
from rag_pipelines.cli.running import Quiet
from rag_pipelines.core.errors import ConfigError
from rag_pipelines.pipeline.workspace import open_workspace

if TYPE_CHECKING:
    from rag_pipelines.pipeline.plan import IndexPlan, Plan
    from rag_pipelines.pipeline.plan_source import SourcePlan

SHOWN = {
    "listed": "listed",
    "added": "added",
    "changed": "changed",
    "moved": "moved",
    "access_changed": "rights",
    "deleted": "deleted",
    "held": "held",
    "unchanged": "unchanged",
    "excluded": "excluded",
    "quarantined": "quarantined",
    "fetched": "fetch",
    "parsed": "parse",
    "chunked": "cut",
    "chunks_added": "chunks in",
    "chunks_removed": "chunks out",
    "embedded": "embed",
    "points_added": "points in",
    "points_removed": "points out",
}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("plan", help="What a sync would do, and how long it would take; changes nothing.")(plan_sync)


def plan_sync(
    sources: Annotated[list[str] | None, typer.Argument(metavar="[SOURCE]...")] = None,
    index: Index = None,
    sample: Annotated[
        int,
        typer.Option(
            "--sample", min=1, help="Read at most so many documents of a source; estimate the others."
        ),
    ] = 2000,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Plan the next sync."""
    from rag_pipelines.pipeline.plan import plan

    with failures(as_json), open_workspace() as workspace:
        configuration = workspace.configuration
        wanted = sources or list(configuration.sources)
        for name in wanted:
            configuration.source_named(name)
        if not wanted:
            raise ConfigError(
                f"no source is configured; add a file to {workspace.environment.configs / 'sources'}, "
                "for example with connector: filesystem"
            )
        index_name = configuration.index_named(index).index
        if quiet or as_json:
            made = plan(workspace, wanted, sample=sample, index=index_name)
        else:
            with TerminalProgress() as progress:
                made = plan(workspace, wanted, sample=sample, index=index_name, progress=progress)
    if as_json:
        print_json(made.as_json(index_name))
    else:
        _print_plan(made, index_name)
    if made.errors:
        raise typer.Exit(FAILED)


def _print_plan(made: Plan, index: str) -> None:
    planned = {name: source for name, source in made.sources.items() if source.error is None}
    if made.nothing:
        say(f"nothing to do: {made.total('unchanged')} documents are as {index} has them")
    elif planned:
        _print_work(made, planned, index)
    for name, error in made.errors.items():
        tell(f"error: {name}: {error}", "red")


def _print_work(made: Plan, planned: dict[str, SourcePlan], index: str) -> None:
    print_table(
        f"A sync would do this for {index}",
        ("source", *SHOWN.values()),
        [
            (name, *({**source.counts, **source.indexes.get(index, {})}.get(key, 0) for key in SHOWN))
            for name, source in planned.items()
        ],
        "",
    )
    for source in planned.values():
        for sentence in _about_source(source, index):
            say(sentence)
    if index in made.indexes:
        say(_about_index(made.indexes[index]))
    stages = ", ".join(f"{stage} {seconds:.1f}" for stage, seconds in made.seconds.items())
    seconds = f"about {sum(made.seconds.values()):.1f} s in all ({stages})"
    learnt = "past runs" if made.learnt else "defaults, since this catalog has no past run of every stage"
    say(f"{made.total('embedded', index)} embeddings to compute; {seconds}, estimated from {learnt}")


def _about_source(source: SourcePlan, index: str) -> list[str]:
    found = [f"{source.source}: changed settings: {change}" for change in source.settings]
    if not source.listed:
        found.append(f"{source.source}: not listed; the new version of {index} is complete only with it")
    if source.held_reason:
        found.append(
            f"{source.source}: {source.counts['held']} deletions would be held for approval: {source.held_reason}"
        )
    if index in source.compared_anew:
        found.append(
            f"{source.source}: its documents are compared for duplicates anew, which is not foreseen"
        )
    if source.at_most:
        found.append(
            f"{source.source}: copies of other documents, which are left out, are counted as indexed"
        )
    if source.of:
        found.append(
            f"{source.source}: {source.sampled} of {source.of} documents were read; its counts are estimates"
        )
    return found


def _about_index(index: IndexPlan) -> str:
    if index.version is None:
        return f"{index.index}: no new version"
    about = f"version {index.version} of {index.index}"
    if index.new_collection:
        about += f", in a new collection ({index.reason}),"
    elif index.reason:
        about += f", in another collection ({index.reason}),"
    return (
        f"{about} would be staged; not published: {index.paused}"
        if index.paused
        else f"{about} would go live"
    )

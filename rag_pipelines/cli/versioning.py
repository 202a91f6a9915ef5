"""Commands about index versions: publish, rollback, pin, unpin, vacuum, diff."""

from __future__ import annotations

from typing import Annotated

import typer

from rag_pipelines.cli.inspect import Index, Json
from rag_pipelines.cli.output import HELD, failures, print_json, print_table, say, tell
from rag_pipelines.cli.syncing import announce_waiting
from rag_pipelines.pipeline.rollback import Moved
from rag_pipelines.pipeline.workspace import open_workspace

Number = Annotated[int | None, typer.Argument(metavar="[VERSION]", help="A number that `versions` lists.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(help="Make the newest staged version the live one.")(publish)
    app.command(help="Go back to the version before the live one, or to VERSION, and stay there.")(rollback)
    app.command(help="Hold the live version, or VERSION: syncs go on staging and publish nothing.")(pin)
    app.command(help="Let a held index go; the next sync or `publish` moves it.")(unpin)
    app.command(help="Delete the points of versions that are not kept any more.")(vacuum)
    app.command(help="Documents and passages that differ between two versions.")(diff)


def publish(
    index: Index = None,
    override: Annotated[
        bool,
        typer.Option("--override", help="Publish although the gates refuse it; needs --by and --reason."),
    ] = False,
    by: Annotated[str, typer.Option("--by", help="With --override: who decides, by name.")] = "",
    reason: Annotated[str, typer.Option("--reason", help="With --override: why.")] = "",
    as_json: Json = False,
) -> None:
    """Publish what is staged."""
    from rag_pipelines.pipeline.publish import Override
    from rag_pipelines.pipeline.publish import publish as publish_version

    if override != bool(by.strip()) or override != bool(reason.strip()):
        raise typer.BadParameter(
            "--override, --by and --reason go together: who publishes what the gates refuse, and why",
            param_hint="--override",
        )
    decision = Override(by.strip(), reason.strip()) if override else None
    with failures(as_json), open_workspace() as workspace:
        name = workspace.configuration.index_named(index).index
        with workspace.catalog.exclusive("sync", announce_waiting):
            done = publish_version(workspace, name, override=decision)
    if as_json:
        print_json(
            {
                "index": name,
                "version": done.version,
                "published": done.moved,
                "pinned": done.pinned,
                "refused": done.refused,
                "optimize_seconds": round(done.optimize_seconds, 3),
                "copy_seconds": round(done.copy_seconds, 3),
                "switch_seconds": round(done.switch_seconds, 3),
            }
        )
    elif done.moved:
        say(
            f"version {done.version} of {name} is live (switched in {done.switch_seconds:.3f} s, after "
            f"{done.optimize_seconds:.1f} s to optimize and {done.copy_seconds:.1f} s for the readers' copy)"
        )
    elif done.refused is not None:
        tell(f"refused: {done.refused}", "red")
        stays = (
            f"version {done.version} of {name} stays live" if done.version else f"{name} stays unpublished"
        )
        say(f"{stays}; `rag-pipelines gate` shows every check")
    elif done.pinned is not None:
        say(f"{name} is pinned at version {done.pinned}; run `rag-pipelines unpin` first")
    elif done.version is None:
        say(f"nothing is staged for {name} and nothing is live; run `rag-pipelines sync`")
    else:
        say(f"nothing is staged; version {done.version} of {name} stays live")
    if done.pinned is not None or done.refused is not None:
        raise typer.Exit(HELD)


def rollback(
    version: Number = None,
    to: Annotated[int | None, typer.Option("--to", help="The same as VERSION.")] = None,
    index: Index = None,
    as_json: Json = False,
) -> None:
    """Move the live pointer back."""
    from rag_pipelines.pipeline.rollback import rollback as move_back

    with failures(as_json), open_workspace() as workspace:
        name = workspace.configuration.index_named(index).index
        moved = move_back(workspace, name, version if version is not None else to)
    _report(moved, as_json)


def pin(version: Number = None, index: Index = None, as_json: Json = False) -> None:
    """Hold a version."""
    from rag_pipelines.pipeline.rollback import pin as hold

    with failures(as_json), open_workspace() as workspace:
        name = workspace.configuration.index_named(index).index
        moved = hold(workspace, name, version)
    _report(moved, as_json)


def unpin(index: Index = None, as_json: Json = False) -> None:
    """Let the index go."""
    from rag_pipelines.pipeline.rollback import unpin as release

    with failures(as_json), open_workspace() as workspace:
        name = workspace.configuration.index_named(index).index
        before = release(workspace, name)
    if as_json:
        print_json({"index": name, "unpinned": before})
    elif before is None:
        say(f"{name} was not pinned")
    else:
        say(f"{name} is no longer pinned at {before}; the next sync, or `rag-pipelines publish`, moves it on")


def vacuum(
    index: Index = None,
    artifacts: Annotated[
        bool, typer.Option("--artifacts", help="Also delete stored files that nothing refers to any more.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Delete what no kept version needs."""
    from rag_pipelines.pipeline.vacuum import vacuum as clean

    with failures(as_json), open_workspace() as workspace:
        name = workspace.configuration.index_named(index).index
        with workspace.catalog.exclusive("sync", announce_waiting):
            report = clean(workspace, name, artifacts=artifacts).as_json()
    if as_json:
        print_json(report)
        return
    print_table(f"Vacuum of {name}", ("what", "count"), list(_counts(report)), "nothing to delete")


def diff(
    older: Annotated[int, typer.Argument(help="A version number.")],
    newer: Annotated[int | None, typer.Argument(help="Another; by default the live one.")] = None,
    index: Index = None,
    limit: Annotated[int, typer.Option("--limit", min=0, help="How many documents to list.")] = 50,
    as_json: Json = False,
) -> None:
    """What changed between two versions."""
    from rag_pipelines.catalog import versions
    from rag_pipelines.core.errors import NotPublished
    from rag_pipelines.pipeline.diff import diff as compare

    with failures(as_json), open_workspace() as workspace:
        name = workspace.configuration.index_named(index).index
        live = versions.pointer(workspace.catalog, name)
        if newer is None and live is None:
            raise NotPublished(f"index {name!r} has no published version yet; run `rag-pipelines sync`")
        second = newer if newer is not None else live.version if live else 0
        found = compare(workspace, name, older, second, limit=limit).as_json()
    if as_json:
        print_json(found)
        return
    say(f"{name}: version {older} -> {second}")
    for kind in ("documents", "chunks"):
        part = found[kind]
        say(f"{kind}: {part['added']} added, {part['removed']} removed, {part['changed']} changed")
    rows = [(change["change"], change["source"], change["uri"]) for change in found["listed"]]
    print_table("", ("change", "source", "document"), rows, "no document differs")


def _report(moved: Moved, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "index": moved.index,
                "version": moved.version,
                "before": moved.before,
                "pinned": moved.version,
                "hidden": moved.hidden,
                "settled": moved.settled,
                "switch_seconds": round(moved.switch_seconds, 3),
                "settle_seconds": round(moved.settle_seconds, 3),
            }
        )
        return
    here = moved.before == moved.version
    went = (
        f"stays at version {moved.version}"
        if here
        else f"went from version {moved.before} to {moved.version}"
    )
    say(
        f"{moved.index} {went} ({moved.switch_seconds:.3f} s) and is pinned there until `rag-pipelines unpin`"
    )
    if moved.hidden:
        done = (
            f"the engine let go of them in {moved.settle_seconds:.1f} s"
            if moved.settled
            else "the sync that is running takes them out of the engine"
        )
        say(f"{moved.hidden} documents that are gone since stay invisible; {done}")


def _counts(report: dict[str, object]) -> list[tuple[str, object]]:
    """The figures of a report; lists by their length, parts under their own name."""
    rows: list[tuple[str, object]] = []
    for name, value in report.items():
        if isinstance(value, bool) or name == "index":
            continue
        if isinstance(value, (list, tuple)):
            rows.append((name.replace("_", " "), len(value)))
        elif isinstance(value, (int, float)) and value:
            rows.append((name.replace("_", " "), value))
    return [row for row in rows if row[1]]

"""Commands about what people did and asked: verify, list and export the audit log, forget what is not kept."""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from rag_pipelines.catalog import audit
from rag_pipelines.catalog.audit_chain import COLUMNS, Verified, verify
from rag_pipelines.cli.inspect import Json
from rag_pipelines.cli.output import FAILED, failures, moment, print_json, print_table, say, tell
from rag_pipelines.core.errors import ConfigError
from rag_pipelines.pipeline.workspace import open_workspace

ANCHOR = re.compile(r"^(\d+):([0-9a-f]{64})$")
Since = Annotated[str | None, typer.Option("--since", help="ISO date or time, UTC without a zone.")]


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(
        help="Who did what: verify, list and export the audit log, forget what is no longer kept.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    group.command(
        "verify", help="Find the first line that was changed, removed or put in; exits with 1 then."
    )(verify_chain)
    group.command("head", help="Print the newest line as SEQ:HASH, to be kept elsewhere as an anchor.")(head)
    group.command("list", help="The newest lines.")(list_lines)
    group.command("export", help="Write lines, oldest first, with their hashes.")(export)
    group.command(
        "forget", help="Delete what the policy no longer keeps; or all searches and feedback of one person."
    )(forget)
    app.add_typer(group, name="audit")


def verify_chain(
    anchors: Annotated[
        list[str] | None,
        typer.Option(
            "--anchor", metavar="SEQ:HASH|FILE", help="What `audit head` printed earlier. Repeatable."
        ),
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", help="Verify exported JSON lines instead of the catalog.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Walk along the chain."""
    with failures(as_json), open_workspace() as workspace:
        wanted = _anchors(anchors or [])
        if file is not None:
            found = verify(_exported(file), workspace.audit.keys, anchors=wanted, whole=False)
        else:
            found = audit.verify_log(workspace.catalog, workspace.audit, wanted)
    if as_json:
        print_json({"right": found.right, **asdict(found)})
    else:
        _print_verified(found, bool(wanted))
    if not found.right:
        raise typer.Exit(FAILED)


def head(as_json: Json = False) -> None:
    """The anchor of this moment."""
    with failures(as_json), open_workspace() as workspace:
        found = audit.head(workspace.catalog)
    if as_json:
        print_json({"seq": found[0] if found else 0, "hash": found[1] if found else None})
    elif found is not None:
        say(f"{found[0]}:{found[1]}")
    else:
        tell("the audit log has no line yet")


def list_lines(
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many.")] = 20,
    action: Annotated[str | None, typer.Option("--action", help="Only this action.")] = None,
    actor: Annotated[str | None, typer.Option("--actor", help="Only this actor, such as user:ana.")] = None,
    as_json: Json = False,
) -> None:
    """Newest first."""
    with failures(as_json), open_workspace() as workspace:
        rows = audit.newest_lines(workspace.catalog, limit, action, actor)
    if as_json:
        print_json({"lines": [_line(row) for row in rows]})
        return
    columns = ("seq", "at", "action", "actor", "tenant", "target", "details")
    cells = [[row[name] for name in columns] for row in rows]
    for cell in cells:
        cell[1] = moment(cell[1])
    print_table("Audit log", columns, cells, "the audit log has no such line")


def export(
    file: Annotated[Path | None, typer.Argument(help="A file; by default standard output.")] = None,
    since: Since = None,
    until: Annotated[str | None, typer.Option("--until", help="As --since; that moment excluded.")] = None,
    as_lines: Annotated[bool, typer.Option("--jsonl/--csv", help="JSON lines, or a table.")] = True,
) -> None:
    """Stream lines out."""
    with failures(False), open_workspace() as workspace:
        rows = audit.lines_since(workspace.catalog, _moment(since, "--since"), _moment(until, "--until"))
        if file is None:
            _write(sys.stdout, rows, as_lines)
            return
        with file.open("w", encoding="utf-8", newline="") as target:
            count = _write(target, rows, as_lines)
    tell(f"{count} lines in {file}")


def forget(
    tenant: Annotated[str | None, typer.Option("--tenant", help="With --subject: whose data goes.")] = None,
    subject: Annotated[str | None, typer.Option("--subject", help="With --tenant: whose data goes.")] = None,
    as_json: Json = False,
) -> None:
    """What the nightly vacuum does, or what somebody asked for."""
    from rag_pipelines.pipeline.forgetting import erase_person, forget_old

    if (tenant is None) != (subject is None):
        raise typer.BadParameter("--tenant and --subject go together", param_hint="--subject")
    with failures(as_json), open_workspace() as workspace:
        if tenant is not None and subject is not None:
            found = erase_person(workspace, tenant, subject)
        else:
            found = forget_old(workspace)
    if as_json:
        print_json(asdict(found))
        return
    counts = [(name.replace("_", " "), value) for name, value in asdict(found).items() if value]
    print_table("Forgotten", ("what", "count"), counts, "there was nothing to forget")


def _print_verified(found: Verified, anchored: bool) -> None:
    span = f"lines {found.first} to {found.last}" if found.lines else "no line"
    if found.right:
        say(f"{span}: unbroken" + (f", newest {found.hash}" if found.lines else ""))
        if not anchored:
            say("a log that was cut off at its end looks whole: give an earlier `audit head` with --anchor")
    else:
        tell(f"line {found.bad} {found.problem} ({span} follow from one another)", "red")
    if found.unchecked:
        tell(f"anchors of lines that were trimmed since: {', '.join(map(str, found.unchecked))}")


def _anchors(given: Sequence[str]) -> dict[int, str]:
    found: dict[int, str] = {}
    for one in given:
        lines = [one] if ANCHOR.match(one) else _read(one)
        for line in lines:
            match = ANCHOR.match(line.strip())
            if match is None:
                raise ConfigError(f"--anchor: {one!r} is neither SEQ:HASH nor a file of such lines")
            found[int(match[1])] = match[2]
    return found


def _read(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8").split() or [""]
    except (OSError, UnicodeDecodeError):
        return [""]


def _exported(path: Path) -> Iterator[Sequence[Any]]:
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            try:
                row = json.loads(line)
                yield [row[name] for name in COLUMNS]
            except (ValueError, KeyError, TypeError) as error:
                raise ConfigError(f"{path}:{number}: is no exported line of the audit log") from error


def _write(target: TextIO, rows: Iterable[Mapping[str, Any]], as_lines: bool) -> int:
    count = 0
    table = None if as_lines else csv.DictWriter(target, COLUMNS)
    if table is not None:
        table.writeheader()
    for row in rows:
        count += 1
        if table is not None:
            table.writerow(row)
        else:
            target.write(json.dumps(row) + "\n")
    return count


def _line(row: Mapping[str, Any]) -> dict[str, Any]:
    """With the details as an object, unless somebody made something else of them."""
    try:
        return {**row, "details": json.loads(row["details"])}
    except ValueError:
        return dict(row)


def _moment(given: str | None, option: str) -> str | None:
    """As the catalog writes times, so that they compare."""
    if given is None:
        return None
    try:
        found = datetime.fromisoformat(given)
    except ValueError as error:
        raise ConfigError(f"{option}: {given!r} is no ISO date or time, such as 2026-11-01") from error
    found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    return found.isoformat(timespec="milliseconds")

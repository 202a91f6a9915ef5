"""Commands about who may ask: `keys` of the query service, and `groups` that people belong to."""

from __future__ import annotations

import contextlib
import getpass
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from rag_pipelines.catalog.store import Catalog, Row, open_catalog
from rag_pipelines.cli.auditing import audit_of
from rag_pipelines.cli.inspect import Json
from rag_pipelines.cli.output import failures, moment, print_json, print_table, say, tell
from rag_pipelines.config.environment import read_environment
from rag_pipelines.config.load import Configuration, load_configuration
from rag_pipelines.core.types import Classification, Principal
from rag_pipelines.governance.keys import NewKey

Days = Annotated[int, typer.Option("--days", min=1, max=3650, help="How long it is valid.")]
Forever = Annotated[bool, typer.Option("--never-expires", help="Instead of --days.")]
By = Annotated[str, typer.Option("--by", help="Who does this; by default the user of this machine.")]
KeyId = Annotated[str, typer.Argument(metavar="ID", help="As `keys list` shows it.")]
COLUMNS = (
    "id",
    "state",
    "subject",
    "tenant",
    "groups",
    "clearance",
    "scopes",
    "expires",
    "last used",
    "description",
)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    keys = typer.Typer(help="API keys of the query service.", no_args_is_help=True)
    keys.command("create", help="Make a key and show it, this once.")(create)
    keys.command("list", help="Every key that is not revoked, without its secret.")(list_keys)
    keys.command("rotate", help="A new key with the same rights; the old one goes on for a while.")(rotate)
    keys.command("revoke", help="Refuse a key from now on.")(revoke)
    app.add_typer(keys, name="keys")
    groups = typer.Typer(help="Who belongs to which group.", no_args_is_help=True)
    groups.command(
        "import", help="Replace the memberships of the tenants that a YAML, JSON or CSV file names."
    )(import_file)
    groups.command("list", help="Memberships of the catalog; of one person, groups within groups too.")(
        list_groups
    )
    app.add_typer(groups, name="groups")


def create(
    subject: Annotated[str, typer.Option("--subject", help="Whom it acts as; grants user:NAME.")],
    tenant: Annotated[str, typer.Option("--tenant", help="Sees documents of this tenant only.")],
    scope: Annotated[
        list[str], typer.Option("--scope", help="What it may do, such as search; repeat for several.")
    ],
    group: Annotated[
        list[str] | None, typer.Option("--group", help="Grants group:NAME; repeat for several.")
    ] = None,
    clearance: Annotated[
        Classification, typer.Option("--clearance", help="The highest classification it may read.")
    ] = Classification.INTERNAL,
    days: Days = 90,
    never_expires: Forever = False,
    description: Annotated[str, typer.Option("--description", help="What it is for.")] = "",
    by: By = "",
    as_json: Json = False,
) -> None:
    """Make a key."""
    from rag_pipelines.governance.keys import create_key

    with failures(as_json), _opened() as (catalog, configuration):
        made = create_key(
            catalog,
            Principal(subject, tenant, tuple(dict.fromkeys(group or ())), clearance),
            set(scope),
            expires_at=_end(days, never_expires),
            by=_who(by),
            audit=audit_of(catalog, configuration),
            description=description,
        )
        tenants = {source.tenant for source in configuration.sources.values()}
        tenants |= {index.tenant for index in configuration.indexes.values() if index.tenant is not None}
        if tenant not in tenants:
            known = ", ".join(sorted(tenants)) or "none"
            tell(f"no source is configured with the tenant {tenant!r} (there are: {known})", "yellow")
    _show(made, as_json)


def list_keys(
    revoked: Annotated[bool, typer.Option("--all", help="Revoked ones too.")] = False, as_json: Json = False
) -> None:
    """Show keys."""
    from rag_pipelines.catalog.api_keys import keys_of
    from rag_pipelines.governance.keys import shown

    with failures(as_json), _opened() as (catalog, _):
        rows = [shown(row) for row in keys_of(catalog, revoked=revoked)]
    if as_json:
        print_json({"keys": rows})
        return
    print_table("API keys", COLUMNS, [_cells(row) for row in rows], "there is no key")


def rotate(
    key_id: KeyId,
    overlap_hours: Annotated[
        float, typer.Option("--overlap-hours", min=0, max=8760, help="How long the old key goes on.")
    ] = 24,
    days: Days = 90,
    never_expires: Forever = False,
    by: By = "",
    as_json: Json = False,
) -> None:
    """Replace a key."""
    from rag_pipelines.governance.keys import id_of, rotate_key

    with failures(as_json), _opened() as (catalog, configuration):
        made = rotate_key(
            catalog,
            id_of(key_id),
            timedelta(hours=overlap_hours),
            expires_at=_end(days, never_expires),
            by=_who(by),
            audit=audit_of(catalog, configuration),
        )
    _show(made, as_json)
    if not as_json:
        tell(f"key {made.row['rotated_from']} goes on for at most {overlap_hours:g} hours")


def revoke(key_id: KeyId, by: By = "", as_json: Json = False) -> None:
    """End a key."""
    from rag_pipelines.governance.keys import id_of, revoke_key, shown

    with failures(as_json), _opened() as (catalog, configuration):
        row = revoke_key(catalog, id_of(key_id), by=_who(by), audit=audit_of(catalog, configuration))
        seconds = configuration.service.auth.recheck_seconds
    if as_json:
        print_json({"key": shown(row)})
        return
    say(
        f"key {row['id']} is revoked since {row['revoked_at']}; a running service refuses it within {seconds:g} s"
    )


def import_file(
    file: Annotated[Path, typer.Argument(help="tenant -> group -> members, or CSV: tenant,group,member.")],
    by: By = "",
    as_json: Json = False,
) -> None:
    """Read memberships."""
    from rag_pipelines.governance.group_files import read_groups
    from rag_pipelines.governance.groups import import_groups

    with failures(as_json), _opened() as (catalog, configuration):
        tenants, rows = read_groups(file)
        added, removed = import_groups(
            catalog, tenants, rows, by=_who(by), audit=audit_of(catalog, configuration)
        )
        if "table" not in configuration.service.auth.groups_from:
            tell(
                "the query service does not read them: add table to auth.groups_from in service.yaml",
                "yellow",
            )
    report = {
        "tenants": sorted(tenants),
        "memberships": len(rows),
        "added": added,
        "removed": removed,
    }
    if as_json:
        print_json(report)
        return
    say(f"{len(rows)} memberships of {', '.join(sorted(tenants))}: {added} added, {removed} removed")


def list_groups(
    tenant: Annotated[str | None, typer.Option("--tenant", help="Only of this tenant.")] = None,
    subject: Annotated[
        str | None, typer.Option("--subject", help="The groups of this person; needs --tenant.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show memberships."""
    from rag_pipelines.catalog.memberships import memberships_of
    from rag_pipelines.governance.groups import TableDirectory, groups_of

    if subject is not None and tenant is None:
        raise typer.BadParameter("needs --tenant", param_hint="--subject")
    with failures(as_json), _opened() as (catalog, _):
        if subject is not None and tenant is not None:
            names = groups_of([TableDirectory(catalog)], tenant, subject)
            found: list[Row] = [
                {"tenant": tenant, "group": name, "member": f"user:{subject}"} for name in names
            ]
        else:
            found = [
                {"tenant": row["tenant"], "group": row["group_name"], "member": row["member"]}
                for row in memberships_of(catalog, tenant)
            ]
    if as_json:
        print_json({"memberships": found})
        return
    columns = ("tenant", "group", "member")
    print_table(
        "Groups", columns, [[row[name] for name in columns] for row in found], "there is no membership"
    )


@contextlib.contextmanager
def _opened() -> Iterator[tuple[Catalog, Configuration]]:
    environment = read_environment()
    configuration = load_configuration(environment.configs)
    catalog = open_catalog(environment.database_url)
    try:
        yield catalog, configuration
    finally:
        catalog.close()


def _who(by: str) -> str:
    """Containers often run as a user without a name."""
    try:
        return by.strip() or getpass.getuser()
    except (OSError, KeyError):
        return "operator"


def _end(days: int, never_expires: bool) -> datetime | None:
    return None if never_expires else datetime.now(UTC) + timedelta(days=days)


def _show(made: NewKey, as_json: bool) -> None:
    """The key alone on standard output, so that it can be piped to where it belongs."""
    from rag_pipelines.governance.keys import shown

    if as_json:
        print_json({"secret": made.text, "key": shown(made.row)})
        return
    until = f"until {moment(made.row['expires_at'])} UTC" if made.row["expires_at"] else "until it is revoked"
    tell(f"key {made.id} of {made.row['subject']} ({made.row['tenant']}) is valid {until}; shown this once:")
    say(made.text)


def _cells(row: dict[str, Any]) -> list[Any]:
    return [
        row["id"],
        row["state"],
        row["subject"],
        row["tenant"],
        ", ".join(row["groups"]),
        row["clearance"],
        ", ".join(row["scopes"]),
        moment(row["expires_at"]) or "never",
        moment(row["last_used_at"]),
        row["description"],
    ]

"""Files that say who belongs to which group: YAML or JSON (tenant, group, members), or CSV with these columns.

A member is `user:NAME`, or `group:NAME` for everybody of another group.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from rag_pipelines.catalog.memberships import Membership
from rag_pipelines.config.files import SUFFIXES, ConfigFile, read_file
from rag_pipelines.config.problems import problem_at
from rag_pipelines.core.errors import ConfigError
from rag_pipelines.governance.identity import LONGEST_NAME, is_name

COLUMNS = ("tenant", "group", "member")
EXAMPLE = "for example `acme: {staff: [user:ana, group:board]}`"


def read_groups(path: Path) -> tuple[frozenset[str], frozenset[Membership]]:
    """The tenants of the file, one without members too, and its memberships. Raises ConfigError."""
    if path.suffix.lower() == ".csv":
        rows = frozenset(_csv(path))
        return frozenset(tenant for tenant, _, _ in rows), rows
    if path.suffix.lower() not in SUFFIXES:
        raise ConfigError(f"{path}: is no .yaml, .yml, .json or .csv file")
    file = read_file(path)
    return frozenset(file.data), frozenset(_nested(file))


def _nested(file: ConfigFile) -> Iterator[Membership]:
    for tenant, groups in file.data.items():
        if not isinstance(groups, dict):
            raise problem_at(file, (tenant,), f"must map groups to their members, {EXAMPLE}")
        for group, members in groups.items():
            if not isinstance(members, list):
                raise problem_at(file, (tenant, group), f"must be a list of members, {EXAMPLE}")
            for position, member in enumerate(members):
                mistake = _mistake(tenant, group, member)
                if mistake is not None:
                    raise problem_at(file, (tenant, group, position), mistake)
                yield tenant, group, member


def _csv(path: Path) -> Iterator[Membership]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file, strict=True)
            header = tuple(cell.strip().lower() for cell in next(rows, []))
            if header != COLUMNS:
                raise ConfigError(f"{path}:1: the first line must be {','.join(COLUMNS)}")
            yield from _rows(path, rows)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path}: is not CSV in UTF-8 ({error})") from error


def _rows(path: Path, rows: Iterable[list[str]]) -> Iterator[Membership]:
    for number, row in enumerate(rows, 2):
        cells = [cell.strip() for cell in row]
        if not any(cells):
            continue
        if len(cells) != len(COLUMNS):
            raise ConfigError(f"{path}:{number}: must have the columns {', '.join(COLUMNS)}")
        tenant, group, member = cells
        mistake = _mistake(tenant, group, member)
        if mistake is not None:
            raise ConfigError(f"{path}:{number}: {mistake}")
        yield tenant, group, member


def _mistake(tenant: Any, group: Any, member: Any) -> str | None:
    for what, name in (("tenant", tenant), ("group", group)):
        if not is_name(name) or (what == "tenant" and name == "*"):
            return f"{what} {name!r} is no name of up to {LONGEST_NAME} printable characters"
    kind, _, name = member.partition(":") if isinstance(member, str) else ("", "", "")
    if kind not in ("user", "group") or not is_name(name):
        return f"{member!r} is no member; write user:NAME or group:NAME"
    return None

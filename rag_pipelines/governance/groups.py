"""Which groups somebody belongs to, groups within groups included; from a table, a file, or both."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Protocol

from rag_pipelines.catalog.memberships import Membership, groups_with, replace_memberships
from rag_pipelines.catalog.store import Catalog
from rag_pipelines.core.errors import ConfigError
from rag_pipelines.core.events import Event
from rag_pipelines.governance.group_files import read_groups
from rag_pipelines.governance.identity import NotEntitled, Unjudged

logger = logging.getLogger(__name__)
MOST_GROUPS = 1000
"""Each is a value in the filter of every search."""
FILE_RETRY_SECONDS = 5.0


class Directory(Protocol):
    """Knows the groups that name a member. Safe to call from several threads."""

    def groups_with(self, tenant: str, members: Sequence[str]) -> set[str]:
        """Groups of the tenant that name one of `user:NAME` or `group:NAME`."""


class TableDirectory:
    """The memberships of the catalog."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def groups_with(self, tenant: str, members: Sequence[str]) -> set[str]:
        """Raises CatalogError."""
        return groups_with(self._catalog, tenant, members)


class FileDirectory:
    """A file, read again whenever it is another one: replace it by renaming, so that nobody sees half of it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._reading = threading.Lock()
        self._seen: tuple[int, ...] | None = None
        self._groups: dict[tuple[str, str], set[str]] = {}
        self._fault: str | None = None

    def groups_with(self, tenant: str, members: Sequence[str]) -> set[str]:
        """Raises Unjudged where the file cannot be read: nobody keeps rights that it may have taken."""
        with self._reading:
            self._refresh()
            if self._fault is not None:
                raise Unjudged("the groups of the caller cannot be read now", FILE_RETRY_SECONDS)
            groups = self._groups
        return {group for member in members for group in groups.get((tenant, member), ())}

    def check(self) -> str:
        """How much the file says. Raises ConfigError with what is wrong with it."""
        tenants, rows = read_groups(self._path)
        return f"{len(rows)} memberships of {len(tenants)} tenants in {self._path}"

    def _refresh(self) -> None:
        try:
            found = os.stat(self._path)
            seen: tuple[int, ...] = (found.st_mtime_ns, found.st_size, found.st_ino)
        except OSError:
            seen = ()
        if seen == self._seen:
            return
        try:
            _, rows = read_groups(self._path)
            self._fault = None
        except ConfigError as error:
            rows = frozenset()
            self._fault = str(error)
            logger.error("groups_file=%s error=%s", self._path, error)
        self._groups = {}
        for tenant, group, member in rows:
            self._groups.setdefault((tenant, member), set()).add(group)
        self._seen = seen


def groups_of(
    directories: Sequence[Directory], tenant: str, subject: str, own: Iterable[str] = ()
) -> tuple[str, ...]:
    """Every group of somebody, sorted: `own`, those that name them, and those that name one of these, and so on.

    Groups that contain one another are no trouble. Raises NotEntitled where they are too many for a filter.
    """
    found = set(own)
    asked = [f"user:{subject}", *(f"group:{group}" for group in sorted(found))]
    while asked and len(found) <= MOST_GROUPS:
        named: set[str] = set()
        for directory in directories:
            named |= directory.groups_with(tenant, asked)
        asked = [f"group:{group}" for group in sorted(named - found)]
        found |= named
    if len(found) > MOST_GROUPS:
        raise NotEntitled(f"the caller is in more than {MOST_GROUPS} groups")
    return tuple(sorted(found))


def import_groups(
    catalog: Catalog,
    tenants: frozenset[str],
    rows: frozenset[Membership],
    *,
    by: str,
    audit: Callable[[Event], None],
) -> tuple[int, int]:
    """Make these the memberships of the tenants, in one transaction; returns how many came and how many went."""
    with catalog.begin() as tx:
        added, removed = replace_memberships(tx, tenants, rows)
    if added or removed:
        for tenant in sorted(tenants):
            details = {"by": by, "added": added, "removed": removed}
            audit(Event("groups.import", "operator", f"groups:{tenant}", tenant, details=details))
    return added, removed

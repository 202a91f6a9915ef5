"""Rows of group membership: a member is `user:NAME` or, for a group within a group, `group:NAME`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import sqlalchemy as sa

from rag_pipelines.catalog.api_keys import reachable
from rag_pipelines.catalog.auth_tables import memberships
from rag_pipelines.catalog.store import Catalog, Row, Transaction, batches, reading, rows_of, upsert

Membership = tuple[str, str, str]
"""Tenant, group, member."""


def groups_with(catalog: Catalog, tenant: str, members: Sequence[str]) -> set[str]:
    """The groups that name one of the members. Raises CatalogError where the database cannot be asked."""
    found: set[str] = set()
    with reachable(catalog), reading(catalog.engine) as tx:
        for batch in batches(members):
            named = sa.select(memberships.c.group_name).where(
                memberships.c.tenant == tenant, memberships.c.member.in_(batch)
            )
            found |= set(tx.execute(named).scalars())
    return found


def replace_memberships(
    tx: Transaction, tenants: Iterable[str], wanted: Iterable[Membership]
) -> tuple[int, int]:
    """Make these the memberships of the tenants, and no other; returns how many came and how many went."""
    rows = set(wanted)
    columns = (memberships.c.tenant, memberships.c.group_name, memberships.c.member)
    chosen = sa.select(*columns).where(memberships.c.tenant.in_(sorted(tenants)))
    known: set[Membership] = {(row[0], row[1], row[2]) for row in tx.execute(chosen)}
    for tenant, group, member in sorted(known - rows):
        tx.execute(
            sa.delete(memberships).where(
                memberships.c.tenant == tenant,
                memberships.c.member == member,
                memberships.c.group_name == group,
            )
        )
    fresh = [
        {"tenant": tenant, "group_name": group, "member": member}
        for tenant, group, member in sorted(rows - known)
    ]
    upsert(tx, memberships, fresh, update=())  # whoever imports at the same time may have added one
    return len(fresh), len(known - rows)


def memberships_of(catalog: Catalog, tenant: str | None = None) -> list[Row]:
    """Every row of `memberships`, by tenant, group and member."""
    columns = memberships.c
    statement = sa.select(memberships).order_by(columns.tenant, columns.group_name, columns.member)
    if tenant is not None:
        statement = statement.where(columns.tenant == tenant)
    with reading(catalog.engine) as tx:
        return rows_of(tx.execute(statement))

"""Rows of API keys. No row holds a secret, only its hash."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import sqlalchemy as sa

from rag_pipelines.catalog.auth_tables import api_keys
from rag_pipelines.catalog.store import Catalog, Row, Transaction, now, reading, rows_of
from rag_pipelines.core.errors import CatalogError


def insert_key(tx: Transaction, row: Mapping[str, Any]) -> None:
    """A new key."""
    tx.execute(sa.insert(api_keys).values(**row, created_at=now()))


def key_in(tx: Transaction, key_id: str) -> Row | None:
    """The key of that id."""
    found = rows_of(tx.execute(sa.select(api_keys).where(api_keys.c.id == key_id)))
    return found[0] if found else None


def key_of(catalog: Catalog, key_id: str) -> Row | None:
    """As `key_in`, in a transaction of its own. Raises CatalogError where the database cannot be asked."""
    with reachable(catalog), reading(catalog.engine) as tx:
        return key_in(tx, key_id)


def keys_of(catalog: Catalog, *, revoked: bool = False) -> list[Row]:
    """Every key, oldest first; revoked ones only where they are asked for."""
    statement = sa.select(api_keys).order_by(api_keys.c.created_at, api_keys.c.id)
    if not revoked:
        statement = statement.where(api_keys.c.revoked_at.is_(None))
    with reading(catalog.engine) as tx:
        return rows_of(tx.execute(statement))


def expire_key(tx: Transaction, key_id: str, expires_at: str) -> None:
    """The key ends then, unless it ends sooner."""
    sooner = api_keys.c.expires_at.is_(None) | (api_keys.c.expires_at > expires_at)
    tx.execute(sa.update(api_keys).where(api_keys.c.id == key_id, sooner).values(expires_at=expires_at))


def revoke_key(tx: Transaction, key_id: str, by: str) -> None:
    """The key is refused from now on; a second call changes nothing."""
    unrevoked = (api_keys.c.id == key_id) & api_keys.c.revoked_at.is_(None)
    tx.execute(sa.update(api_keys).where(unrevoked).values(revoked_at=now(), revoked_by=by))


def save_uses(catalog: Catalog, uses: Mapping[str, str]) -> None:
    """When keys (id -> time) were last used; an older time than the stored one is dropped. Raises CatalogError."""
    with reachable(catalog), catalog.begin() as tx:
        for key_id, at in uses.items():
            later = api_keys.c.last_used_at.is_(None) | (api_keys.c.last_used_at < at)
            tx.execute(sa.update(api_keys).where(api_keys.c.id == key_id, later).values(last_used_at=at))


@contextlib.contextmanager
def reachable(catalog: Catalog) -> Iterator[None]:
    """Raise CatalogError instead of what the driver raises, so that a caller can tell a refusal from a fault."""
    try:
        yield
    except sa.exc.SQLAlchemyError as error:
        raise CatalogError(
            f"the catalog at {catalog.url} cannot be asked ({type(error).__name__})"
        ) from error

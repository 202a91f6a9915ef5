"""API keys: made, rotated, revoked and recognised. Every change is told to `audit`, after it is committed."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import string
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from rag_pipelines.catalog import api_keys
from rag_pipelines.catalog.store import Catalog, Row
from rag_pipelines.core.errors import AccessDenied, NotFound
from rag_pipelines.core.events import Event
from rag_pipelines.core.types import Classification, Principal
from rag_pipelines.governance.identity import Identity, InvalidCredential, is_name
from rag_pipelines.governance.scopes import SCOPES

Audit = Callable[[Event], None]
PREFIX = "rag_"
ID_LENGTH, SECRET_LENGTH = 12, 43
"""43 characters of 62 are 256 bits: nobody guesses what hashes to a stored value, so a slow hash adds nothing."""
_ALPHABET = string.ascii_letters + string.digits
_KEY = re.compile(rf"rag_([A-Za-z0-9]{{{ID_LENGTH}}})_([A-Za-z0-9]{{{SECRET_LENGTH}}})")
_NOBODY = "0" * 64


@dataclass(frozen=True, slots=True)
class NewKey:
    """`text` is shown once and kept nowhere."""

    id: str
    text: str
    row: Row


def create_key(
    catalog: Catalog,
    principal: Principal,
    scopes: Collection[str],
    *,
    expires_at: datetime | None,
    by: str,
    audit: Audit,
    description: str = "",
) -> NewKey:
    """A key that acts as the principal. Raises AccessDenied for names and scopes that there are not."""
    _check(principal, scopes)
    values = {
        "subject": principal.subject,
        "tenant": principal.tenant,
        "groups": list(principal.groups),
        "clearance": principal.clearance.value,
        "scopes": sorted(scopes),
        "description": description,
    }
    key_id, text = _new()
    with catalog.begin() as tx:
        api_keys.insert_key(tx, _row(key_id, text, values, expires_at, by))
        row = _known(api_keys.key_in(tx, key_id), key_id)
    audit(_event("key.create", row, by))
    return NewKey(key_id, text, row)


def rotate_key(
    catalog: Catalog,
    key_id: str,
    overlap: timedelta,
    *,
    expires_at: datetime | None,
    by: str,
    audit: Audit,
) -> NewKey:
    """A new key with the rights of another, which goes on for `overlap`. Raises NotFound and AccessDenied."""
    new_id, text = _new()
    with catalog.begin() as tx:
        old = _known(api_keys.key_in(tx, key_id), key_id)
        if old["revoked_at"] is not None:
            raise AccessDenied(f"key {key_id} was revoked at {old['revoked_at']}; create a new one instead")
        names = ("subject", "tenant", "groups", "clearance", "scopes", "description")
        values = {name: old[name] for name in names} | {"rotated_from": key_id}
        api_keys.insert_key(tx, _row(new_id, text, values, expires_at, by))
        api_keys.expire_key(tx, key_id, _stored(datetime.now(UTC) + overlap))
        row = _known(api_keys.key_in(tx, new_id), new_id)
    audit(_event("key.rotate", row, by))
    return NewKey(new_id, text, row)


def revoke_key(catalog: Catalog, key_id: str, *, by: str, audit: Audit) -> Row:
    """Refuse the key from now on. Raises NotFound."""
    with catalog.begin() as tx:
        before = _known(api_keys.key_in(tx, key_id), key_id)
        api_keys.revoke_key(tx, key_id, by)
        row = _known(api_keys.key_in(tx, key_id), key_id)
    if before["revoked_at"] is None:
        audit(_event("key.revoke", row, by))
    return row


def recognise(catalog: Catalog, text: str) -> Identity:
    """Whose key this is. Raises InvalidCredential in the same words for every cause, and CatalogError.

    A key that there is not costs the same comparison as a wrong secret.
    """
    match = _KEY.fullmatch(text)
    row = api_keys.key_of(catalog, match[1]) if match else None
    known = str(row["secret_hash"]) if row is not None else _NOBODY
    same = hmac.compare_digest(hash_of(text), known)
    if row is None or not same:
        raise InvalidCredential(reason="no such key" if row is None else f"wrong secret for key {row['id']}")
    if row["revoked_at"] is not None:
        raise InvalidCredential(reason=f"key {row['id']} is revoked")
    if has_ended(row):
        raise InvalidCredential(reason=f"key {row['id']} has expired")
    principal = Principal(
        row["subject"], row["tenant"], tuple(row["groups"]), Classification(row["clearance"])
    )
    return Identity(principal, frozenset(row["scopes"]) & frozenset(SCOPES), f"key:{row['id']}")


def has_ended(row: Row) -> bool:
    """Whether the key's time is over."""
    return row["expires_at"] is not None and datetime.fromisoformat(row["expires_at"]) <= datetime.now(UTC)


def state_of(row: Row) -> str:
    """`valid`, `expired` or `revoked`."""
    if row["revoked_at"] is not None:
        return "revoked"
    return "expired" if has_ended(row) else "valid"


def shown(row: Row) -> dict[str, Any]:
    """What may be shown of a key: everything but its hash."""
    return {name: value for name, value in row.items() if name != "secret_hash"} | {"state": state_of(row)}


def id_of(text: str) -> str:
    """The id in what a person typed: the id, `rag_ID`, or the whole key."""
    return text.removeprefix(PREFIX).partition("_")[0]


def hash_of(text: str) -> str:
    """What is stored of a key; over all of it, so that no secret fits another id."""
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()


def _new() -> tuple[str, str]:
    key_id = "".join(secrets.choice(_ALPHABET) for _ in range(ID_LENGTH))
    secret = "".join(secrets.choice(_ALPHABET) for _ in range(SECRET_LENGTH))
    return key_id, f"{PREFIX}{key_id}_{secret}"


def _row(key_id: str, text: str, values: Row, expires_at: datetime | None, by: str) -> dict[str, Any]:
    return {
        **values,
        "id": key_id,
        "secret_hash": hash_of(text),
        "created_by": by,
        "expires_at": _stored(expires_at) if expires_at is not None else None,
    }


def _stored(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


def _known(row: Row | None, key_id: str) -> Row:
    if row is None:
        raise NotFound(f"there is no key {key_id!r}; `rag-pipelines keys list --all` shows every one")
    return row


def _check(principal: Principal, scopes: Collection[str]) -> None:
    for what, name in (
        ("subject", principal.subject),
        ("tenant", principal.tenant),
        *(("group", group) for group in principal.groups),
    ):
        if not is_name(name) or (what == "tenant" and name == "*"):
            raise AccessDenied(
                f"{what} {name!r} is no name: up to 200 printable characters, and no tenant is *"
            )
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown or not scopes:
        raise AccessDenied(
            f"there is no scope {unknown[0]!r}; valid: {', '.join(SCOPES)}"
            if unknown
            else f"a key without a scope can do nothing; valid: {', '.join(SCOPES)}"
        )


def _event(action: str, row: Row, by: str) -> Event:
    names = ("subject", "groups", "clearance", "scopes", "expires_at", "rotated_from")
    details = {name: row[name] for name in names} | {"by": by}
    return Event(action, "operator", f"key:{row['id']}", row["tenant"], details=details)

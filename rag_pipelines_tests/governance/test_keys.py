"""API keys: made, recognised, rotated, revoked; on both databases."""

from __future__ import annotations

import json
import string
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from rag_pipelines.catalog import api_keys
from rag_pipelines.catalog.auth_tables import api_keys as table
from rag_pipelines.catalog.store import Catalog, open_catalog
from rag_pipelines.core.errors import AccessDenied, CatalogError, NotFound
from rag_pipelines.core.events import Event
from rag_pipelines.core.types import Classification, Principal
from rag_pipelines.governance.identity import InvalidCredential
from rag_pipelines.governance.keys import (
    NewKey,
    create_key,
    hash_of,
    id_of,
    recognise,
    revoke_key,
    rotate_key,
    shown,
    state_of,
)

ANA = Principal("ana", "acme", ("staff", "board"), Classification.CONFIDENTIAL)


def ignore(event: Event) -> None:
    """No audit."""


def made(catalog: Catalog, **values: Any) -> NewKey:
    given: dict[str, Any] = {"expires_at": None, "by": "ops", "audit": ignore, **values}
    return create_key(catalog, given.pop("principal", ANA), given.pop("scopes", {"search"}), **given)


def refusal(catalog: Catalog, text: str) -> tuple[str, str]:
    with pytest.raises(InvalidCredential) as caught:
        recognise(catalog, text)
    return str(caught.value), caught.value.reason


def test_a_key_acts_as_its_principal(catalog: Catalog) -> None:
    key = made(catalog, scopes={"status", "search"}, description="wiki bot")
    found = recognise(catalog, key.text)
    assert (found.principal, found.credential) == (ANA, f"key:{key.id}")
    assert found.scopes == {"search", "status"}
    assert key.row["created_by"] == "ops"
    assert key.row["description"] == "wiki bot"


def test_nothing_that_is_stored_lets_anybody_in(catalog: Catalog) -> None:
    key = made(catalog)
    prefix, key_id, secret = key.text.split("_")
    assert (prefix, key_id, len(secret)) == ("rag", key.id, 43)
    assert set(secret) <= set(string.ascii_letters + string.digits)
    with catalog.begin() as tx:
        stored = json.dumps([list(map(str, row)) for row in tx.execute(sa.select(table))])
    assert secret not in stored
    assert "secret_hash" not in shown(key.row)
    refusal(catalog, f"rag_{key.id}_{key.row['secret_hash'][:43]}")
    assert len({made(catalog).text for _ in range(20)}) == 20


def test_what_is_no_key_is_refused_in_the_same_words(catalog: Catalog) -> None:
    key, other = made(catalog), made(catalog)
    changed = key.text[:-1] + ("a" if key.text[-1] != "a" else "b")
    ended = made(catalog, expires_at=datetime.now(UTC) - timedelta(seconds=1))
    revoked = made(catalog)
    revoke_key(catalog, revoked.id, by="ops", audit=ignore)
    refused = {
        "wrong secret": changed,
        "wrong secret ": f"rag_{key.id}_{other.text.split('_')[2]}",
        "no such key": f"rag_{'x' * 12}_{'y' * 43}",
        "has expired": ended.text,
        "is revoked": revoked.text,
        "no such key ": key.text + "x",
        "no such key  ": key.text.upper(),
        "no such key   ": f"rag_{key.id}_",
        "no such key    ": "rag_\x00\udcff",
        "no such key     ": f"rag_{key.id}_{'ü' * 43}",
        "no such key      ": f"{key.text}\n",
    }
    told = {cause: refusal(catalog, text) for cause, text in refused.items()}
    assert {message for message, _ in told.values()} == {"the credential is not valid"}
    assert [cause for cause, (_, reason) in told.items() if cause.strip() not in reason] == []
    assert key.text.split("_")[2] not in str(told)


def test_rotation_leaves_the_old_key_for_a_while(catalog: Catalog) -> None:
    old = made(catalog, scopes={"search", "answer"}, description="bot")
    new = rotate_key(catalog, old.id, timedelta(hours=1), expires_at=None, by="ops", audit=ignore)
    assert recognise(catalog, old.text).principal == recognise(catalog, new.text).principal == ANA
    assert recognise(catalog, new.text).scopes == {"search", "answer"}
    assert (new.row["rotated_from"], new.row["description"]) == (old.id, "bot")
    stored = api_keys.key_of(catalog, old.id)
    assert stored is not None
    left = datetime.fromisoformat(stored["expires_at"]) - datetime.now(UTC)
    assert timedelta(minutes=59) < left <= timedelta(hours=1)
    rotate_key(catalog, old.id, timedelta(0), expires_at=None, by="ops", audit=ignore)
    assert refusal(catalog, old.text)[1] == f"key {old.id} has expired"


def test_rotation_makes_no_key_live_longer(catalog: Catalog) -> None:
    end = datetime.now(UTC) + timedelta(minutes=5)
    old = made(catalog, expires_at=end)
    rotate_key(catalog, old.id, timedelta(days=7), expires_at=None, by="ops", audit=ignore)
    stored = api_keys.key_of(catalog, old.id)
    assert stored is not None
    assert stored["expires_at"] == end.isoformat(timespec="milliseconds")


def test_revoked_is_for_good_and_revoking_again_changes_nothing(catalog: Catalog) -> None:
    key = made(catalog)
    first = revoke_key(catalog, key.id, by="ops", audit=ignore)
    again = revoke_key(catalog, key.id, by="somebody", audit=ignore)
    assert (again["revoked_at"], again["revoked_by"]) == (first["revoked_at"], "ops")
    assert state_of(again) == "revoked"
    assert [row["id"] for row in api_keys.keys_of(catalog)] == []
    assert [row["id"] for row in api_keys.keys_of(catalog, revoked=True)] == [key.id]
    with pytest.raises(AccessDenied, match=f"key {key.id} was revoked at"):
        rotate_key(catalog, key.id, timedelta(0), expires_at=None, by="ops", audit=ignore)
    for change in (
        lambda: revoke_key(catalog, "nosuchkey", by="ops", audit=ignore),
        lambda: rotate_key(catalog, "nosuchkey", timedelta(0), expires_at=None, by="o", audit=ignore),
    ):
        with pytest.raises(NotFound, match="there is no key 'nosuchkey'; `rag-pipelines keys list --all`"):
            change()


def test_every_change_is_told_once(catalog: Catalog) -> None:
    events: list[Event] = []
    key = made(catalog, audit=events.append)
    new = rotate_key(catalog, key.id, timedelta(0), expires_at=None, by="bo", audit=events.append)
    for _ in range(2):
        revoke_key(catalog, new.id, by="cy", audit=events.append)
    told = [(event.action, event.target, event.tenant, event.details["by"]) for event in events]
    assert told == [
        ("key.create", f"key:{key.id}", "acme", "ops"),
        ("key.rotate", f"key:{new.id}", "acme", "bo"),
        ("key.revoke", f"key:{new.id}", "acme", "cy"),
    ]
    assert key.text not in str(events)
    assert hash_of(key.text) not in str(events)


@pytest.mark.parametrize(
    ("principal", "scopes", "message"),
    [
        (ANA, {"serch"}, "there is no scope 'serch'; valid: search, answer"),
        (ANA, set(), "a key without a scope can do nothing"),
        (Principal("ana", "*"), {"search"}, r"tenant '\*' is no name"),
        (Principal("ana", ""), {"search"}, "tenant '' is no name"),
        (Principal("a\nb", "acme"), {"search"}, "subject"),
        (Principal("ana", "acme", ("x" * 201,)), {"search"}, "group"),
    ],
)
def test_keys_that_cannot_be_made(
    catalog: Catalog, principal: Principal, scopes: set[str], message: str
) -> None:
    with pytest.raises(AccessDenied, match=message):
        made(catalog, principal=principal, scopes=scopes)
    assert api_keys.keys_of(catalog, revoked=True) == []


def test_a_scope_that_is_gone_from_the_program_allows_nothing(catalog: Catalog) -> None:
    key = made(catalog, scopes={"search"})
    with catalog.begin() as tx:
        tx.execute(sa.update(table).values(scopes=["search", "everything"]))
    assert recognise(catalog, key.text).scopes == {"search"}


def test_uses_are_kept_and_never_go_back(catalog: Catalog) -> None:
    key = made(catalog)
    for at in ("2026-01-02T00:00:00.000+00:00", "2026-01-01T00:00:00.000+00:00"):
        api_keys.save_uses(catalog, {key.id: at, "gone": at})
    stored = api_keys.key_of(catalog, key.id)
    assert stored is not None
    assert stored["last_used_at"] == "2026-01-02T00:00:00.000+00:00"


def test_a_database_that_is_away_is_a_fault_and_no_refusal(postgres: Any) -> None:
    url = postgres.create_database()
    catalog = open_catalog(url)
    key = made(catalog)
    postgres.drop_database(url)
    with pytest.raises(CatalogError, match="cannot be asked"):
        recognise(catalog, key.text)
    catalog.close()


def test_what_people_type_for_an_id() -> None:
    assert {id_of(text) for text in ("abc", "rag_abc", "rag_abc_secret")} == {"abc"}

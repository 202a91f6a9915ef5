"""Keys of a real issuer over HTTP: rotation, withdrawal, an issuer that is away, and one that answers nonsense."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from rag_pipelines.governance.identity import InvalidCredential, Unjudged
from rag_pipelines.governance.issuer_keys import LONGEST_ANSWER, FetchFailed, IssuerKeys
from rag_pipelines_tests.governance.issuer import (
    DISCOVERY,
    Issuer,
    ec_key,
    ed_key,
    public_jwk,
    rsa_key,
    serve,
)


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    """Lists one RSA key."""
    with serve() as running:
        yield running


@contextmanager
def keys_of(issuer: Issuer, **values: Any) -> Iterator[IssuerKeys]:
    keys = IssuerKeys(issuer.config(**values))
    try:
        yield keys
    finally:
        keys.close()


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_keys_are_discovered_once_and_kept(issuer: Issuer) -> None:
    with keys_of(issuer) as keys:
        for _ in range(20):
            assert keys.find("one", "RS256").key.key_size == 2048
    assert issuer.requests == [DISCOVERY, "/keys"]


def test_without_discovery_the_configured_address_is_asked(issuer: Issuer) -> None:
    with keys_of(issuer, jwks_url=f"{issuer.url}/elsewhere") as keys:
        keys.find("one", "RS256")
    assert issuer.requests == ["/elsewhere"]


def test_a_new_key_is_found_and_a_withdrawn_one_is_no_longer_trusted(issuer: Issuer) -> None:
    with keys_of(issuer, refresh_seconds=0.01) as keys:
        keys.find("one", "RS256")
        issuer.keys = [public_jwk(rsa_key("two"), "two")]
        time.sleep(0.02)
        assert keys.find("two", "RS256").kid == "two"
        with pytest.raises(InvalidCredential):
            keys.find("one", "RS256")


def test_made_up_names_of_keys_do_not_become_requests(issuer: Issuer) -> None:
    with keys_of(issuer, refresh_seconds=600) as keys:
        keys.find("one", "RS256")
        for number in range(200):
            with pytest.raises(InvalidCredential):
                keys.find(f"made-up-{number}", "RS256")
    assert len(issuer.requests) == 2


def test_many_at_once_make_one_request(issuer: Issuer) -> None:
    with keys_of(issuer, refresh_seconds=600) as keys, ThreadPoolExecutor(12) as pool:
        found = list(pool.map(lambda _: keys.find("one", "RS256").kid, range(12)))
    assert found == ["one"] * 12
    assert len(issuer.requests) == 2


def test_an_issuer_that_is_away_is_no_reason_to_accept_or_to_refuse(issuer: Issuer) -> None:
    issuer.status = 500
    with keys_of(issuer, refresh_seconds=600) as keys:
        for _ in range(5):
            with pytest.raises(
                Unjudged, match=r"the keys of http://127\.0\.0\.1:\d+ cannot be fetched"
            ) as caught:
                keys.find("one", "RS256")
            assert 1 <= caught.value.retry_after <= 600
    assert len(issuer.requests) == 1


def test_known_keys_last_as_long_as_configured_while_the_issuer_is_away(issuer: Issuer) -> None:
    with keys_of(issuer, cache_seconds=1.5, refresh_seconds=0.05) as keys:
        keys.find("one", "RS256")
        issuer.status = 503
        assert keys.find("one", "RS256").kid == "one"
        time.sleep(1.6)
        with pytest.raises(Unjudged):
            keys.find("one", "RS256")
        issuer.status = 200
        wait_until(lambda: _is_found(keys))


def _is_found(keys: IssuerKeys) -> bool:
    try:
        return keys.find("one", "RS256").kid == "one"
    except Unjudged:
        return False


def test_keys_are_fetched_again_before_they_are_too_old(issuer: Issuer) -> None:
    with keys_of(issuer, cache_seconds=600, refresh_seconds=0.01) as keys:
        keys.find("one", "RS256")
        keys._fetched -= 301
        wait_until(lambda: keys.find("one", "RS256").kid == "one" and len(issuer.requests) >= 4)
        assert keys._age() < 300


def test_a_withdrawn_key_that_is_used_all_the_time_ends_too(issuer: Issuer) -> None:
    with keys_of(issuer, cache_seconds=0.2, refresh_seconds=0.01) as keys:
        keys.find("one", "RS256")
        issuer.keys = [public_jwk(rsa_key("two"), "two")]

        def is_refused() -> bool:
            try:
                keys.find("one", "RS256")
            except InvalidCredential:
                return True
            return False

        wait_until(is_refused)


def test_a_silent_issuer_holds_few_requests_and_not_for_long(issuer: Issuer) -> None:
    issuer.hang = True
    outcomes: list[str] = []

    def ask(keys: IssuerKeys) -> None:
        try:
            keys.find("one", "RS256")
        except Unjudged as error:
            outcomes.append(str(error))

    with keys_of(issuer, timeout_seconds=0.5, refresh_seconds=600) as keys:
        threads = [threading.Thread(target=ask, args=(keys,)) for _ in range(30)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=20)
    assert len(outcomes) == 30
    assert any("are being fetched" in outcome for outcome in outcomes)
    assert issuer.requests == [DISCOVERY]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        ({"status": 302}, "answered 302"),
        ({"body": b"<html>"}, "no JSON object"),
        ({"body": b"[]"}, "no JSON object"),
        ({"body": b"[" * 5000}, "no JSON object"),
        ({"body": b"{}"}, "is another issuer's"),
        ({"body": b" " * (LONGEST_ANSWER + 1)}, "answered too much"),
        ({"document": {"issuer": "https://other.example", "jwks_uri": "x"}}, "is another issuer's"),
        ({"keys": "none"}, "has no list of at most 100 keys"),
        ({"keys": [{"kty": "RSA"}] * 101}, "has no list of at most 100 keys"),
        ({"keys": []}, "lists no public key"),
        ({"keys": [7, None, {"kty": "RSA", "n": 1, "e": "AQAB"}, {"kty": "EC"}]}, "lists no public key"),
    ],
)
def test_an_issuer_that_answers_nonsense(issuer: Issuer, spoil: dict[str, Any], message: str) -> None:
    for name, value in spoil.items():
        setattr(issuer, name, value)
    with keys_of(issuer) as keys, pytest.raises(FetchFailed, match=message):
        keys.fetch()


@pytest.mark.parametrize("uri", ["http://login.example/keys", "file:///etc/passwd", "", 7, "ftp://x/", "//x"])
def test_a_key_set_without_tls_is_not_fetched(issuer: Issuer, uri: Any) -> None:
    issuer.document["jwks_uri"] = uri
    with keys_of(issuer) as keys, pytest.raises(FetchFailed, match="is no https URL"):
        keys.fetch()


def test_keys_that_sign_nothing_are_left_out(issuer: Issuer) -> None:
    usable = rsa_key("one")
    issuer.keys = [
        public_jwk(usable, "encryption", use="enc"),
        public_jwk(usable, "operations", key_ops=["encrypt"]),
        public_jwk(usable, "nonsense", key_ops=7),
        public_jwk(rsa_key("short", 1024), "short"),
        {"kty": "oct", "k": "AAAA", "kid": "secret"},
        public_jwk(usable, "good", d="AQAB", p="AQAB"),
    ]
    with keys_of(issuer) as keys:
        (good,) = keys.fetch()
    assert good.kid == "good"
    assert not hasattr(good.key, "private_numbers")


def test_a_key_signs_with_its_own_algorithm_only(issuer: Issuer) -> None:
    issuer.keys = [
        public_jwk(rsa_key("one"), "bound", alg="PS256"),
        public_jwk(ec_key("two"), "curve"),
        public_jwk(ed_key("three"), "edwards"),
    ]
    with keys_of(issuer, refresh_seconds=600) as keys:
        assert keys.find("bound", "PS256").kid == "bound"
        assert keys.find(None, "ES256").kid == "curve"
        assert keys.find("edwards", "EdDSA").kid == "edwards"
        for kid, alg in (("bound", "RS256"), ("curve", "ES384"), ("curve", "RS256"), ("edwards", "ES256")):
            with pytest.raises(InvalidCredential):
                keys.find(kid, alg)


def test_without_a_name_only_the_one_key_that_fits(issuer: Issuer) -> None:
    issuer.keys.append(public_jwk(rsa_key("two"), "two"))
    with keys_of(issuer) as keys, pytest.raises(InvalidCredential):
        keys.find(None, "RS256")

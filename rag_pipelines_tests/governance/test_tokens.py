"""Tokens of a real issuer, and everything that looks like one: what is not the issuer's own is never accepted."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import string
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rag_pipelines.core.types import Classification, Principal
from rag_pipelines.governance.identity import Identity, InvalidCredential, NotEntitled
from rag_pipelines.governance.issuer_keys import IssuerKeys
from rag_pipelines.governance.tokens import judge
from rag_pipelines_tests.governance.issuer import (
    AUDIENCE,
    Issuer,
    ec_key,
    ed_key,
    part,
    public_jwk,
    rsa_key,
    serve,
)

ALPHABET = string.ascii_letters + string.digits + "-_"
ALGORITHMS = ["RS256", "PS384", "ES256", "EdDSA"]


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    """Lists a key of each kind."""
    with serve() as running:
        running.keys = [
            public_jwk(rsa_key("one"), "one"),
            public_jwk(ec_key("two"), "two"),
            public_jwk(ed_key("three"), "three"),
        ]
        yield running


@pytest.fixture(scope="module")
def issuers(issuer: Issuer) -> Iterator[Mapping[str, IssuerKeys]]:
    """As the service holds them; asks the issuer once, however many tokens are judged."""
    config = issuer.config(algorithms=ALGORITHMS, refresh_seconds=600)
    with closing(IssuerKeys(config)) as keys:
        yield {config.issuer: keys}


def judged(issuer: Issuer, text: str, **values: Any) -> Identity:
    """By a service that is configured so."""
    config = issuer.config(**values)
    with closing(IssuerKeys(config)) as keys:
        return judge(text, {config.issuer: keys})


def refused(text: str, issuers: Mapping[str, IssuerKeys]) -> InvalidCredential:
    with pytest.raises(InvalidCredential) as caught:
        judge(text, issuers)
    return caught.value


def test_a_token_of_the_issuer_says_who_asks(issuer: Issuer, issuers: Mapping[str, IssuerKeys]) -> None:
    found = judge(issuer.token(), issuers)
    assert found.principal == Principal("ana", "acme", ("staff",), Classification.INTERNAL)
    assert found.scopes == {"search", "status"}
    assert found.credential == f"token:{issuer.url}#ana"


@pytest.mark.parametrize(
    ("key", "kid", "alg"),
    [
        (rsa_key("one"), "one", "PS384"),
        (ec_key("two"), "two", "ES256"),
        (ed_key("three"), "three", "EdDSA"),
        (ec_key("two"), None, "ES256"),
    ],
)
def test_every_configured_algorithm(
    issuer: Issuer, issuers: Mapping[str, IssuerKeys], key: Any, kid: str | None, alg: str
) -> None:
    assert judge(issuer.token(key, kid, alg), issuers).principal.subject == "ana"


@pytest.mark.parametrize(
    ("claims", "said"),
    [
        ({"exp": 1_000_000_000}, "the token has expired"),
        ({"iat": 4_000_000_000}, "the token is not valid yet"),
        ({"nbf": 4_000_000_000}, "the token is not valid yet"),
        ({"aud": "another"}, "the token is for another audience"),
        ({"aud": []}, "the credential is not valid"),
        ({"aud": {"rag-pipelines": 1}}, "the token is for another audience"),
        ({"iss": "https://login.example"}, "the credential is not valid"),
        ({"sub": 7}, "the credential is not valid"),
        ({"exp": "4000000000"}, "the token's exp is no number"),
        ({"exp": True}, "the token has expired"),
        ({"nbf": True}, "the token's nbf is no number"),
        ({"iat": 1_000_000_000}, "the token is too old"),
        *(({name: None}, "the credential is not valid") for name in ("exp", "iat", "sub", "iss", "aud")),
    ],
)
def test_a_genuine_token_that_is_not_for_here_and_now(
    issuer: Issuer, issuers: Mapping[str, IssuerKeys], claims: dict[str, Any], said: str
) -> None:
    assert str(refused(issuer.token(**claims), issuers)) == said


def test_clocks_may_differ_by_what_is_configured(issuer: Issuer) -> None:
    ended, begun = int(time.time()) - 60, int(time.time()) + 60
    differing: list[dict[str, Any]] = [{"exp": ended, "iat": ended - 60}, {"iat": begun}, {"nbf": begun}]
    for claims in differing:
        assert judged(issuer, issuer.token(**claims), clock_skew_seconds=120).principal.subject == "ana"
        with pytest.raises(InvalidCredential):
            judged(issuer, issuer.token(**claims), clock_skew_seconds=20)


def unsigned(header: dict[str, Any], claims: dict[str, Any]) -> str:
    return f"{part(header)}.{part(claims)}."


def with_hmac(key: bytes, header: dict[str, Any], claims: dict[str, Any]) -> str:
    """What a library accepts that takes the public key for a shared secret because the token says HS256."""
    text = f"{part(header)}.{part(claims)}"
    return f"{text}.{part(hmac.new(key, text.encode(), hashlib.sha256).digest())}"


def public_forms() -> list[bytes]:
    key = rsa_key("one").public_key()
    return [
        key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).strip(),
        key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        key.public_bytes(Encoding.PEM, PublicFormat.PKCS1),
        json.dumps(public_jwk(rsa_key("one"), "one")).encode(),
        b"",
    ]


def test_no_algorithm_and_a_public_key_as_secret(issuer: Issuer, issuers: Mapping[str, IssuerKeys]) -> None:
    claims = issuer.claims()
    for alg in ("none", "None", "NONE", "nOnE", "", None, 0, [], ["RS256"], {"alg": "RS256"}):
        for kid in ({}, {"kid": "one"}):
            refused(unsigned({"alg": alg, **kid}, claims), issuers)
            refused(unsigned({"alg": alg, **kid}, claims) + "AAAA", issuers)
    for alg in ("HS256", "HS384", "HS512", "RS256"):
        for secret in public_forms():
            refused(with_hmac(secret, {"alg": alg, "kid": "one"}, claims), issuers)
            refused(with_hmac(secret, {"alg": alg}, claims), issuers)


def test_a_configured_issuer_that_lists_a_shared_secret_gives_nobody_a_key(issuer: Issuer) -> None:
    with serve() as careless:
        secret = {"kty": "oct", "k": part(b"x" * 32), "kid": "shared", "alg": "HS256"}
        careless.keys.append(secret)
        claims = careless.claims()
        with closing(IssuerKeys(careless.config())) as keys:
            refused(with_hmac(b"x" * 32, {"alg": "HS256", "kid": "shared"}, claims), {careless.url: keys})
            assert [key.kid for key in keys.fetch()] == ["one"]


def test_an_algorithm_that_is_not_configured(issuer: Issuer) -> None:
    with pytest.raises(InvalidCredential):
        judged(issuer, issuer.token(alg="RS512"))
    with pytest.raises(InvalidCredential):
        judged(issuer, issuer.token(ec_key("two"), "two", "ES256"), algorithms=["RS256"])


def test_keys_that_the_header_brings_or_points_to_are_never_used(
    issuer: Issuer, issuers: Mapping[str, IssuerKeys]
) -> None:
    asked = len(issuer.requests)
    own = public_jwk(rsa_key("mallory"), "mallory")
    with serve() as mallory:
        mallory.keys = [own]
        for kid in ("one", "mallory", None):
            for header in (
                {"jwk": own},
                {"jku": f"{mallory.url}/keys"},
                {"x5u": f"{mallory.url}/keys"},
                {"x5c": [base64.b64encode(b"certificate").decode()]},
                {"jwk": own, "jku": f"{mallory.url}/keys", "x5u": f"{mallory.url}/keys"},
            ):
                refused(issuer.token(rsa_key("mallory"), kid, header=header), issuers)
        assert mallory.requests == []
    assert len(issuer.requests) <= asked + 2
    found = judge(issuer.token(header={"jwk": own, "jku": "https://mallory.example/keys"}), issuers)
    assert found.principal.subject == "ana"


KIDS = ["../../../../dev/null", "one' OR '1'='1", "", "o\x00ne", "ONE", "one ", "http://x/", 7, None, ["one"]]


@pytest.mark.parametrize("kid", KIDS)
def test_tricks_with_the_name_of_the_key(issuer: Issuer, issuers: Mapping[str, IssuerKeys], kid: Any) -> None:
    header = {"alg": "RS256", "typ": "JWT", "kid": kid}
    text = f"{part(header)}.{part(issuer.claims())}"
    for key in (b"", b"\x00"):
        signature = hmac.new(key, text.encode(), hashlib.sha256).digest()
        refused(f"{text}.{part(signature)}", issuers)
    signed = jwt.algorithms.RSAAlgorithm(jwt.algorithms.RSAAlgorithm.SHA256).sign(
        text.encode(), rsa_key("mallory")
    )
    refused(f"{text}.{part(signed)}", issuers)


@pytest.mark.parametrize(
    "header",
    [
        {"crit": ["exp"], "exp": 1},
        {"crit": []},
        {"crit": ["b64"], "b64": True},
        {"b64": True},
        {"typ": "dpop+jwt"},
        {"typ": 7},
        {"typ": "logout+jwt"},
    ],
)
def test_headers_that_demand_what_is_not_understood(
    issuer: Issuer, issuers: Mapping[str, IssuerKeys], header: dict[str, Any]
) -> None:
    text = f"{part({'alg': 'RS256', 'kid': 'one', 'typ': 'JWT', **header})}.{part(issuer.claims())}"
    signature = jwt.algorithms.RSAAlgorithm(jwt.algorithms.RSAAlgorithm.SHA256).sign(
        text.encode(), rsa_key("one")
    )
    refused(f"{text}.{part(signature)}", issuers)


def test_types_of_tokens(issuer: Issuer, issuers: Mapping[str, IssuerKeys]) -> None:
    for typ in ("JWT", "jwt", "at+jwt", "application/at+JWT", None):
        judge(issuer.token(header={"typ": typ}), issuers)


def signed(payload: bytes, header: bytes = b'{"alg":"RS256","kid":"one"}') -> str:
    """Whatever the bytes are, the signature over them is genuine."""
    text = f"{part(header)}.{part(payload)}"
    signature = jwt.algorithms.RSAAlgorithm(jwt.algorithms.RSAAlgorithm.SHA256).sign(
        text.encode(), rsa_key("one")
    )
    return f"{text}.{part(signature)}"


def test_what_can_be_read_in_two_ways_is_refused(issuer: Issuer, issuers: Mapping[str, IssuerKeys]) -> None:
    plain = json.dumps(issuer.claims())
    assert judge(signed(plain.encode()), issuers).principal.tenant == "acme"
    twice = [
        plain[:-1] + ', "tenant": "globex"}',
        '{"sub": "bo", ' + plain[1:],
        plain[:-1] + ', "extra": {"a": 1, "a": 2}}',
    ]
    for text in (*twice, plain.replace("300", "NaN"), "[]", "7", '"x"', "", "{", "[" * 3000, plain + "x"):
        if text != plain:
            refused(signed(text.encode()), issuers)
    refused(signed(plain.encode("utf-16")), issuers)
    refused(signed(b"\xff" + plain.encode()), issuers)
    refused(signed(plain.encode(), b'{"alg":"none","alg":"RS256","kid":"one"}'), issuers)
    refused(signed(json.dumps(issuer.claims(iss=[issuer.url])).encode()), issuers)
    for number in ("1e999", "9" * 5000, "-1e999"):
        refused(signed(json.dumps(issuer.claims(exp=77)).replace("77", number, 1).encode()), issuers)


def test_oversized_tokens_are_not_looked_at(issuer: Issuer, issuers: Mapping[str, IssuerKeys]) -> None:
    refused(issuer.token(extra="x" * 20_000), issuers)
    refused("." * 100_000, issuers)
    refused("[" * 16_000, issuers)


def test_spellings_of_a_signature_that_mean_the_same_bytes(
    issuer: Issuer, issuers: Mapping[str, IssuerKeys]
) -> None:
    """Libraries that skip what is no base64url would take a changed token for the one that was issued."""
    text = issuer.token()
    head, _, signature = text.rpartition(".")
    for other in (
        f"{head}.{signature}=",
        f"{head}.{signature}==",
        f"{head}.{signature[:5]}!{signature[5:]}",
        f"{head}.{signature[:5]}\n{signature[5:]}",
        f"{text} ",
        f" {text}",
        f"{text}.",
        f"{text}.{signature}",
        *(text[:-1] + last for last in ALPHABET if last != text[-1]),
    ):
        refused(other, issuers)


TRIES = settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@TRIES
@given(data=st.data())
def test_no_changed_token_is_accepted(
    issuer: Issuer, issuers: Mapping[str, IssuerKeys], data: st.DataObject
) -> None:
    text = issuer.token(sub="fuzzed")
    at = data.draw(st.integers(0, len(text) - 1))
    change: Callable[[], str] = data.draw(
        st.sampled_from(
            [
                lambda: text[:at] + chr(ord(text[at]) ^ (1 << data.draw(st.integers(0, 6)))) + text[at + 1 :],
                lambda: text[:at] + text[at + 1 :],
                lambda: text[:at] + data.draw(st.characters()) + text[at:],
                lambda: text[:at],
                lambda: text[at:] + text[:at] if at else text[::-1],
            ]
        )
    )
    changed = change()
    assert changed != text
    refused(changed, issuers)


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


@TRIES
@given(
    header=st.fixed_dictionaries(
        {},
        optional={
            "alg": st.sampled_from(["none", "HS256", *ALGORITHMS]) | JSON,
            "kid": st.sampled_from(["one", "two", "three"]) | JSON,
            "typ": st.sampled_from(["JWT"]) | JSON,
            "crit": JSON,
            "jwk": JSON,
            "b64": JSON,
        },
    ),
    claims=st.dictionaries(st.text(max_size=8), JSON, max_size=5),
    signature=st.binary(max_size=300),
)
def test_no_made_up_token_is_accepted(
    issuer: Issuer,
    issuers: Mapping[str, IssuerKeys],
    header: dict[str, Any],
    claims: dict[str, Any],
    signature: bytes,
) -> None:
    refused(f"{part(header)}.{part(issuer.claims() | claims)}.{part(signature)}", issuers)


@TRIES
@given(text=st.text(max_size=200) | st.binary(max_size=200).map(lambda data: data.decode("latin-1")))
def test_no_text_is_accepted(issuers: Mapping[str, IssuerKeys], text: str) -> None:
    refused(text, issuers)


@TRIES
@given(
    changes=st.dictionaries(
        st.sampled_from(["sub", "tenant", "groups", "clearance", "scope", "aud", "iss", "exp", "iat", "nbf"]),
        JSON,
        min_size=1,
    )
)
def test_whatever_a_genuine_token_claims_it_is_judged_and_never_gives_another_tenant(
    issuer: Issuer, issuers: Mapping[str, IssuerKeys], changes: dict[str, Any]
) -> None:
    payload = json.dumps({**issuer.claims(), **changes})
    try:
        found = judge(signed(payload.encode()), issuers)
    except (InvalidCredential, NotEntitled):
        return
    assert found.principal.tenant == "acme"
    assert not found.principal.unrestricted
    assert found.principal.subject == json.loads(payload)["sub"]


def not_entitled(issuer: Issuer, settings: dict[str, Any] | None = None, **claims: Any) -> str:
    with pytest.raises(NotEntitled) as caught:
        judged(issuer, issuer.token(**claims), **(settings or {}))
    return str(caught.value)


@pytest.mark.parametrize("tenant", [None, "globex", "*", "", 7, ["acme"], {"acme": 1}, "acme "])
def test_a_tenant_that_is_missing_or_unknown_is_refused(issuer: Issuer, tenant: Any) -> None:
    assert not_entitled(issuer, tenant=tenant) == (
        "the token's claim 'tenant' names no tenant that this service knows"
    )


@pytest.mark.parametrize(
    "claims",
    [
        {"groups": {"staff": True}},
        {"groups": ["staff", 7]},
        {"groups": ["a\x00b"]},
        {"groups": [f"g{number}" for number in range(1001)]},
        {"clearance": "secret"},
        {"clearance": 3},
        {"clearance": ["public"]},
        {"sub": "\ud800"},
        {"sub": "a" * 201},
        {"sub": ""},
    ],
)
def test_claims_that_cannot_be_understood_are_refused(issuer: Issuer, claims: dict[str, Any]) -> None:
    with pytest.raises((NotEntitled, InvalidCredential)):
        judged(issuer, issuer.token(**claims))


def test_claims_are_mapped_as_configured(issuer: Issuer) -> None:
    text = issuer.token(
        sub="8f1c",
        email="ana@acme.example",
        org="org-17",
        realm_access={"roles": ["board"]},
        level="L3",
        scp=["rag:search", "rag:answer", "rag:unheard", "search-all", "status"],
        tenant=None,
        groups=["ignored"],
    )
    found = judged(
        issuer,
        text,
        claims={
            "subject": "email",
            "tenant": "org",
            "groups": ["realm_access", "roles"],
            "clearance": "level",
            "scopes": "scp",
        },
        tenants={"org-17": "acme"},
        clearances={"L3": "restricted"},
        max_clearance="confidential",
        scope_prefix="rag:",
        subject_prefix="okta|",
    )
    assert found.principal == Principal(
        "okta|ana@acme.example", "acme", ("board",), Classification.CONFIDENTIAL
    )
    assert found.scopes == {"search", "answer"}


def test_what_a_token_does_not_say_is_the_least(issuer: Issuer) -> None:
    text = issuer.token(groups=None, clearance=None, scope=None, tenant=None)
    found = judged(issuer, text, tenant="globex", tenants={})
    assert found.principal == Principal("ana", "globex", (), Classification.PUBLIC)
    assert found.scopes == set()
    wider = judged(
        issuer, text, tenant="globex", tenants={}, default_scopes=["search"], default_clearance="internal"
    )
    assert wider.scopes == {"search"}
    assert wider.principal.clearance is Classification.INTERNAL


def test_several_issuers_do_not_speak_for_one_another(issuer: Issuer) -> None:
    with serve() as other:
        other.keys = [public_jwk(rsa_key("other"), "one")]
        configs = [issuer.config(), other.config(tenants={"globex": "globex"})]
        with closing(IssuerKeys(configs[0])) as first, closing(IssuerKeys(configs[1])) as second:
            both = {issuer.url: first, other.url: second}
            assert judge(issuer.token(), both).principal.tenant == "acme"
            assert judge(other.token(rsa_key("other"), tenant="globex"), both).principal.tenant == "globex"
            refused(other.token(rsa_key("one"), tenant="globex"), both)
            refused(issuer.token(rsa_key("other")), both)
            with pytest.raises(NotEntitled):
                judge(other.token(rsa_key("other"), tenant="acme"), both)
            refused(issuer.token(iss="https://login.example", aud=AUDIENCE), both)

"""Judges bearer tokens (JWT, RFC 7519 with the advice of RFC 8725): genuine, for this service, and of now.

Nothing in a token chooses how it is judged: algorithms and issuers are configured, and a key is never taken from the
token or from where its header points.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
import time
from collections.abc import Mapping
from typing import Any

import jwt

from rag_pipelines.config.auth import IssuerConfig
from rag_pipelines.governance.claims import identity_from
from rag_pipelines.governance.identity import Identity, InvalidCredential
from rag_pipelines.governance.issuer_keys import IssuerKeys

LONGEST_TOKEN = 16_384
_TOKEN = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")
_SAID: dict[type[Exception], str] = {
    jwt.ExpiredSignatureError: "the token has expired",
    jwt.ImmatureSignatureError: "the token is not valid yet",
    jwt.InvalidAudienceError: "the token is for another audience",
}
"""What a genuine token is refused for may be said: whoever sends it can read it."""


def judge(text: str, issuers: Mapping[str, IssuerKeys]) -> Identity:
    """Who the token speaks for. Raises InvalidCredential, NotEntitled, and Unjudged where the issuer is silent."""
    header, claims = _read(text)
    keys = issuers.get(claims["iss"]) if isinstance(claims.get("iss"), str) else None
    if keys is None:
        raise InvalidCredential(reason="the issuer is not configured")
    config = keys.config
    alg, kid = header.get("alg"), header.get("kid")
    if alg not in config.algorithms:
        raise InvalidCredential(reason=f"algorithm {alg!r:.60} is not configured for {config.issuer}")
    if "crit" in header or "b64" in header:
        raise InvalidCredential(reason="the header demands an extension")
    if _type(header.get("typ", "JWT")) not in {_type(name) for name in config.types}:
        raise InvalidCredential(reason=f"typ {header.get('typ')!r:.60} is not configured for {config.issuer}")
    if kid is not None and not isinstance(kid, str):
        raise InvalidCredential(reason="kid is no text")
    _verify(text, keys.find(kid, str(alg)).key, str(alg), config)
    return identity_from(_checked(claims, config), config)


def _read(text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims, before anything is known of them but that they can be read in one way only."""
    match = _TOKEN.fullmatch(text) if len(text) <= LONGEST_TOKEN else None
    if match is None:
        raise InvalidCredential(reason="no token of three parts, or too long a one")
    header, claims = (_object(_decoded(part)) for part in match.groups()[:2])
    _decoded(match[3])
    return header, claims


def _decoded(part: str) -> bytes:
    try:
        data = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except (binascii.Error, ValueError) as error:
        raise InvalidCredential(reason="a part is no base64url") from error
    if base64.urlsafe_b64encode(data).rstrip(b"=") != part.encode():
        raise InvalidCredential(reason="a part is not in the one spelling that its bytes have")
    return data


def _object(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise InvalidCredential(reason="a part is no JSON, or names a member twice") from error
    if not isinstance(found, dict):
        raise InvalidCredential(reason="a part is no JSON object")
    return found


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a member is named twice")
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _type(value: object) -> str:
    return value.lower().removeprefix("application/") if isinstance(value, str) else ""


def _verify(text: str, key: Any, alg: str, config: IssuerConfig) -> None:
    try:
        jwt.decode(
            text,
            key,
            algorithms=[alg],
            audience=config.audience,
            issuer=config.issuer,
            leeway=config.clock_skew_seconds,
            options={"require": ["exp", "iat", "sub", "iss", "aud"]},
        )
    except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as error:
        said = next((words for kind, words in _SAID.items() if isinstance(error, kind)), None)
        reason = f"{type(error).__name__} for {config.issuer}"
        if said is None:
            raise InvalidCredential(reason=reason) from error
        raise InvalidCredential(said, reason=reason) from error


def _checked(claims: dict[str, Any], config: IssuerConfig) -> dict[str, Any]:
    """What the library takes too kindly: times that are text or true, and tokens without an end in sight."""
    for name in ("exp", "iat", "nbf"):
        value = claims.get(name, 0)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise InvalidCredential(f"the token's {name} is no number", reason=f"{name} is no number")
    if time.time() - claims["iat"] > config.max_age_seconds + config.clock_skew_seconds:
        raise InvalidCredential(
            "the token is too old", reason=f"issued over {config.max_age_seconds:g} s ago"
        )
    return claims

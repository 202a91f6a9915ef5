"""The signing keys of an issuer: found by discovery, fetched over HTTP, kept for a while, followed as they rotate."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import msgspec
from jwt import PyJWK
from jwt.exceptions import PyJWTError

from rag_pipelines.config.auth import IssuerConfig, is_loopback
from rag_pipelines.governance.identity import InvalidCredential, Unjudged

logger = logging.getLogger(__name__)
DISCOVERY = "/.well-known/openid-configuration"
LONGEST_ANSWER = 2**18
MOST_KEYS = 100
SHORTEST_RSA = 2048
MOST_WAITING = 16
"""Requests that wait for the issuer at the same time; the others are told at once to ask again."""
CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}
MEMBERS = ("kty", "kid", "alg", "use", "key_ops", "n", "e", "crv", "x", "y")
"""The public ones: a private key that an issuer publishes by mistake is not kept."""


class FetchFailed(Exception):
    """Why the issuer's keys are not there, in words for the log and `doctor`."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A public key, and what its JWK says of its use."""

    kid: str | None
    alg: str | None
    kty: str
    crv: str | None
    key: Any

    def fits(self, alg: str) -> bool:
        """Whether a signature of that algorithm can be this key's."""
        if self.alg is not None and self.alg != alg:
            return False
        if alg.startswith("ES"):
            return self.kty == "EC" and self.crv == CURVES[alg]
        return self.kty == ("OKP" if alg == "EdDSA" else "RSA")


class IssuerKeys:
    """Those of one issuer. Safe to call from several threads; close it when done.

    A key is trusted for `cache_seconds` after the answer that named it. From half of that time on they are fetched
    in the background, so that no request waits for an issuer whose keys are known.
    """

    def __init__(self, config: IssuerConfig) -> None:
        self.config = config
        local = is_loopback(httpx.URL(config.issuer).host)
        self._client = httpx.Client(
            timeout=config.timeout_seconds,
            trust_env=not local,
            headers={"Accept": "application/json", "Accept-Encoding": "identity"},
        )
        self._fetching = threading.Lock()
        self._waiting = threading.BoundedSemaphore(MOST_WAITING)
        self._keys: tuple[SigningKey, ...] = ()
        self._fetched = self._tried = float("-inf")

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def prepare(self) -> None:
        """Begin to fetch, and do not wait for it."""
        threading.Thread(target=self._refresh, name="issuer-keys", daemon=True).start()

    def find(self, kid: str | None, alg: str) -> SigningKey:
        """The key for a signature. Raises InvalidCredential where the issuer has none, Unjudged where it is silent.

        A token with a key that is not known makes the issuer be asked again, once in `refresh_seconds` whoever
        sends how many: made-up keys must not become requests to it.
        """
        known = self._choose(kid, alg)
        if known is not None:
            if self._age() > self.config.cache_seconds / 2 and self._may_try():
                self.prepare()
            return known
        if self._may_try() or self._fetching.locked():
            self._refresh_or_wait()
        known = self._choose(kid, alg)
        if known is not None:
            return known
        if self._fetched < self._tried or self._age() > self.config.cache_seconds:
            raise self._unjudged()
        raise InvalidCredential(reason=f"{self.config.issuer} has no key {kid!r:.60} for {alg}")

    def fetch(self) -> tuple[SigningKey, ...]:
        """What the issuer publishes now. Raises FetchFailed."""
        config = self.config
        url = config.jwks_url
        if url is None:
            document = self._get(config.issuer.rstrip("/") + DISCOVERY)
            if document.get("issuer") != config.issuer:
                raise FetchFailed(f"the document at {DISCOVERY} is another issuer's")
            url = document.get("jwks_uri")
            if not isinstance(url, str) or not _is_sound(url, config.issuer):
                raise FetchFailed("its jwks_uri is no https URL")
        listed = self._get(url).get("keys")
        if not isinstance(listed, list) or len(listed) > MOST_KEYS:
            raise FetchFailed(f"{url} has no list of at most {MOST_KEYS} keys")
        found = tuple(key for item in listed if (key := _signing_key(item)) is not None)
        if not found:
            raise FetchFailed(f"{url} lists no public key for signatures that can be used")
        return found

    def _choose(self, kid: str | None, alg: str) -> SigningKey | None:
        """Without a `kid` only where there is no choice."""
        if self._age() > self.config.cache_seconds:
            return None
        fitting = [key for key in self._keys if key.fits(alg) and kid in (None, key.kid)]
        return fitting[0] if len(fitting) == 1 else None

    def _age(self) -> float:
        return time.monotonic() - self._fetched

    def _may_try(self) -> bool:
        return time.monotonic() - self._tried >= self.config.refresh_seconds

    def _refresh_or_wait(self) -> None:
        if not self._waiting.acquire(blocking=False):
            raise Unjudged(f"the keys of {self.config.issuer} are being fetched", 1)
        try:
            self._refresh()
        finally:
            self._waiting.release()

    def _refresh(self) -> None:
        """One thread asks; whoever comes meanwhile waits as long as an answer may take, and asks no second time."""
        if not self._fetching.acquire(timeout=self.config.timeout_seconds):
            raise self._unjudged()
        try:
            if not self._may_try():
                return
            began = self._tried = time.monotonic()
            try:
                self._keys, self._fetched = self.fetch(), began
            except FetchFailed as error:
                logger.warning("issuer=%s keys cannot be fetched: %s", self.config.issuer, error)
        finally:
            self._fetching.release()

    def _unjudged(self) -> Unjudged:
        left = self.config.refresh_seconds - (time.monotonic() - self._tried)
        return Unjudged(f"the keys of {self.config.issuer} cannot be fetched now", max(left, 1))

    def _get(self, url: str) -> Mapping[str, Any]:
        deadline = time.monotonic() + self.config.timeout_seconds
        body = b""
        try:
            with self._client.stream("GET", url) as response:
                if response.status_code != 200:
                    raise FetchFailed(f"{url} answered {response.status_code}")
                for part in response.iter_raw():  # a packed answer could unpack to any size
                    body += part
                    if time.monotonic() >= deadline:
                        raise FetchFailed(f"{url} did not answer within {self.config.timeout_seconds:g} s")
                    if len(body) > LONGEST_ANSWER:
                        raise FetchFailed(f"{url} answered too much")
        except (httpx.HTTPError, httpx.InvalidURL, RuntimeError) as error:  # the last: closed meanwhile
            raise FetchFailed(f"{url} cannot be reached ({type(error).__name__})") from error
        try:
            return msgspec.json.decode(body, type=dict[str, Any])
        except (msgspec.MsgspecError, RecursionError) as error:
            raise FetchFailed(f"{url} answered something that is no JSON object") from error


def _is_sound(url: str, issuer: str) -> bool:
    """A key set is as safe as its issuer: https, or on this machine like the issuer itself."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        return False
    if parsed.scheme == "https" and parsed.host:
        return True
    return parsed.scheme == "http" and is_loopback(parsed.host) and is_loopback(httpx.URL(issuer).host)


def _signing_key(item: Any) -> SigningKey | None:
    """None for what no signature may be checked with: symmetric, short, meant for encryption, or broken."""
    if not isinstance(item, dict) or item.get("kty") not in ("RSA", "EC", "OKP"):
        return None
    public = {name: item[name] for name in MEMBERS if name in item}
    operations = public.pop("key_ops", ["verify"])
    if public.pop("use", "sig") != "sig" or not isinstance(operations, list) or "verify" not in operations:
        return None
    kid, alg, crv = public.get("kid"), public.pop("alg", None), public.get("crv")
    if not all(value is None or isinstance(value, str) for value in (kid, alg, crv)):
        return None
    try:
        key = PyJWK.from_dict(public).key
    except (PyJWTError, ValueError, TypeError, AttributeError):
        return None
    if item["kty"] == "RSA" and key.key_size < SHORTEST_RSA:
        return None
    return SigningKey(kid, alg, item["kty"], crv, key)

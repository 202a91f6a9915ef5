"""How often somebody may ask: limits for a credential, a tenant, and addresses that fail to say who they are."""

from __future__ import annotations

import contextlib
import ipaddress
import time
from collections.abc import Callable, Iterator

from fastapi import HTTPException

from rag_pipelines.config.limits import LimitsConfig, RateConfig
from rag_pipelines.service.buckets import TokenBuckets, retry_after


class Limits:
    """One for the application; safe to use from several threads."""

    def __init__(
        self,
        config: LimitsConfig,
        clock: Callable[[], float] = time.monotonic,
        *,
        refused: Callable[[str], None] = lambda limit: None,
    ) -> None:
        """`refused` is told which limit refused, with each request that one does."""

        def buckets(rate: RateConfig) -> TokenBuckets:
            return TokenBuckets(rate, config.buckets, clock)

        self._credentials = buckets(config.per_credential) if config.per_credential is not None else None
        self._tenants = buckets(config.per_tenant) if config.per_tenant is not None else None
        self._failed = buckets(config.failed_attempts)
        self._refused = refused

    def admit(self, tenant: str, subject: str, credential: str) -> None:
        """Count one request of somebody who is known. Raises HTTPException 429, which says when to ask again."""
        key = (tenant, subject, credential)
        if self._credentials is not None and (seconds := self._credentials.take(key)):
            self._refused("credential")
            raise _too_many("requests with this credential", seconds)
        if self._tenants is not None and (seconds := self._tenants.take(tenant)):
            if self._credentials is not None:
                self._credentials.give_back(key)
            self._refused("tenant")
            raise _too_many("requests of this tenant", seconds)

    @contextlib.contextmanager
    def attempt(self, address: str | None) -> Iterator[None]:
        """Somebody at the address shows who they are; a 401 raised in the block is counted, and is 429 if too many.

        Who shows a good credential is let in whatever others behind the same address or proxy did wrong: keys are
        too long to be guessed, and what has to be bounded is what failures cost in the log.
        """
        try:
            yield
        except HTTPException as error:
            if error.status_code == 401 and (seconds := self._failed.take(_network(address))):
                self._refused("address")
                raise _too_many("failed attempts from this address", seconds) from error
            raise


def _network(address: str | None) -> str:
    """An IPv6 caller has a whole /64 to choose addresses from."""
    try:
        found = ipaddress.ip_address(address or "")
    except ValueError:
        return "unknown"
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found)


def _too_many(what: str, seconds: float) -> HTTPException:
    after = retry_after(seconds)
    return HTTPException(429, f"too many {what}; ask again in {after} s", {"Retry-After": after})

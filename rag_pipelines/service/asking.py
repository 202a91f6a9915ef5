"""Who sends a request, what they may see and what they may do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fastapi import HTTPException, Request

from rag_pipelines.core.types import Principal
from rag_pipelines.governance.scopes import SCOPES
from rag_pipelines.service.parts import parts_of
from rag_pipelines.service.request_ids import request_id


@dataclass(frozen=True, slots=True)
class Asker:
    """`principal` bounds what is seen, `scopes` what may be done; `credential` names what was shown, never a secret.

    `request` is the id that the response carries as `X-Request-Id`.
    """

    principal: Principal
    scopes: frozenset[str]
    credential: str
    request: str

    @property
    def actor(self) -> str:
        """As it stands in the audit log."""
        return f"user:{self.principal.subject}"


def needs(scope: str) -> Callable[[Request], Asker]:
    """A dependency for routes: whoever asks, if they hold the scope; 401, 403 and 429 otherwise."""
    if scope not in SCOPES:
        raise ValueError(f"there is no scope {scope!r}")

    def asker(request: Request) -> Asker:
        limits = parts_of(request).limits
        with limits.attempt(request.client.host if request.client else None):
            found = _identify(request)
        limits.admit(found.principal.tenant, found.principal.subject, found.credential)
        if scope not in found.scopes:
            raise HTTPException(403, f"this credential has no scope {scope!r}")
        return found

    return asker


def _identify(request: Request) -> Asker:
    config = parts_of(request).configuration.service.principal
    principal = Principal(config.subject, config.tenant, config.groups, config.clearance)
    return Asker(principal, frozenset(SCOPES), "none", request_id(request.scope))

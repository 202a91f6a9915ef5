"""Who sends a request, what they may see and what they may do."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from fastapi import HTTPException, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool

from rag_pipelines.core.types import Principal
from rag_pipelines.governance.identity import InvalidCredential, NotEntitled, Unjudged
from rag_pipelines.governance.scopes import SCOPES
from rag_pipelines.service.parts import parts_of
from rag_pipelines.service.request_ids import request_id

logger = logging.getLogger(__name__)
CHALLENGE = 'Bearer realm="rag-pipelines"'
_ASKER = "rag_pipelines.asker"


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


@dataclass(frozen=True, slots=True)
class Needs:
    """A dependency for routes; the scope can be read from it, for the OpenAPI document and for tests."""

    scope: str | None

    async def __call__(self, request: Request) -> Asker:
        """Whoever asks; `Guarded` has found out who that is."""
        found: Asker = request.scope[_ASKER]
        return found


class Guarded(APIRoute):
    """A route that knows who asks before it reads what they send; the `route_class` of every router.

    FastAPI alone parses the body before any dependency runs, and would tell nobody in particular what is wrong with
    it. However many dependencies need an asker, one request is identified once and counted once.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """That of FastAPI, behind the question who asks."""
        handle = super().get_route_handler()
        needed = needs_of(self.dependant)
        if not needed:
            return handle

        async def guarded(request: Request) -> Response:
            request.scope[_ASKER] = await run_in_threadpool(_admitted, request, needed)
            return await handle(request)

        return guarded


def needs_of(dependant: Dependant) -> list[Needs]:
    """What a route needs, itself or through what it depends on."""
    own = [dependant.call] if isinstance(dependant.call, Needs) else []
    return own + [found for part in dependant.dependencies for found in needs_of(part)]


def _admitted(request: Request, needed: list[Needs]) -> Asker:
    """Whoever asks, if they hold the scopes."""
    limits = parts_of(request).limits
    with limits.attempt(request.client.host if request.client else None):
        found = identify(request)
    limits.admit(found.principal.tenant, found.principal.subject, found.credential)
    for scope in (need.scope for need in needed):
        if scope is not None and scope not in found.scopes:
            raise HTTPException(
                403,
                f"this credential has no scope {scope!r}",
                {"WWW-Authenticate": f'{CHALLENGE}, error="insufficient_scope", scope="{scope}"'},
            )
    return found


def needs(scope: str) -> Needs:
    """A dependency for routes: whoever asks, if they hold the scope; 401, 403, 429 and 503 otherwise."""
    if scope not in SCOPES:
        raise ValueError(f"there is no scope {scope!r}")
    return Needs(scope)


needs_credential = Needs(None)
"""The same for whoever is somebody, whatever they may do."""


def identify(request: Request) -> Asker:
    """Raises HTTPException: 401 for a credential that is none, 403 for one without rights, 503 for no judgement."""
    sent = request.headers.getlist("authorization")
    request_name = request_id(request.scope)
    try:
        found = parts_of(request).authentication.identify(sent)
    except InvalidCredential as error:
        logger.info("request=%s refused: %s", request_name, error.reason)
        invalid = ', error="invalid_token"' if sent else ""
        raise HTTPException(401, str(error), {"WWW-Authenticate": CHALLENGE + invalid}) from error
    except NotEntitled as error:
        logger.info("request=%s refused: %s", request_name, error)
        raise HTTPException(403, str(error)) from error
    except Unjudged as error:
        retry = str(math.ceil(error.retry_after))
        raise HTTPException(503, str(error), {"Retry-After": retry}) from error
    return Asker(found.principal, found.scopes, found.credential, request_name)

"""Errors as RFC 9457 problem details, and the limit on the size of a request."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rag_pipelines.core.errors import (
    AccessDenied,
    CatalogError,
    ConfigError,
    EmbeddingError,
    EngineError,
    NotFound,
    NotPublished,
    RagPipelinesError,
)
from rag_pipelines.service.schemas import Problem

logger = logging.getLogger(__name__)
MEDIA_TYPE = "application/problem+json"
UNEXPECTED = "something went wrong here; the service's log has the details"
STATUS: dict[type[RagPipelinesError], int] = {
    ConfigError: 400,
    AccessDenied: 403,
    NotFound: 404,
    NotPublished: 503,
    EngineError: 503,
    CatalogError: 503,
    EmbeddingError: 503,
}


def problem(
    status: int,
    detail: str,
    instance: str | None = None,
    headers: Mapping[str, str] | None = None,
    **extra: Any,
) -> Response:
    """One problem as a response."""
    body = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "instance": instance,
        **extra,
    }
    return Response(
        # ASCII, since a name that a caller sent may hold characters that UTF-8 cannot carry.
        json.dumps({name: value for name, value in body.items() if value is not None}),
        status,
        headers={**({"Retry-After": "5"} if status == 503 else {}), **(headers or {})},
        media_type=MEDIA_TYPE,
    )


def described(description: str) -> dict[str, Any]:
    """A problem in the OpenAPI document, under its own media type."""
    return {"description": description, "content": {MEDIA_TYPE: {"schema": Problem.model_json_schema()}}}


def everywhere(*, named: bool) -> dict[int | str, dict[str, Any]]:
    """What any route may answer, so that the document says so of each; `named` where names of hosts are checked.

    What depends on who asks is added where that is asked.
    """
    return {
        400: described("The body or a parameter cannot be read"),
        408: described("The body did not arrive in time"),
        413: described("Request too large"),
        **({421: described("The service does not answer to the name in `Host`")} if named else {}),
        422: described("A field of the request is invalid"),
        500: described("A fault of the service; its log has the details"),
        503: described("Too many requests at once; `Retry-After` says when to ask again"),
        504: described("No answer within the time that a request has"),
    }


def answered(error: Exception) -> tuple[int, str]:
    """Status and words for one of this package's errors; nothing that another program said stands in them."""
    status = next((code for kind, code in STATUS.items() if isinstance(error, kind)), 500)
    if isinstance(error, EmbeddingError):
        what = f"the model {error.model}" if error.model else "a model that this needs"
        return status, f"{what} failed; ask again later, or have the service's log read"
    return status, UNEXPECTED if status == 500 else sayable(error)


def sayable(error: BaseException) -> str:
    """What a log may say of an error: of one that is not ours its class alone, since its message may quote anything."""
    if isinstance(error, RagPipelinesError):
        return error.bare
    return str(error) if isinstance(error, OSError) and str(error) else type(error).__name__


def install(app: FastAPI) -> None:
    """Answer every error of the application as a problem."""

    async def expected(request: Request, error: Exception) -> Response:
        status, detail = answered(error)
        if status >= 500 and not isinstance(error, NotPublished):
            logger.error("error=%s %s", type(error).__name__, sayable(error))
        return problem(status, detail, request.url.path)

    async def invalid(request: Request, error: Exception) -> Response:
        details = error.errors() if isinstance(error, RequestValidationError) else []
        if any(item["type"] == "json_invalid" for item in details):
            return problem(400, "the body is not JSON", request.url.path)
        shown = [
            {"field": ".".join(str(part) for part in item["loc"][1:]) or "body", "message": item["msg"]}
            for item in details
        ]
        first = shown[0] if shown else {"field": "body", "message": "is invalid"}
        return problem(422, f"{first['field']}: {first['message']}", request.url.path, errors=shown)

    async def http(request: Request, error: Exception) -> Response:
        if not isinstance(error, HTTPException):
            return await unexpected(request, error)
        detail = str(error.detail)
        if detail == HTTPStatus(error.status_code).phrase:
            detail = f"{detail}: {request.method} {request.url.path}; /docs shows what there is"
        return problem(error.status_code, detail, request.url.path, error.headers)

    async def unexpected(request: Request, error: Exception) -> Response:
        # What `Observed` did not see; the server logs the traceback: starlette raises the error again.
        return problem(500, UNEXPECTED, request.url.path)

    app.add_exception_handler(RagPipelinesError, expected)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(Exception, unexpected)


class BodyLimit:
    """Refuses a request body larger than `limit` bytes with 413 before it is in memory.

    One that is not here whole within `seconds` gets 408: who sends slowly holds nothing but a connection. Both come
    before anybody is asked who they are, on purpose: a judgement costs a thread and maybe a look-up, a refusal by size
    nothing, and it tells no more than the limit.
    """

    def __init__(self, app: ASGIApp, limit: int, seconds: float) -> None:
        self.app = app
        self.limit = limit
        self.seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count what arrives, whatever Content-Length says."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        messages: list[Message] = []
        refusal = None
        try:
            async with asyncio.timeout(self.seconds):
                if not await self._read(receive, messages):
                    refusal = problem(413, f"the request is larger than {self.limit} bytes", scope["path"])
        except TimeoutError:
            said = f"the body did not arrive within {self.seconds:g} s"
            refusal = problem(408, said, scope["path"], {"Connection": "close"})
        if refusal is not None:
            await refusal(scope, receive, send)
            return

        async def replay() -> Message:
            return messages.pop(0) if messages else await receive()

        await self.app(scope, replay, send)

    async def _read(self, receive: Receive, messages: list[Message]) -> bool:
        """Whether the body is small enough."""
        size = 0
        while True:
            message = await receive()
            messages.append(message)
            size += len(message.get("body", b""))
            if size > self.limit:
                return False
            if message["type"] != "http.request" or not message.get("more_body", False):
                return True

"""An id for every request, by which logs, traces, the audit log and feedback name it."""

from __future__ import annotations

import uuid
from collections.abc import MutableMapping
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADER = "X-Request-Id"
_KEY = "rag_pipelines.request_id"


def request_id(scope: MutableMapping[str, Any]) -> str:
    """That of the request."""
    found: str = scope[_KEY]
    return found


class RequestIds:
    """Gives the id and says it in the response. What a caller sends is not taken: two could send the same."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        scope[_KEY] = uuid.uuid4().hex

        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[HEADER] = scope[_KEY]
            await send(message)

        await self.app(scope, receive, named)

"""What stands around the pages: whom a browser speaks for, which requests are its own, and errors as pages."""

from __future__ import annotations

import json
import logging
import re
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import urlsplit

from fastapi import HTTPException, Request
from fastapi.responses import Response
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rag_pipelines.service.pages_render import HEADERS, page

logger = logging.getLogger(__name__)
PREFIX = "/pages/"
COOKIE = "rag_session"
CREDENTIAL = re.compile(r"[A-Za-z0-9._~+/=-]{1,4000}")
"""What both a cookie and a header can carry as it is."""

PROBLEM = "application/problem+json"
LIMIT = 65_536


class PageFrame:
    """For requests below `/pages/`: the session's credential, security headers, and problems as pages.

    The cookie counts only here, where every request that changes something is checked to come from a page of ours;
    the API takes the `Authorization` header alone.
    """

    def __init__(self, app: ASGIApp, signs_in: bool) -> None:
        self.app = app
        self._signs_in = signs_in

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http" or not scope["path"].startswith(PREFIX):
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        reply = _Reply(send, scope, self._signs_in)
        if self._signs_in and "authorization" not in headers:
            credential = credential_of(headers.getlist("cookie"))
            if credential is not None:
                scope = {**scope, "headers": [*scope["headers"], (b"authorization", b"Bearer " + credential)]}
        try:
            await self.app(scope, receive, reply)
        except Exception as error:
            if not reply.started:
                logger.error("a page failed: %s", type(error).__name__)
                detail = "something went wrong here; the service's log has the details"
                await page("error.html.jinja", 500, status=500, title="Internal Server Error", detail=detail)(
                    scope, receive, reply
                )
            raise


class _Reply:
    """Passes a response on with the pages' headers; a problem is held back and told as a page."""

    def __init__(self, send: Send, scope: Scope, signs_in: bool) -> None:
        self._send = send
        self._scope = scope
        self._signs_in = signs_in
        self._problem: Message | None = None
        self._body = b""
        self.started = False

    async def __call__(self, message: Message) -> None:
        """One message of the response."""
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            told_as_problem = headers.get("content-type", "").startswith(PROBLEM)
            self._problem = message if told_as_problem else None
            if told_as_problem:
                return
            self._begin(headers)
        elif self._problem is not None:
            self._body += message.get("body", b"")[: LIMIT - len(self._body)]
            if not message.get("more_body", False):
                await self._tell(self._problem)
            return
        self.started = True
        await self._send(message)

    def _begin(self, headers: MutableHeaders) -> None:
        for name, value in HEADERS.items():
            headers[name] = value
        headers.setdefault("Cache-Control", "no-store")

    async def _tell(self, start: Message) -> None:
        told: dict[str, Any] = json.loads(self._body)
        status = int(start["status"])
        if status == 401 and self._signs_in:
            response = sign_in_page(
                self._scope, refused=COOKIE in Headers(scope=self._scope).get("cookie", "")
            )
        else:
            response = page(
                "error.html.jinja", status, status=status, title=told["title"], detail=told["detail"]
            )
        kept = MutableHeaders(scope=start)
        for name in ("x-request-id", "retry-after", "allow"):
            if name in kept:
                response.headers[name] = kept[name]
        self._begin(response.headers)
        self.started = True
        await self._send({"type": "http.response.start", "status": status, "headers": response.raw_headers})
        await self._send({"type": "http.response.body", "body": response.body})


def sign_in_page(scope: Scope, refused: bool) -> Response:
    """Asks for a credential, and leads back to where it was missing."""
    query = scope.get("query_string", b"").decode("latin-1")
    asked = scope["path"] + (f"?{query}" if query else "")
    following = asked if scope["method"] == "GET" else f"{PREFIX}search"
    return page("sign_in.html.jinja", 401, refused=refused, following=following)


def credential_of(cookies: list[str]) -> bytes | None:
    """That of the session, where a cookie holds one that a header can carry."""
    for sent in cookies:
        try:
            found = SimpleCookie(sent).get(COOKIE)
        except CookieError:
            continue
        if found is not None and CREDENTIAL.fullmatch(found.value):
            return found.value.encode("ascii")
    return None


def own_form(request: Request) -> None:
    """A dependency of routes that change something. 403 unless the request comes from a page of this service.

    Browsers name the origin of every form that is sent, and no script of another site can change it.
    """
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin", "")
    same = bool(origin) and urlsplit(origin).netloc == request.headers.get("host")
    if not same or site not in {None, "same-origin"}:
        raise HTTPException(
            403, "this form was not sent from a page of this service; open the page and send it"
        )

"""What is seen of every request: its span, its figures, its line in the log. Never what it asks or is answered."""

from __future__ import annotations

import logging
import time
from collections.abc import MutableMapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rag_pipelines.core.stages import SCOPE, Watch, failed, watched
from rag_pipelines.service.metrics import Metrics
from rag_pipelines.service.problems import UNEXPECTED, problem
from rag_pipelines.service.request_ids import request_id

access = logging.getLogger("rag_pipelines.service.access")
logger = logging.getLogger(__name__)
VARIANT_HEADER = "X-Retrieval-Variant"
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
UNMATCHED = "unmatched"
ABORTED = 499
"""Status of a request that was cancelled before it was answered."""
_PROPAGATOR = TraceContextTextMapPropagator()


@dataclass(slots=True)
class Seen:
    """One request. Routes tell it what they learn; `said` is what the caller wrote, which no log may repeat."""

    request: str
    span: Span = trace.INVALID_SPAN
    watch: Watch = field(default_factory=lambda: Watch(trace.NoOpTracer()))
    index: str | None = None
    variant: str | None = None
    said: list[str] = field(default_factory=list)

    def says(self, text: str) -> None:
        """What the caller wrote: a message that repeats it is withheld from the log."""
        self.said.append(text)

    def searches(self, index: str, variant: str | None) -> None:
        """Which index, one that there is, and which variant answers."""
        self.index, self.variant = index, variant
        self.span.set_attribute("rag.index", index)
        if variant is not None:
            self.span.set_attribute("feature_flag.key", f"retrieval.{index}")
            self.span.set_attribute("feature_flag.result.variant", variant)


_SEEN: ContextVar[Seen | None] = ContextVar("rag_pipelines.seen", default=None)


def seen() -> Seen:
    """The request under way; outside of one something that nobody reads."""
    return _SEEN.get() or Seen("")


def current() -> Seen | None:
    """The request under way, for log lines."""
    return _SEEN.get()


@dataclass(slots=True)
class Observing:
    """What requests are told to: `tracer` is set when the application starts."""

    metrics: Metrics
    tracer: Tracer = field(default_factory=lambda: trace.get_tracer(SCOPE))


class Observed:
    """Continues the caller's trace, counts, times and logs, and answers what nobody caught with a 500."""

    def __init__(self, app: ASGIApp, observing: Observing) -> None:
        self.app = app
        self.observing = observing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        method = scope["method"] if scope["method"] in METHODS else "_OTHER"
        tracer, metrics = self.observing.tracer, self.observing.metrics
        noted = Seen(request_id(scope), _server_span(tracer, scope, method), Watch(tracer))
        status = ABORTED
        kind: type[Exception] | None = None

        async def answering(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if noted.variant is not None:
                    MutableHeaders(scope=message)[VARIANT_HEADER] = noted.variant
            await send(message)

        token, attached = _SEEN.set(noted), contexts.attach(trace.set_span_in_context(noted.span))
        metrics.begun()
        try:
            with watched(noted.watch):
                try:
                    await self.app(scope, receive, answering)
                except Exception as error:
                    logger.exception("unexpected error")
                    kind = type(error)
                    if status != ABORTED:
                        raise
                    await problem(500, UNEXPECTED, scope["path"])(scope, receive, answering)
        finally:
            seconds, route = time.perf_counter() - began, _route(scope)
            metrics.finished(method, route, status, seconds, noted.index, noted.variant, noted.watch.spent)
            _end(noted.span, method, route, status, kind)
            access.info(
                "request",
                extra={"method": method, "route": route, "status": status, "ms": round(1000 * seconds, 2)},
            )
            contexts.detach(attached)
            _SEEN.reset(token)


def _server_span(tracer: Tracer, scope: Scope, method: str) -> Span:
    """The path and the query string stand in no attribute: either may hold what somebody looks for."""
    headers = {
        name.decode("latin-1"): value.decode("latin-1")
        for name, value in scope["headers"]
        if name in (b"traceparent", b"tracestate")
    }
    return tracer.start_span(
        method,
        _PROPAGATOR.extract(headers) if headers else contexts.Context(),
        SpanKind.SERVER,
        {
            "http.request.method": method,
            "url.scheme": scope.get("scheme", "http"),
            "network.protocol.version": scope.get("http_version", "1.1"),
            "rag.request_id": request_id(scope),
        },
    )


def _end(span: Span, method: str, route: str, status: int, kind: type[Exception] | None) -> None:
    if span.is_recording():
        if route != UNMATCHED:
            span.update_name(f"{method} {route}")
            span.set_attribute("http.route", route)
        span.set_attribute("http.response.status_code", status)
        if status >= 500 and kind is not None:
            failed(span, kind)
        elif status >= 500:
            span.set_attribute("error.type", str(status))
            span.set_status(Status(StatusCode.ERROR))
    span.end()


def _route(scope: MutableMapping[str, Any]) -> str:
    """The template that matched, never the path itself: of those there is no end."""
    found = getattr(scope.get("route"), "path", None)
    if isinstance(found, str):
        return found
    # Starlette's own routes, such as /docs, leave no template, and have no parameter in their path either.
    own = scope.get("endpoint") is not None and not scope.get("path_params")
    return str(scope["path"]) if own else UNMATCHED

"""The stages of a request: each is a span for whoever traces, and seconds for whoever counts."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from types import TracebackType

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer

Attributes = Mapping[str, str | bool | int | float]
SCOPE = "rag_pipelines"
STAGES = ("retrieve", "understand", "embed", "search", "rerank", "judge", "answer")
"""Every name there is, in the order in which a request comes to them."""


@dataclass(slots=True)
class Watch:
    """What one request's stages are told to; `spent` has the seconds of each, however often it was entered."""

    tracer: Tracer
    spent: dict[str, float] = field(default_factory=dict)


_WATCH: ContextVar[Watch | None] = ContextVar("rag_pipelines.watch", default=None)


@contextmanager
def watched(watch: Watch) -> Iterator[Watch]:
    """Stages inside, threads started with a copy of the context included, are told to `watch`."""
    token = _WATCH.set(watch)
    try:
        yield watch
    finally:
        _WATCH.reset(token)


class stage:
    """One stage: a child of the span that is open, of whatever OpenTelemetry is set up with, if anything.

    Without a tracer it costs about a microsecond. A failure leaves its class in the span and never its message,
    in which a question or a passage may stand. Enter and leave it in one thread: not around the `yield` of a
    generator that a server iterates.
    """

    __slots__ = ("_attributes", "_began", "_name", "_span", "_token", "_watch")

    def __init__(self, name: str, attributes: Attributes | None = None) -> None:
        if name not in STAGES:
            raise ValueError(f"there is no stage {name!r}")
        self._name = name
        self._attributes = attributes
        self._token: Token[Context] | None = None

    def __enter__(self) -> Span:
        self._watch = _WATCH.get()
        tracer = self._watch.tracer if self._watch is not None else _tracer_of_the_process()
        kind = SpanKind.CLIENT if self._name == "search" else SpanKind.INTERNAL
        self._span = tracer.start_span(self._name, kind=kind, attributes=self._attributes)
        if self._span.is_recording():
            self._token = contexts.attach(trace.set_span_in_context(self._span))
        self._began = time.perf_counter()
        return self._span

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if self._watch is not None:
            spent = self._watch.spent
            spent[self._name] = spent.get(self._name, 0.0) + time.perf_counter() - self._began
        if self._token is not None:
            contexts.detach(self._token)
            if kind is not None:
                failed(self._span, kind)
            self._span.end()


@functools.cache
def _tracer_of_the_process() -> Tracer:
    """Follows the process's provider, also one that is set later."""
    return trace.get_tracer(SCOPE)


def failed(span: Span, kind: type[BaseException]) -> None:
    """Marks a span by the class of what was raised."""
    span.set_attribute("error.type", kind.__qualname__)
    span.set_status(Status(StatusCode.ERROR, kind.__qualname__))

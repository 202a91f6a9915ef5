"""Lets a bounded number of requests in, ends those that take too long, and refuses the others at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import anyio
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rag_pipelines.config.limits import LimitsConfig
from rag_pipelines.service.gate import Gate
from rag_pipelines.service.problems import problem

PROBES = frozenset({"/healthz", "/readyz", "/metrics"})
"""Asked by machines that must get an answer when everybody else is refused; they have a few slots of their own."""

PROBE_SLOTS = 8
RETRY_SECONDS = "1"
SPARE_THREADS = 8
"""For what stands outside the slots: the ends of requests and of streams."""


def make_room(gate: Gate) -> None:
    """As many threads as requests can be let in, so that none that was waits for one. Call it in the event loop."""
    anyio.to_thread.current_default_thread_limiter().total_tokens = gate.slots + PROBE_SLOTS + SPARE_THREADS


class Admission:
    """A slot is held until the work is done, also where nobody waits for it any more.

    A search in a thread cannot be ended. Whoever asked gets 504 when the time is over, the slot stays taken until
    the thread is free, and so no overload makes more threads than there are slots.
    """

    def __init__(
        self,
        app: ASGIApp,
        gate: Gate,
        config: LimitsConfig,
        refused: Callable[[str], None] = lambda limit: None,
    ) -> None:
        """`refused` is told `concurrency` of who is not let in, and `timeout` of who is let in and not answered."""
        self.app = app
        self._gate = gate
        self._probes = Gate(PROBE_SLOTS)
        self._config = config
        self._refused = refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path: str = scope["path"]
        gate = self._probes if path in PROBES else self._gate
        if not await gate.enter():
            self._refused("concurrency")
            headers = {"Retry-After": RETRY_SECONDS}
            refusal = problem(503, "the service is at its limit; ask again in a moment", path, headers)
            await refusal(scope, receive, self._closing(send))
            return
        await self._work(scope, receive, _Reply(self._closing(send), gate), self._seconds(path))

    async def _work(self, scope: Scope, receive: Receive, reply: _Reply, seconds: float) -> None:
        limit = anyio.CancelScope()
        work = asyncio.create_task(self._run(limit, scope, receive, reply))
        work.add_done_callback(reply.finished)
        try:
            await asyncio.wait((work,), timeout=seconds)
        except asyncio.CancelledError:
            # The server ends, and what is under way has had its time.
            reply.abandoned = True
            limit.cancel()
            if reply.started:
                raise
            ended = problem(503, "the service ended before this was answered", scope["path"])
            await ended(scope, receive, reply.send_anyway)
            return
        if work.done():
            work.result()
            return
        self._gate.timed_out += 1
        self._refused("timeout")
        reply.abandoned = True
        limit.cancel()  # ends what waits or streams; a thread is waited for
        if not reply.started:
            late = problem(504, f"no answer within {seconds:g} s", scope["path"])
            await late(scope, receive, reply.send_anyway)

    async def _run(self, limit: anyio.CancelScope, scope: Scope, receive: Receive, reply: _Reply) -> None:
        with limit:
            await self.app(scope, receive, reply.send)

    def _seconds(self, path: str) -> float:
        answering = path.endswith("/answer")
        return self._config.answer_timeout_seconds if answering else self._config.timeout_seconds

    def _closing(self, send: Send) -> Send:
        """While the process drains, callers are told to connect anew, which is elsewhere."""
        if not self._gate.draining:
            return send

        async def closing(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Connection"] = "close"
            await send(message)

        return closing


class _Reply:
    """The response of one request, and its slot."""

    def __init__(self, send: Send, gate: Gate) -> None:
        self.send_anyway = send
        self.started = False
        self.abandoned = False
        self._gate = gate
        self._holds = True

    async def send(self, message: Message) -> None:
        """Pass it on. A caller who reads slowly holds no slot: with the last part the work is done."""
        if self.abandoned:
            return
        self.started = True
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            self._release()
        await self.send_anyway(message)

    def finished(self, work: asyncio.Task[None]) -> None:
        """Nobody is left who would hear of an error of abandoned work."""
        self._release()
        if self.abandoned and not work.cancelled():
            work.exception()

    def _release(self) -> None:
        if self._holds:
            self._holds = False
            self._gate.leave()

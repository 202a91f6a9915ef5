"""Runs the application: limits on connections that uvicorn does not have, and an orderly end."""

from __future__ import annotations

import asyncio
import signal
import socket
import time
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI
from starlette.types import Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from rag_pipelines.config.limits import LimitsConfig
from rag_pipelines.service.gate import Gate

MOST_HEAD_BYTES = 32 * 1024


class PatientProtocol(H11Protocol):
    """HTTP/1.1 that closes a connection whose next request line and headers do not arrive within `head_seconds`.

    uvicorn itself waits for them for ever, and every such connection counts towards its limit.
    """

    head_seconds = 10.0
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """The first request is awaited."""
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        """A request that is under way is the application's; anything else is a head that has begun."""
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._forget_head()
        else:
            self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is awaited any more."""
        self._forget_head()
        super().connection_lost(exc)

    def _await_head(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(self.head_seconds, self.transport.abort)

    def _forget_head(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class Plain:
    """The application, whose own errors at the start are told by whoever runs it instead of as a traceback."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    @property
    def fault(self) -> Exception | None:
        """One of this package's errors, with which it could not be opened."""
        found: Exception | None = getattr(self._app.state, "fault", None)
        return found

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or the lifespan."""
        await self._app(scope, receive, self._told(send) if scope["type"] == "lifespan" else send)

    def _told(self, send: Send) -> Send:
        async def told(message: Message) -> None:
            failed = message["type"] == "lifespan.startup.failed" and self.fault is not None
            await send({**message, "message": ""} if failed else message)

        return told


class DrainingServer(uvicorn.Server):
    """Ends in steps: told by SIGTERM it says that it is not ready, and serves on for `drain_seconds`.

    Then it accepts nothing more and finishes what is under way. SIGINT skips the first step. A second signal ends
    the process at once: what it was about to write is whole or absent, as after a kill.
    """

    def __init__(self, config: uvicorn.Config, plain: Plain, gate: Gate, drain_seconds: float) -> None:
        super().__init__(config)
        self._plain = plain
        self._gate = gate
        self._drain_seconds = drain_seconds
        self._ends_at: float | None = None

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Until it is told to end. Raises what the application could not be opened for, such as ConfigError."""
        try:
            super().run(sockets)
        except SystemExit:
            if self._plain.fault is not None:
                raise self._plain.fault from None
            raise

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Called by the interpreter, between two steps of the event loop."""
        if self._ends_at is not None:
            signal.signal(sig, signal.SIG_DFL)
            signal.raise_signal(sig)
        super().handle_exit(sig, frame)
        self.should_exit = False  # until the time is over
        self._gate.draining = True
        self._ends_at = time.monotonic() + (self._drain_seconds if sig == signal.SIGTERM else 0)

    async def on_tick(self, counter: int) -> bool:
        """Called ten times a second."""
        if self._ends_at is not None and time.monotonic() >= self._ends_at:
            self.should_exit = True
        return await super().on_tick(counter)


def server_of(app: FastAPI, limits: LimitsConfig, **settings: Any) -> DrainingServer:
    """A server for an application of `create_app`; `settings` are uvicorn's own, such as host and port."""
    protocol = type("Protocol", (PatientProtocol,), {"head_seconds": limits.head_seconds})
    plain = Plain(app)
    config = uvicorn.Config(
        plain,
        http=protocol,
        ws="none",
        lifespan="on",
        log_level="warning",
        access_log=False,
        server_header=False,
        limit_concurrency=limits.connections,
        timeout_keep_alive=max(1, round(limits.keep_alive_seconds)),
        timeout_graceful_shutdown=round(limits.shutdown_seconds),
        h11_max_incomplete_event_size=MOST_HEAD_BYTES,
        **settings,
    )
    return DrainingServer(config, plain, app.state.gate, limits.drain_seconds)

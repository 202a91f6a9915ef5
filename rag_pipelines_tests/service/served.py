"""A small application behind the real admission and the real server, on loopback, in a thread."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

import uvicorn
from fastapi import FastAPI
from fastapi.responses import StreamingResponse

from rag_pipelines.config.limits import LimitsConfig
from rag_pipelines.service.admission import Admission, make_room
from rag_pipelines.service.gate import Gate
from rag_pipelines.service.problems import BodyLimit, install
from rag_pipelines.service.request_ids import RequestIds
from rag_pipelines.service.server import server_of

PATIENCE = 30.0


@dataclass
class Work:
    """What the routes do: `began` counts the threads in `/work`, which end when `end` is set."""

    end: threading.Event = field(default_factory=threading.Event)
    began: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    app: FastAPI = field(default_factory=FastAPI)
    refused: list[str] = field(default_factory=list)

    @property
    def gate(self) -> Gate:
        """The application's own."""
        gate: Gate = self.app.state.gate
        return gate

    def await_work(self, times: int = 1) -> None:
        """Until so many more requests are worked on."""
        for _ in range(times):
            assert self.began.acquire(timeout=PATIENCE), "nothing was begun"


def made(limits: LimitsConfig) -> Work:
    """The application: `/work` holds a thread, `/stream` streams until it is ended, `/echo` reads its body."""
    gate = Gate(limits.concurrency, limits.waiting, limits.wait_seconds)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        make_room(gate)
        yield

    work = Work(app=FastAPI(lifespan=lifespan))
    work.app.state.gate = gate
    work.app.add_middleware(Admission, gate=gate, config=limits, refused=work.refused.append)
    work.app.add_middleware(BodyLimit, limit=1000, seconds=limits.body_seconds)
    work.app.add_middleware(RequestIds)
    install(work.app)

    @work.app.get("/work")
    def hold() -> str:
        work.began.release()
        work.end.wait(PATIENCE)
        return "done"

    @work.app.get("/quick")
    def quick() -> str:
        return "done"

    @work.app.get("/fault")
    def fault() -> str:
        raise RuntimeError("broken")

    @work.app.post("/echo")
    def echo(body: dict[str, str]) -> dict[str, str]:
        return body

    @work.app.get("/stream")
    def stream() -> StreamingResponse:
        def parts() -> Iterator[bytes]:
            yield b"first"
            work.began.release()
            work.end.wait(PATIENCE)
            yield b"last"

        return StreamingResponse(parts())

    @work.app.get("/healthz")
    def healthz() -> str:
        return "alive"

    return work


@contextmanager
def serving(limits: LimitsConfig) -> Iterator[tuple[str, Work]]:
    """The URL, and what the routes do."""
    work = made(limits)
    server = server_of(work.app, limits, host="127.0.0.1", port=0)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield f"http://127.0.0.1:{port_of(server)}", work
    finally:
        work.end.set()
        server.should_exit = True
        thread.join(PATIENCE)


def port_of(server: uvicorn.Server) -> int:
    """Once it listens."""
    waiting = threading.Event()
    for _ in range(600):
        if server.started:
            break
        waiting.wait(0.05)
    port: int = server.servers[0].sockets[0].getsockname()[1]
    return port

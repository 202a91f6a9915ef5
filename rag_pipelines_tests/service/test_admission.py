"""Slots, the queue, time limits and slow callers, with the real server on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from starlette.concurrency import run_in_threadpool
from starlette.types import Message, Receive, Scope, Send

from rag_pipelines.config.limits import LimitsConfig
from rag_pipelines.service.admission import Admission
from rag_pipelines.service.gate import Gate
from rag_pipelines_tests.service.served import PATIENCE, Work, serving


def get(url: str) -> httpx.Response:
    """On a connection of its own."""
    return httpx.get(url, timeout=PATIENCE)


def wait_for(work: Work, active: int, waiting: int) -> None:
    """Until so many are worked on and so many wait."""
    deadline = time.monotonic() + PATIENCE
    while (work.gate.active, work.gate.waiting) != (active, waiting):
        assert time.monotonic() < deadline, (work.gate.active, work.gate.waiting)
        time.sleep(0.01)


def test_who_finds_no_slot_waits_and_who_finds_no_place_is_refused_at_once() -> None:
    limits = LimitsConfig(concurrency=2, waiting=1, wait_seconds=PATIENCE)
    with serving(limits) as (url, work), ThreadPoolExecutor(3) as pool:
        held = [pool.submit(get, f"{url}/work") for _ in range(2)]
        work.await_work(2)
        waiting = pool.submit(get, f"{url}/quick")
        wait_for(work, 2, 1)
        refused = get(f"{url}/quick")
        assert refused.status_code == 503
        assert refused.headers["Retry-After"] == "1"
        assert refused.headers["content-type"] == "application/problem+json"
        assert refused.headers["X-Request-Id"]
        assert get(f"{url}/healthz").status_code == 200
        assert not waiting.done()
        work.end.set()
        assert [answer.result().status_code for answer in [*held, waiting]] == [200, 200, 200]
        assert (work.gate.active, work.gate.waiting, work.gate.refused) == (0, 0, 1)
        assert work.refused == ["concurrency"]


def test_who_waits_too_long_is_refused() -> None:
    limits = LimitsConfig(concurrency=1, waiting=5, wait_seconds=0.1)
    with serving(limits) as (url, work), ThreadPoolExecutor(1) as pool:
        held = pool.submit(get, f"{url}/work")
        work.await_work()
        assert get(f"{url}/quick").status_code == 503
        wait_for(work, 1, 0)
        work.end.set()
        assert held.result().status_code == 200


def test_late_work_is_answered_with_504_and_keeps_its_slot_until_its_thread_is_free() -> None:
    limits = LimitsConfig(concurrency=1, waiting=0, timeout_seconds=0.2)
    with serving(limits) as (url, work):
        late = get(f"{url}/work")
        assert late.status_code == 504
        assert late.json()["detail"] == "no answer within 0.2 s"
        assert work.gate.active == 1
        assert get(f"{url}/quick").status_code == 503
        work.end.set()
        wait_for(work, 0, 0)
        assert work.gate.timed_out == 1
        assert work.refused == ["timeout", "concurrency"]


def test_work_that_nobody_waits_for_costs_the_event_loop_nothing() -> None:
    """Who tells a thread again and again that it is cancelled does so in every turn of the loop: turns are counted."""
    end = threading.Event()

    async def hold(scope: Scope, receive: Receive, send: Send) -> None:
        await run_in_threadpool(end.wait, PATIENCE)

    async def told() -> tuple[int, int]:
        messages: list[Message] = []
        gate, loop = Gate(1), asyncio.get_running_loop()
        admission = Admission(hold, gate, LimitsConfig(timeout_seconds=0.05))

        async def receive() -> Message:
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            messages.append(message)

        await admission({"type": "http", "path": "/work", "headers": []}, receive, send)
        assert (messages[0]["status"], gate.active) == (504, 1)
        steps = []
        plain = loop.call_soon

        def counted(callback: Any, *arguments: Any, **options: Any) -> asyncio.Handle:
            steps.append(callback)
            return plain(callback, *arguments, **options)

        loop.call_soon = counted  # type: ignore[method-assign,assignment]
        for _ in range(100):
            await asyncio.sleep(0)
        end.set()
        return len(steps), gate.active

    assert asyncio.run(told()) == (100, 1)  # our own, and no other


def test_a_stream_is_cut_when_its_time_is_over() -> None:
    limits = LimitsConfig(concurrency=1, waiting=0, timeout_seconds=1.5)
    with serving(limits) as (url, work):
        with pytest.raises(httpx.RemoteProtocolError):
            get(f"{url}/stream")
        work.end.set()
        wait_for(work, 0, 0)


def test_as_many_threads_as_slots_and_an_error_gives_its_slot_back() -> None:
    limits = LimitsConfig(concurrency=60, waiting=0)
    with serving(limits) as (url, work), ThreadPoolExecutor(59) as pool:
        held: list[Future[httpx.Response]] = [pool.submit(get, f"{url}/work") for _ in range(59)]
        work.await_work(59)
        assert get(f"{url}/fault").status_code == 500
        assert get(f"{url}/quick").status_code == 200
        work.end.set()
        assert {answer.result().status_code for answer in held} == {200}


def connected(url: str) -> socket.socket:
    """A connection of its own."""
    host, port = url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=PATIENCE)


def everything(connection: socket.socket) -> bytes:
    """What comes until the server closes the connection."""
    found = b""
    with contextlib.suppress(ConnectionResetError):
        while block := connection.recv(65536):
            found += block
    return found


def exchange(url: str, *parts: bytes) -> bytes:
    """Send the parts on one connection; everything that comes back until the server closes it."""
    with connected(url) as connection:
        for part in parts:
            connection.sendall(part)
        return everything(connection)


def test_a_body_that_does_not_arrive_gets_408_without_a_slot() -> None:
    head = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n"
    limits = LimitsConfig(concurrency=1, waiting=0, body_seconds=1.0)
    with serving(limits) as (url, work), ThreadPoolExecutor(1) as pool:
        slow = pool.submit(exchange, url, head, b'{"a": ')
        while not slow.done():
            assert work.gate.active == 0
            time.sleep(0.02)
        assert slow.result().startswith(b"HTTP/1.1 408 ")
        assert httpx.post(f"{url}/echo", json={"a": "b"}, timeout=PATIENCE).json() == {"a": "b"}


@pytest.mark.parametrize("part", [b"", b"GET /quick HTTP/1.1\r\nHo"], ids=["nothing", "half a head"])
def test_a_head_that_does_not_arrive_loses_its_connection(part: bytes) -> None:
    with serving(LimitsConfig(head_seconds=1.0, keep_alive_seconds=3600)) as (url, _):
        assert exchange(url, part) == b""


def test_a_second_head_that_does_not_arrive_loses_its_connection_too() -> None:
    limits = LimitsConfig(head_seconds=1.0, keep_alive_seconds=3600)
    with serving(limits) as (url, _), connected(url) as connection:
        connection.sendall(b"GET /quick HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 OK")
        connection.sendall(b"GET /qui")
        assert everything(connection).count(b"HTTP/1.1") == 0


def test_a_head_without_end_is_refused() -> None:
    with serving(LimitsConfig()) as (url, _):
        found = exchange(url, b"GET /quick HTTP/1.1\r\nX: ", b"a" * 100_000)
        assert not found or found.startswith(b"HTTP/1.1 400 ")


def test_slow_work_outlives_the_time_for_a_head() -> None:
    with serving(LimitsConfig(head_seconds=0.2)) as (url, work), ThreadPoolExecutor(1) as pool:
        held = pool.submit(get, f"{url}/work")
        work.await_work()
        threading.Event().wait(0.5)
        work.end.set()
        assert held.result().status_code == 200


def test_slots_go_to_those_who_wait_longest_and_none_is_lost() -> None:
    async def told() -> tuple[list[str], int, int]:
        gate = Gate(1, waiting=3, wait_seconds=PATIENCE)
        order: list[str] = []

        async def come(name: str) -> None:
            assert await gate.enter()
            order.append(name)
            gate.leave()

        assert await gate.enter()
        tasks = [asyncio.create_task(come(name)) for name in ("first", "gone", "third")]
        await asyncio.sleep(0)
        tasks[1].cancel()
        await asyncio.sleep(0)
        gate.leave()
        await asyncio.wait(tasks)
        # Cancelled in the very moment in which it got the slot, it passes it on.
        assert await gate.enter()
        late = asyncio.create_task(come("late"))
        await asyncio.sleep(0)
        gate.leave()
        late.cancel()
        await asyncio.wait([late])
        return order, gate.active, gate.waiting

    assert asyncio.run(told()) == (["first", "third"], 0, 0)

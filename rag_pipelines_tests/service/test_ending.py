"""How the service ends: not ready first, then nothing new, then what is under way, and at once when told twice."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import pytest
from fastapi.testclient import TestClient

from rag_pipelines.config.limits import RateConfig
from rag_pipelines_tests.project import Project
from rag_pipelines_tests.service.conftest import LEAVE, SETTINGS, running
from rag_pipelines_tests.service.served import PATIENCE
from rag_pipelines_tests.shared_data import ROOT

PROGRAM = """
import sys, time
from rag_pipelines.config.limits import LimitsConfig
from rag_pipelines.service.server import server_of
from rag_pipelines_tests.service.served import made

limits = LimitsConfig(drain_seconds=float(sys.argv[2]), shutdown_seconds=float(sys.argv[3]))
work = made(limits)

@work.app.get("/brief")
def brief():
    time.sleep(4)
    return "done"

@work.app.get("/state")
def state():
    return {"active": work.gate.active, "draining": work.gate.draining}

server_of(work.app, limits, host="127.0.0.1", port=int(sys.argv[1])).run()
"""


@contextmanager
def process(drain: float, shutdown: float) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The small application in a process of its own: its URL, once it listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-c", PROGRAM, str(port), str(drain), str(shutdown)]
    with subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}) as started:
        try:
            url = f"http://127.0.0.1:{port}"
            until(lambda: answers(url), started)
            yield url, started
        finally:
            started.kill()


def until(holds: object, started: subprocess.Popen[bytes]) -> None:
    """Wait until the condition holds."""
    deadline = time.monotonic() + PATIENCE
    while not holds():  # type: ignore[operator]
        assert time.monotonic() < deadline
        assert started.poll() is None
        time.sleep(0.02)


def answers(url: str) -> bool:
    """Whether anybody listens."""
    try:
        return httpx.get(f"{url}/state", timeout=PATIENCE).status_code == 200
    except httpx.TransportError:
        return False


def state(url: str) -> dict[str, object]:
    """Requests under way, this one among them, and whether the process is about to end."""
    found: dict[str, object] = httpx.get(f"{url}/state", timeout=PATIENCE).json()
    return found


def hold(url: str, pool: ThreadPoolExecutor, started: subprocess.Popen[bytes]) -> Future[httpx.Response]:
    """A request that is worked on for longer than anybody waits."""
    held = pool.submit(httpx.get, f"{url}/work", timeout=PATIENCE)
    until(lambda: state(url)["active"] == 2, started)
    return held


@pytest.mark.slow
def test_told_to_end_it_says_so_serves_on_and_then_finishes_what_is_under_way() -> None:
    with ThreadPoolExecutor(1) as pool, process(drain=1, shutdown=PATIENCE) as (url, started):
        started.send_signal(signal.SIGTERM)
        until(lambda: state(url)["draining"], started)
        served = httpx.get(f"{url}/quick", timeout=PATIENCE)
        assert (served.status_code, served.headers["Connection"]) == (200, "close")
        held = pool.submit(httpx.get, f"{url}/brief", timeout=PATIENCE)
        until(lambda: not answers(url), started)  # nothing new, and the old one goes on
        assert not held.done()
        assert held.result().json() == "done"
        assert started.wait(PATIENCE) == -signal.SIGTERM


@pytest.mark.slow
def test_the_time_for_what_is_under_way_is_limited() -> None:
    with ThreadPoolExecutor(1) as pool, process(drain=0, shutdown=1) as (url, started):
        held = hold(url, pool, started)
        started.send_signal(signal.SIGTERM)
        answer = held.result(PATIENCE)
        assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
        assert started.wait(PATIENCE) == -signal.SIGTERM


@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_it_at_once(sent: signal.Signals) -> None:
    with ThreadPoolExecutor(1) as pool, process(drain=300, shutdown=300) as (url, started):
        held = hold(url, pool, started)
        started.send_signal(signal.SIGTERM)
        until(lambda: state(url)["draining"], started)
        started.send_signal(sent)
        assert started.wait(PATIENCE) == -sent
        with pytest.raises(httpx.TransportError):
            held.result(PATIENCE)


def test_readiness_says_that_the_service_is_about_to_end(client: TestClient) -> None:
    gate = client.app.state.gate  # type: ignore[attr-defined]
    assert client.get("/readyz").status_code == 200
    gate.draining = True
    try:
        answer = client.get("/readyz")
        assert (answer.status_code, answer.json()["detail"]) == (503, "the service is about to end")
        assert client.get("/healthz").status_code == 200
        assert client.post("/v1/indexes/knowledge/search", json={"query": "leave"}).status_code == 200
    finally:
        gate.draining = False


def test_the_application_limits_how_often_it_is_asked(small: Project) -> None:
    rate = RateConfig(per_second=0.01, burst=2).model_dump()
    small.configure("service", {**SETTINGS, "limits": {"per_credential": rate}})
    small.write("leave.md", LEAVE)
    small.sync()
    with running(small) as client:
        answers = [client.post("/v1/indexes/knowledge/search", json={"query": "leave"}) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert 90 <= int(answers[2].headers["Retry-After"]) <= 100
        assert answers[2].headers["content-type"] == "application/problem+json"
        assert client.get("/v1/indexes").status_code == 429
        assert client.get("/healthz").status_code == 200

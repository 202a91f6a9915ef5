"""The query service in a process of its own, and a steady load of queries on it."""

from __future__ import annotations

import itertools
import os
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from rag_pipelines_tests.benchmarks.editions import INDEX, EditionsProject, pages_of, telling, wrong_passages

K = 10
THREADS = 16
SEED = 20261122
PATIENCE_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Answer:
    """One query: when it was due and answered, what it stated, and what was wrong with it."""

    due: float
    at: float
    version: int | None = None
    error: str = ""
    mixed: tuple[str, ...] = ()
    pages: tuple[int, ...] = ()


class Load:
    """Asks at a steady rate from several threads until it is told to stop."""

    def __init__(self, url: str, rate: float, pages: int) -> None:
        self.answers: list[Answer] = []
        self._url = url
        self._rate = rate
        self._low = range(8)
        self._telling = [page for page in range(pages) if telling(page)]
        self._over = threading.Event()
        self._slots = itertools.count()
        self._began = time.monotonic()
        self._threads = [threading.Thread(target=self._run, args=(n,), daemon=True) for n in range(THREADS)]

    def __enter__(self) -> Load:
        self._began = time.monotonic()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(PATIENCE_SECONDS)

    def _run(self, number: int) -> None:
        draw = random.Random(SEED + number)
        with httpx.Client(base_url=self._url, timeout=30) as client:
            while not self._over.is_set():
                due = self._began + next(self._slots) / self._rate
                if self._over.wait(max(due - time.monotonic(), 0)):
                    return
                # The pages that go are those of the lowest numbers.
                page = draw.choice(self._low if draw.random() < 0.2 else self._telling)
                self.answers.append(
                    _ask(client, due, f"Page {page}: when is the pump of hall {page} checked?")
                )


def _ask(client: httpx.Client, due: float, query: str) -> Answer:
    try:
        response = client.post(f"/v1/indexes/{INDEX}/search", json={"query": query, "k": K})
    except httpx.HTTPError as error:
        return Answer(due, time.monotonic(), error=f"{type(error).__name__}: {error}")
    at = time.monotonic()
    if response.status_code != 200:
        return Answer(due, at, error=f"{response.status_code}: {response.text[:200]}")
    body = response.json()
    version, passages = body["version"], body["passages"]
    short = "" if len(passages) == K else f"version {version} answered {len(passages)} passages, not {K}"
    return Answer(
        due, at, version, short, tuple(wrong_passages(version, passages)), tuple(pages_of(passages))
    )


@contextmanager
def service(project: EditionsProject) -> Iterator[str]:
    """The query service in a process of its own, ready; its URL."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "rag_pipelines.cli", "serve", "--port", str(port)]
    theirs = ("DAGSTER_", "RAG_")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(theirs)}
    log = (project.root / "service.log").open("wb")
    with (
        log,
        subprocess.Popen(command, env={**clean, **project.variables}, stdout=log, stderr=log) as process,
    ):
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_until_ready(process, url, project.root / "service.log")
            yield url
        finally:
            process.terminate()


def _wait_until_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{url}/readyz", timeout=30).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.1)
    raise SystemExit(f"the service does not start: {log.read_text(encoding='utf-8')[-2000:]}")

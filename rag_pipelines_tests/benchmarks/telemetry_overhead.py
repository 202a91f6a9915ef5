"""What tracing and metrics add to a search: the same questions with and without, in pairs, in one process.

    python -m rag_pipelines_tests.benchmarks.telemetry_overhead [--pages 2000] [--searches 400] [--json]

A synthetic project is synced once. Then four applications over it answer each question in turn, in an order that is
drawn anew for every question: all off; metrics alone; traces alone, exported by OTLP over HTTP to a collector on
loopback that takes and forgets them; both. A request goes through the whole application, in process and without a
socket. Differences are of pairs, of one question each, so that whatever slows the machine slows both.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
from fastapi.testclient import TestClient

from rag_pipelines.service.app import create_app
from rag_pipelines_tests.project import Project

SEED = 29
WARMING = 20
WORDS = 4000
KINDS: dict[str, dict[str, Any]] = {
    "off": {"metrics": False, "traces": False},
    "metrics": {"metrics": True, "traces": False},
    "traces": {"metrics": False, "traces": True},
    "both": {"metrics": True, "traces": True},
}
ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


@dataclass(frozen=True, slots=True)
class Overhead:
    """Milliseconds of one kind, and of what it takes longer than `off` on the same question."""

    kind: str
    searches: int
    p50: float
    p95: float
    more_p50: float
    more_mean: float
    low: float
    high: float


def measure(pages: int, searches: int, root: Path) -> list[Overhead]:
    """One line a kind; `low` and `high` are the 95 % bootstrap interval of the mean difference."""
    draw = random.Random(SEED)
    project = Project(root / "project")
    words = [f"word{number}" for number in range(WORDS)]
    for number in range(pages):
        text = " ".join(draw.choices(words, k=80))
        project.write(f"page{number}.md", f"# Page {number}\n\n{text}\n")
    project.sync()
    questions = [" ".join(draw.choices(words, k=6)) for _ in range(searches + WARMING)]
    taken: dict[str, list[float]] = {kind: [] for kind in KINDS}
    with _collector() as url, _clients(project, url) as clients:
        for question in questions:
            for kind in draw.sample(list(KINDS), len(KINDS)):
                taken[kind].append(_asked(clients[kind], question))
    off = np.array(taken["off"][WARMING:])
    return [_overhead(kind, np.array(taken[kind][WARMING:]), off) for kind in KINDS]


def _asked(client: TestClient, question: str) -> float:
    began = time.perf_counter()
    answer = client.post("/v1/indexes/knowledge/search", json={"query": question, "k": 10})
    seconds = time.perf_counter() - began
    if answer.status_code != 200:
        raise SystemExit(answer.text)
    return 1000 * seconds


def _overhead(kind: str, taken: Any, off: Any) -> Overhead:
    more = taken - off
    drawn = np.random.default_rng(SEED).choice(more, (2000, len(more))).mean(axis=1)
    low, high = np.percentile(drawn, (2.5, 97.5))
    p50, p95 = np.percentile(taken, (50, 95))
    return Overhead(
        kind,
        len(taken),
        *(float(number) for number in (p50, p95, np.median(more), more.mean(), low, high)),
    )


@contextlib.contextmanager
def _clients(project: Project, url: str) -> Iterator[dict[str, TestClient]]:
    before = os.environ.get(ENDPOINT)
    os.environ[ENDPOINT] = url
    try:
        with contextlib.ExitStack() as opened:
            clients = {}
            for kind, telemetry in KINDS.items():
                settings = {"principal": {"tenant": "acme", "groups": ["staff"]}, "telemetry": telemetry}
                project.configure("service", settings)
                with project.workspace() as workspace:
                    app = create_app(project.environment, workspace.configuration)
                clients[kind] = opened.enter_context(TestClient(app, base_url="http://localhost"))
            yield clients
    finally:
        os.environ.pop(ENDPOINT)
        if before is not None:
            os.environ[ENDPOINT] = before


@contextlib.contextmanager
def _collector() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def stage_microseconds(times: int = 100_000) -> float:
    """Of one stage that nobody watches: what retrieval pays where telemetry is off."""
    from rag_pipelines.core.stages import stage

    began = time.perf_counter()
    for _ in range(times):
        with stage("embed"):
            pass
    return 1e6 * (time.perf_counter() - began) / times


def table(found: Sequence[Overhead]) -> str:
    """Markdown."""
    lines = [
        "| telemetry | searches | p50 ms | p95 ms | median of differences ms | mean ms | 95 % interval |",
        "|---|" + "---:|" * 6,
    ]
    lines += [
        f"| {one.kind} | {one.searches} | {one.p50:.2f} | {one.p95:.2f} | {one.more_p50:+.3f} "
        f"| {one.more_mean:+.3f} | {one.low:+.3f} to {one.high:+.3f} |"
        for one in found
    ]
    return "\n".join(lines)


def main() -> None:
    """Print a table, or one JSON object a line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--pages", type=int, default=2000)
    parser.add_argument("--searches", type=int, default=400)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rag-telemetry-") as folder:
        found = measure(options.pages, options.searches, Path(folder))
    idle = stage_microseconds()
    if options.json:
        for one in found:
            print(json.dumps(asdict(one)))
        print(json.dumps({"stage_microseconds": idle}))
        return
    print(table(found))
    print(f"\nA stage that nobody watches: {idle:.2f} microseconds. Load: {os.getloadavg()[0]:.1f}.")


if __name__ == "__main__":
    main()

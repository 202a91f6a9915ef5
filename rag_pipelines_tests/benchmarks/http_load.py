"""A client in a process of its own that asks one URL over and over, as plainly as can be: it shares the machine.

    python -m rag_pipelines_tests.benchmarks.http_load < PLAN.json

The plan is `{url, bodies, clients, seconds, rate, token}`. Without a rate every client asks again as soon as it is
answered. With one, questions go out on a fixed schedule over at most `clients` connections, latency counts from the
time at which a question was due, and one that finds no connection free is counted as not sent. Prints one JSON
object: status -> number and percentiles, and what was kept by the service.
"""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import urlsplit

import numpy as np

SHARES = (50, 95, 99)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to ask, of whom, how often and for how long."""

    url: str
    bodies: Sequence[dict[str, Any]]
    clients: int
    seconds: float
    rate: float | None = None
    token: str | None = None
    seed: int = 20261123


@dataclass(slots=True)
class Tally:
    """Status (0: no answer) -> milliseconds of each."""

    sent: int = 0
    missed: int = 0
    hits: int = 0
    delays: dict[int, list[float]] = field(default_factory=dict)

    def report(self, seconds: float) -> dict[str, Any]:
        """For people and programs."""
        statuses = {
            str(status): {
                "count": len(delays),
                **{f"p{share}": round(float(np.percentile(delays, share)), 2) for share in SHARES},
                "max": round(max(delays), 2),
            }
            for status, delays in sorted(self.delays.items())
        }
        return {
            "seconds": round(seconds, 2),
            "sent": self.sent,
            "missed": self.missed,
            "hits": self.hits,
            "statuses": statuses,
        }


class Connection:
    """One connection that is used again while the service keeps it."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes) -> tuple[int, bool]:
        """The status, 0 where there was no answer, and whether it came from the service's memory."""
        try:
            if self._streams is None:
                self._streams = await asyncio.open_connection(self._host, self._port)
            reader, writer = self._streams
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
        except (OSError, asyncio.IncompleteReadError, IndexError):
            self.close()
            return 0, False
        if b"connection: close" in head:
            self.close()
        return int(head[9:12]), b"x-cache: hit" in head

    def close(self) -> None:
        """The next question connects anew."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


def requests_of(plan: Plan) -> list[bytes]:
    """The bytes of each question."""
    parts = urlsplit(plan.url)
    made = []
    for asked in plan.bodies:
        body = json.dumps(asked).encode()
        lines = [
            f"POST {parts.path} HTTP/1.1",
            f"Host: {parts.netloc}",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
            *([f"Authorization: Bearer {plan.token}"] if plan.token else []),
        ]
        made.append("\r\n".join([*lines, "", ""]).encode() + body)
    return made


async def ask_all(plan: Plan) -> dict[str, Any]:
    """Carry the plan out."""
    tally, requests, draw = Tally(), requests_of(plan), random.Random(plan.seed)
    began = time.perf_counter()

    async def ask(connection: Connection, due: float) -> None:
        tally.sent += 1
        status, hit = await connection.ask(draw.choice(requests))
        tally.hits += hit
        tally.delays.setdefault(status, []).append((time.perf_counter() - due) * 1000)

    async def again_and_again() -> None:
        connection = Connection(plan.url)
        while time.perf_counter() < began + plan.seconds:
            await ask(connection, time.perf_counter())
        connection.close()

    if plan.rate is None:
        await asyncio.gather(*(again_and_again() for _ in range(plan.clients)))
    else:
        await _on_schedule(plan, ask, tally, began)
    return tally.report(time.perf_counter() - began)


async def _on_schedule(plan: Plan, ask: Any, tally: Tally, began: float) -> None:
    free = [Connection(plan.url) for _ in range(plan.clients)]
    under_way: set[asyncio.Task[None]] = set()

    async def on(connection: Connection, due: float) -> None:
        await ask(connection, due)
        free.append(connection)

    for number in range(int((plan.rate or 0) * plan.seconds)):
        due = began + number / (plan.rate or 1)
        if (pause := due - time.perf_counter()) > 0:
            await asyncio.sleep(pause)
        elif number % 50 == 0:
            await asyncio.sleep(0)
        if not free:
            tally.missed += 1
            await asyncio.sleep(0)
            continue
        task = asyncio.create_task(on(free.pop(), due))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
    await asyncio.gather(*under_way)


def carried_out(plan: Plan) -> dict[str, Any]:
    """The report of a plan, from a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "rag_pipelines_tests.benchmarks.http_load"],
        input=json.dumps(asdict(plan)).encode(),
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"the client failed: {done.stderr.decode()[-2000:]}")
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def statuses(reports: Sequence[dict[str, Any]]) -> Counter[str]:
    """Status -> number, over several reports."""
    return sum(
        (
            Counter({status: figures["count"] for status, figures in report["statuses"].items()})
            for report in reports
        ),
        Counter(),
    )


if __name__ == "__main__":
    print(json.dumps(asyncio.run(ask_all(Plan(**json.load(sys.stdin))))))

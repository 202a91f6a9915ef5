"""How many lines a second the audit log takes and verifies, on SQLite and on Postgres, with real flushes.

    python -m rag_pipelines_tests.benchmarks.audit_log --lines 1000000

Every append is a search as the service remembers it: a line of the chain and a row of the searches, handed over by
so many threads at once, each of which waits for its own (strict) or not (fast).
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import sqlalchemy as sa

from rag_pipelines.catalog import audit
from rag_pipelines.catalog.audit import AuditLog
from rag_pipelines.catalog.searches import Search
from rag_pipelines.catalog.store import Catalog, now, open_catalog
from rag_pipelines.config.memory import AuditConfig
from rag_pipelines.config.policy import PolicyConfig
from rag_pipelines.core.events import Event
from rag_pipelines.service.memory import Memory
from rag_pipelines_tests.databases import FAST, postgres_server

DOCUMENTS = tuple(f"00000000-0000-5000-8000-{number:012d}" for number in range(8))
SHOWN = tuple(
    (f"11111111-0000-5000-8000-{number:012d}", DOCUMENTS[number], number + 1) for number in range(8)
)
BULK = 5_000
KINDS = ["sqlite", "postgresql"]
BESIDE = "strict beside a sync"


SYNCING = """
import sys
from rag_pipelines.catalog import documents
from rag_pipelines.catalog.store import open_catalog
from rag_pipelines_tests.catalog.rows import listed

catalog, number = open_catalog(sys.argv[1]), 0
while True:
    rows = [listed(f"{number + one}.md") for one in range(500)]
    with catalog.begin() as tx:
        documents.save_listed(tx, rows)
    if not number:
        print("ready", flush=True)
    number += 500
"""
"""A process that writes to the catalog as fast as it can, in transactions of the size that a listing has."""


@dataclass(frozen=True)
class Appended:
    """Milliseconds are what one thread waited for one search."""

    database: str
    mode: str
    threads: int
    searches: int
    a_second: float
    p50: float
    p95: float
    p99: float


@dataclass(frozen=True)
class Checked:
    """A chain of so many lines; `peak_mb` is the largest the process has been."""

    database: str
    lines: int
    bulk_a_second: float
    verify_seconds: float
    verified_a_second: float
    peak_mb: float


def event(number: int) -> Event:
    """A search with eight documents."""
    details = {"version": 7, "passages": 8, "documents": list(DOCUMENTS), "answerable": True}
    return Event("search", "user:ana", "knowledge", "acme", "key:k1", f"{number:032x}", details)


def appended(catalog: Catalog, mode: str, threads: int, count: int) -> Appended:
    """`count` searches of `threads` threads."""
    policy = PolicyConfig(audit=AuditConfig.model_validate({"mode": mode.split(maxsplit=1)[0]}))
    memory = Memory(catalog, policy)
    memory.searched(event(0), search(0))

    def remember(number: int) -> float:
        began = time.perf_counter()
        memory.searched(event(number), search(number))
        return time.perf_counter() - began

    began = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        waited = np.array(list(pool.map(remember, range(count)))) * 1000
    memory.close()
    seconds = time.perf_counter() - began
    p50, p95, p99 = (float(value) for value in np.percentile(waited, [50, 95, 99]))
    return Appended(catalog.dialect, mode, threads, count, count / seconds, p50, p95, p99)


def search(number: int) -> Search:
    """What the row of it says."""
    query = "How many days of leave can I carry over?"
    return Search(f"{number:032x}", now(), "knowledge", 7, "acme", "ana", SHOWN, query=query)


def checked(catalog: Catalog, lines: int) -> Checked:
    """Fill the chain up to that length, then walk along all of it."""
    log = AuditLog()
    start, _ = audit.head(catalog) or (0, "")
    began = time.perf_counter()
    for at in range(start, lines, BULK):
        with catalog.begin() as tx:
            log.append(tx, *(event(number) for number in range(at, min(at + BULK, lines))))
    filled = time.perf_counter() - began
    began = time.perf_counter()
    result = audit.verify_log(catalog, log)
    seconds = time.perf_counter() - began
    if not result.right or result.lines != lines:
        raise RuntimeError(f"line {result.bad} {result.problem}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Checked(catalog.dialect, lines, (lines - start) / filled, seconds, lines / seconds, peak)


@contextmanager
def databases(folder: Path, kinds: Sequence[str]) -> Iterator[list[str]]:
    """URLs of empty databases that flush to the disk, unlike those of the tests."""
    urls = [f"sqlite:///{folder / 'catalog.sqlite'}"] if "sqlite" in kinds else []
    if "postgresql" not in kinds:
        yield urls
        return
    with postgres_server() as server:
        url = server.create_database()
        admin = sa.create_engine(url, isolation_level="AUTOCOMMIT")
        with admin.connect() as session:
            for setting in FAST:
                session.exec_driver_sql(f"ALTER SYSTEM RESET {setting.split()[0]}")
            session.exec_driver_sql("SELECT pg_reload_conf()")
        admin.dispose()
        yield [*urls, url]


@contextmanager
def syncing(url: str) -> Iterator[None]:
    """Somebody else writes for the length of the block."""
    writer = subprocess.Popen([sys.executable, "-c", SYNCING, url], stdout=subprocess.PIPE, text=True)
    try:
        if writer.stdout is None or writer.stdout.readline() != "ready\n":
            raise RuntimeError("the process that writes did not start")
        yield
    finally:
        writer.kill()
        writer.wait()


def run(urls: list[str], lines: int, count: int, threads: list[int]) -> tuple[list[Checked], list[Appended]]:
    """Both parts on each database; the last row of each is beside a process that writes without a pause."""
    walked, written = [], []
    for url in urls:
        catalog = open_catalog(url)
        walked.append(checked(catalog, lines))
        written += [
            appended(catalog, mode, number, count if number > 1 else max(count // 4, 1))
            for mode in ("strict", "fast")
            for number in threads
        ]
        with syncing(url):
            written.append(appended(catalog, BESIDE, threads[-1], max(count // 4, 1)))
        catalog.close()
    return walked, written


def main() -> None:
    """Print two tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--searches", type=int, default=4_000)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--databases", nargs="+", choices=KINDS, default=KINDS)
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        databases(Path(folder), given.databases) as urls,
    ):
        walked, written = run(urls, given.lines, given.searches, given.threads)
    print(
        "| Database | Lines | Appended a second, 5,000 a transaction | Verify, s | Verified a second | Peak, MB |"
    )
    print("|---|---|---|---|---|---|")
    for one in walked:
        print(
            f"| {one.database} | {one.lines:,} | {one.bulk_a_second:,.0f} | {one.verify_seconds:.1f}"
            f" | {one.verified_a_second:,.0f} | {one.peak_mb:.0f} |"
        )
    print("\n| Database | Mode | Threads | Searches a second | p50, ms | p95, ms | p99, ms |")
    print("|---|---|---|---|---|---|---|")
    for row in written:
        print(
            f"| {row.database} | {row.mode} | {row.threads} | {row.a_second:,.0f} | {row.p50:.2f} | {row.p95:.2f}"
            f" | {row.p99:.2f} |"
        )


if __name__ == "__main__":
    main()

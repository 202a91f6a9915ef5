"""The verbs over a filled catalog, each stage on its own account: statements, rows, work, time, memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from rag_pipelines.catalog.store import Catalog, reading
from rag_pipelines.catalog.tables import metadata
from rag_pipelines.pipeline.chunk import chunk
from rag_pipelines.pipeline.embed import embed
from rag_pipelines.pipeline.observe import observe
from rag_pipelines.pipeline.parse import parse
from rag_pipelines.pipeline.publish import publish
from rag_pipelines.pipeline.rollback import rollback, unpin
from rag_pipelines.pipeline.stage import finish_staging, stage
from rag_pipelines.pipeline.sync import mark_synced
from rag_pipelines_tests.benchmarks.statements import Ledger, Plan, explain, explainable
from rag_pipelines_tests.benchmarks.synthetic import INDEX, SHARDS, SOURCE, Corpus, SyntheticWorkspace

LARGE = 1_000
"""Rows of a table that nothing after the listing may read whole."""

LISTING = "observe"


@dataclass(frozen=True, slots=True)
class Cost:
    """One stage of one sync; `looked`: rows that Postgres's scans met, `steps`: thousands of SQLite's instructions."""

    change: str
    stage: str
    seconds: float
    statements: int
    read: int
    written: int
    steps: float
    looked: int
    peak_mb: float


def edit(corpus: Corpus, numbers: Sequence[int]) -> None:
    """Another first paragraph."""
    for number in numbers:
        corpus.editions[number] = corpus.editions.get(number, 1) + 1


def add(corpus: Corpus, numbers: Sequence[int]) -> None:
    """So many new ones behind the others."""
    corpus.documents += len(numbers)


def delete(corpus: Corpus, numbers: Sequence[int]) -> None:
    """They are gone."""
    corpus.missing.update(numbers)


def move(corpus: Corpus, numbers: Sequence[int]) -> None:
    """Under another uri, with the same bytes."""
    corpus.moved.update(numbers)


def regrade(corpus: Corpus, numbers: Sequence[int]) -> None:
    """Readable by others than before."""
    corpus.regraded.update(numbers)


CHANGES: dict[str, Callable[[Corpus, Sequence[int]], None]] = {
    "edited": edit,
    "added": add,
    "deleted": delete,
    "moved": move,
    "regraded": regrade,
}


class Bench:
    """One filled catalog; changes documents that no change has touched yet.

    Statements are explained once `large`, the tables that must not be read whole, is set.
    """

    def __init__(self, workspace: SyntheticWorkspace, ledger: Ledger) -> None:
        self.workspace = workspace
        self.ledger = ledger
        self.costs: list[Cost] = []
        self.plans: dict[tuple[str, str], Plan] = {}
        self.large: dict[str, int] = {}
        self._looked: int | None = None
        self._next = 0

    def sync(self, change: str) -> None:
        """Every stage, each on its own account."""
        shards = range(SHARDS)
        source = (self.workspace, SOURCE)
        index = (self.workspace, INDEX, SOURCE)
        with self._measured(change, LISTING):
            observe(*source, change)
        with self._measured(change, "parse"):
            parse(*source, shards, change)
        with self._measured(change, "chunk"):
            chunk(*index, shards, change)
        with self._measured(change, "embed"):
            embed(*index, shards, change)
        with self._measured(change, "stage"):
            stage(*index, shards, change)
            finish_staging(*index)
            mark_synced(*source)
        with self._measured(change, "publish"):
            publish(self.workspace, INDEX, change)
        self._explain(change)

    def change(self, kind: str, amount: int) -> str:
        """Change so many documents and sync; returns the name of the change."""
        CHANGES[kind](self.workspace.corpus, self._draw(amount))
        name = f"{amount} {kind}"
        self.sync(name)
        return name

    def go_back(self) -> None:
        """Roll back, sync a deletion while pinned, let go."""
        with self._measured("rollback", "rollback"):
            rollback(self.workspace, INDEX)
        self._explain("rollback")
        CHANGES["deleted"](self.workspace.corpus, self._draw(10))
        self.sync("10 deleted, pinned")
        with self._measured("unpin", "publish"):
            unpin(self.workspace, INDEX)
            publish(self.workspace, INDEX)
        self._explain("unpin")

    def _explain(self, change: str) -> None:
        """While the tables are as the change left them; the first of many like statements stands for all."""
        self._looked = None
        for (stage_, sql), tally in list(self.ledger.entries.items()):
            if stage_.startswith(f"{change}: ") and self.large and explainable(sql):
                self.plans[stage_, sql] = explain(self.workspace.catalog.engine, tally, self.large)

    def _draw(self, amount: int) -> list[int]:
        """Spread over the corpus, so that they do not share pages of a table."""
        corpus = self.workspace.corpus
        found: list[int] = []
        while len(found) < amount:
            number = self._next * 7919 % corpus.documents
            self._next += 1
            if not corpus.refused(number):
                found.append(number)
        return found

    @contextmanager
    def _measured(self, change: str, stage_: str) -> Iterator[None]:
        catalog = self.workspace.catalog
        before = looked_at(catalog) if self._looked is None else self._looked
        forget_peak()
        self.ledger.stage = f"{change}: {stage_}"
        began = time.perf_counter()
        yield
        seconds = time.perf_counter() - began
        total = self.ledger.total(self.ledger.stage)
        self.ledger.stage = ""
        self._looked = looked_at(catalog)
        looked = self._looked - before
        self.costs.append(
            Cost(
                change,
                stage_,
                seconds,
                total.calls,
                total.read,
                total.written,
                total.steps,
                looked,
                peak_mb(),
            )
        )


def looked_at(catalog: Catalog) -> int:
    """Rows that the scans of tables and indexes have looked at so far; 0 on SQLite."""
    if catalog.dialect == "sqlite":
        return 0
    # A session tells what it did when it ends.
    catalog.engine.dispose()
    others = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    with catalog.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as session:
        while session.exec_driver_sql(f"{others} AND backend_type = 'client backend'").scalar():
            time.sleep(0.01)
        statement = (
            "SELECT (SELECT sum(seq_tup_read) FROM pg_stat_user_tables)"
            " + (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes)"
        )
        return int(session.exec_driver_sql(statement).scalar_one())


def sizes(catalog: Catalog) -> tuple[dict[str, int], float]:
    """Rows of every table, and megabytes of the database."""
    with reading(catalog.engine) as tx:
        rows = {
            table.name: tx.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
            for table in metadata.sorted_tables
        }
        if catalog.dialect == "postgresql":
            size = tx.exec_driver_sql("SELECT pg_database_size(current_database())").scalar_one()
            return rows, size / 1e6
        pages = tx.exec_driver_sql("PRAGMA page_count").scalar_one()
        return rows, pages * tx.exec_driver_sql("PRAGMA page_size").scalar_one() / 1e6


def forget_peak() -> None:
    """From here on `peak_mb` is of what follows (Linux)."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def peak_mb() -> float:
    """The process's largest resident size."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return 0.0

"""Changes of a filled catalog's documents, and what each costs the pass that looks for near-duplicates."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from rag_pipelines.catalog import marks
from rag_pipelines.catalog.store import Row, Transaction, rows_of, upsert
from rag_pipelines.catalog.tables import documents
from rag_pipelines.pipeline.deduplicate import deduplicate
from rag_pipelines_tests.benchmarks.catalog_bench import forget_peak, looked_at, peak_mb
from rag_pipelines_tests.benchmarks.near_duplicate_corpus import FAMILY, CopiesWorkspace
from rag_pipelines_tests.benchmarks.statements import Ledger, Plan, explain, explainable
from rag_pipelines_tests.benchmarks.synthetic import INDEX, SHARDS, SOURCE

EDITS = ("new", "copy", "near copy", "away")


@dataclass(frozen=True, slots=True)
class Cost:
    """One pass; `looked`: rows that Postgres's scans met, `steps`: thousands of SQLite's instructions."""

    change: str
    signed: int
    candidates: int
    regrouped: int
    statements: int
    read: int
    written: int
    steps: float
    looked: int
    seconds: float
    grown_mb: float


class Bench:
    """One filled catalog; changes documents of families that no change has touched yet."""

    def __init__(self, workspace: CopiesWorkspace, ledger: Ledger) -> None:
        self.workspace = workspace
        self.ledger = ledger
        self.costs: list[Cost] = []
        self.plans: dict[tuple[str, str], Plan] = {}
        self.large: dict[str, int] = {}
        self._next = 0

    def edit(self, amount: int) -> None:
        """A quarter each into a new text, another document's, nearly another's, and away from its copy."""
        corpus = self.workspace.copies
        numbers = []
        for place in range(amount):
            kind = EDITS[place % len(EDITS)]
            number = self._family() + (FAMILY - 2 if kind == "away" else 0)
            numbers.append(number)
            if kind == "copy":
                corpus.copied[number] = number + 1
            elif kind == "near copy":
                corpus.resembling[number] = number + 1
            else:
                corpus.editions[number] = 2
        self._remember(number + 1 for number in numbers)
        self._write(numbers)
        self._pass(f"{amount} edited")

    def add(self, amount: int) -> None:
        """Copies of old documents that had none."""
        corpus = self.workspace.copies
        numbers = range(corpus.documents, corpus.documents + amount)
        for number in numbers:
            corpus.copied[number] = self._family()
        corpus.documents += amount
        self._write(numbers)
        self._pass(f"{amount} added")

    def delete(self, amount: int) -> None:
        """Originals, whose copies take their place."""
        numbers = [self._family() + FAMILY - 2 for _ in range(amount)]
        with self.workspace.catalog.begin() as tx:
            tick = marks.next_tick(tx, SOURCE)
            gone = [self.workspace.copies.doc_id(number) for number in numbers]
            tx.execute(sa.update(documents).where(documents.c.doc_id.in_(gone)).values(live=False))
            marks.touch(tx, gone, tick)
        self._pass(f"{amount} deleted")

    def regrade(self, amount: int) -> None:
        """One of a pair is readable by others."""
        numbers = [self._family() + FAMILY - 2 for _ in range(amount)]
        self.workspace.corpus.regraded.update(numbers)
        with self.workspace.catalog.begin() as tx:
            tick = marks.next_tick(tx, SOURCE)
            ids = [self.workspace.copies.doc_id(number) for number in numbers]
            tx.execute(sa.update(documents).where(documents.c.doc_id.in_(ids)).values(acl=["group:board"]))
            marks.touch(tx, ids, tick)
        self._pass(f"rights of {amount} changed")

    def nothing(self) -> None:
        """No document was touched."""
        self._pass("nothing")

    def _family(self) -> int:
        """The first of a family; spread over the corpus, so that they do not share pages of a table."""
        families = self.workspace.copies.documents // FAMILY
        self._next += 1
        return self._next * 7919 % families * FAMILY

    def _remember(self, numbers: Iterable[int]) -> None:
        """Stored texts that a pass may read: an earlier sync would have kept them."""
        for number in numbers:
            self.workspace.blobs.put_parsed(self.workspace.copies.document(number))

    def _write(self, numbers: Sequence[int]) -> None:
        """What listing and parsing would leave."""
        copies, catalog = self.workspace.copies, self.workspace.catalog
        rows = []
        with catalog.begin() as tx:
            tick = marks.next_tick(tx, SOURCE)
            like = _row(tx, copies.doc_id(0))
            for number in numbers:
                text = self.workspace.blobs.put_parsed(copies.document(number))
                if number in copies.copied:
                    self._remember([copies.copied[number]])
                own = {"doc_id": copies.doc_id(number), "uri": copies.item(number).uri}
                rows.append({**like, **own, "parsed_hash": text, "touched": tick})
            upsert(tx, documents, rows, update=("parsed_hash", "touched"))

    def _pass(self, change: str) -> None:
        catalog = self.workspace.catalog
        before = looked_at(catalog)
        forget_peak()
        resident = resident_mb()
        self.ledger.stage = change
        began = time.perf_counter()
        counts = deduplicate(self.workspace, INDEX, SOURCE, range(SHARDS), change)
        seconds = time.perf_counter() - began
        total = self.ledger.total(change)
        self.ledger.stage = ""
        cost = Cost(
            change=change,
            signed=counts["signed"],
            candidates=counts["candidates"],
            regrouped=counts["regrouped"],
            statements=total.calls,
            read=total.read,
            written=total.written,
            steps=total.steps,
            looked=looked_at(catalog) - before,
            seconds=seconds,
            grown_mb=peak_mb() - resident,
        )
        self.costs.append(cost)
        for (stage, sql), tally in list(self.ledger.entries.items()):
            if stage == change and explainable(sql):
                self.plans[stage, sql] = explain(catalog.engine, tally, self.large)


def _row(tx: Transaction, doc_id: str) -> Row:
    return rows_of(tx.execute(sa.select(documents).where(documents.c.doc_id == doc_id)))[0]


def resident_mb() -> float:
    """The process's present resident size."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / 2**20

"""What a change costs near-duplicate detection, by the size of the corpus and of the change.

    python -m rag_pipelines_tests.benchmarks.near_duplicate_scale [--documents 10000,100000,1000000]
        [--changes 1,10,100,1000] [--database sqlite|postgres] [--plans] [--json]

The catalog is filled with documents of 48 random words, every tenth of them a copy (every second copy exact, the
others but for a word), with the signatures, bands, pairs and members that a pass over all leaves; all of them are
computed from the texts. Then documents are edited, a quarter each into a new text, into the text of another document,
into nearly that, and away from being the original of a copy; added as copies of others; deleted so that their copies
are promoted; taken from readers. The rows of the listing and of the parser are written by hand; measured is
`pipeline.deduplicate`, in a process that has not filled the catalog. The source's policy is collapse. Counted are
statements, rows fetched and rows written; on SQLite also the instructions of its virtual machine (thousands), on
Postgres the rows that its scans looked at. `grown` is the process's largest resident size in the pass, less its size
before.

Exit code 1 where a statement reads a large table whole or much more of it than the change asks for. `--plans`
prints the plan of every statement of the 100 edits.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from rag_pipelines.catalog import duplicates
from rag_pipelines_tests.benchmarks.catalog_bench import LARGE, sizes
from rag_pipelines_tests.benchmarks.catalog_scale import PLANNED, WIDTH, dear
from rag_pipelines_tests.benchmarks.near_duplicate_changes import EDITS, Bench, Cost, resident_mb
from rag_pipelines_tests.benchmarks.near_duplicate_corpus import FAMILY, CopiesWorkspace, fill
from rag_pipelines_tests.benchmarks.statements import recorded
from rag_pipelines_tests.benchmarks.synthetic import INDEX
from rag_pipelines_tests.databases import postgres_server

T = TypeVar("T")
TABLES = ("documents", "signatures", "bands", "pairs", "members")
OTHER = 100


@dataclass(slots=True)
class Report:
    """Everything measured on one catalog; `faults` must be empty. `resident_mb` is before the first pass."""

    documents: int
    database: str
    fill_seconds: float = 0.0
    megabytes: float = 0.0
    resident_mb: float = 0.0
    rows: dict[str, int] = field(default_factory=dict)
    duplicates: dict[str, int] = field(default_factory=dict)
    costs: list[Cost] = field(default_factory=list)
    plans: dict[str, tuple[str, ...]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


def measure(home: Path, amount: int, url: str, changes: Sequence[int], other: int = OTHER) -> Report:
    """Every change on a filled catalog, with their faults."""
    with CopiesWorkspace(home, amount, url=url) as workspace:
        catalog = workspace.catalog
        report = Report(amount, catalog.dialect)
        every, report.megabytes = sizes(catalog)
        report.rows = {name: every[name] for name in TABLES}
        report.duplicates = duplicates.count_duplicates(catalog, INDEX)
        with recorded(catalog.engine) as ledger:
            bench = Bench(workspace, ledger)
            bench.large = {table: rows for table, rows in every.items() if rows > LARGE}
            report.resident_mb = resident_mb()
            bench.nothing()
            for number in changes:
                if number * len(EDITS) <= amount // FAMILY:
                    bench.edit(number)
            bench.add(other)
            bench.delete(other)
            bench.regrade(other)
        report.costs = bench.costs
        for (change, sql), plan in bench.plans.items():
            faults = [*plan.faults, *([] if plan.of_few else dear(ledger.entries[change, sql]))]
            report.faults += [f"{fault} (with {change}): {sql}" for fault in faults]
            if change == f"{PLANNED} edited":
                report.plans[sql] = plan.lines
    return report


def filled(home: Path, amount: int, url: str) -> float:
    """Fill, and say how long it took."""
    began = time.perf_counter()
    with CopiesWorkspace(home, amount, url=url) as workspace:
        fill(workspace)
    return time.perf_counter() - began


def apart(function: Callable[..., T], *arguments: Any) -> T:
    """Call it in a process of its own, whose memory is nobody else's."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def measure_apart(database: str, amount: int, changes: Sequence[int]) -> Report:
    """A catalog of that size, filled by one process and changed by another."""
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rag-duplicates-scale-")))
        server = stack.enter_context(postgres_server()) if database == "postgres" else None
        url = server.create_database() if server else ""
        seconds = apart(filled, home, amount, url)
        report = apart(measure, home, amount, url, changes)
    report.fill_seconds = seconds
    return report


def table(report: Report) -> str:
    """Markdown and a few lines."""
    work = "looked at" if report.database == "postgresql" else "kilosteps"
    lines = [
        f"{report.documents:,} documents on {report.database}: filled in {report.fill_seconds:.0f} s, "
        f"{report.megabytes:,.0f} MB; rows: {counted(report.rows)}; {counted(report.duplicates)}; "
        f"resident {report.resident_mb:.0f} MB",
        "",
        f"| change | signed | candidates | regrouped | statements | rows read | rows written | {work} | seconds "
        "| grown MB |",
        "|---|" + "---:|" * 9,
    ]
    lines += [
        f"| {cost.change} | {cost.signed:,} | {cost.candidates:,} | {cost.regrouped:,} | {cost.statements:,} "
        f"| {cost.read:,} | {cost.written:,} | {cost.looked or cost.steps:,.0f} | {cost.seconds:.3f} "
        f"| {cost.grown_mb:,.1f} |"
        for cost in report.costs
    ]
    return "\n".join([*lines, *(f"FAULT: {fault[:WIDTH]}" for fault in report.faults)])


def counted(numbers: dict[str, int]) -> str:
    """Names with their numbers."""
    return ", ".join(f"{name} {number:,}" for name, number in numbers.items())


def main() -> None:
    """Print the tables or one JSON object a size; exit 1 where there are faults."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--documents", default="10000,100000,1000000", help="sizes, with commas")
    parser.add_argument("--changes", default="1,10,100,1000", help="numbers of edited documents, with commas")
    parser.add_argument("--database", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--plans", action="store_true", help="of the largest corpus")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    changes = [int(number) for number in options.changes.split(",")]
    reports = []
    for amount in map(int, options.documents.split(",")):
        reports.append(measure_apart(options.database, amount, changes))
        print(json.dumps(asdict(reports[-1])) if options.json else f"{table(reports[-1])}\n", flush=True)
    if options.plans and not options.json:
        for sql, lines in reports[-1].plans.items():
            print("\n".join([sql, *(f"    {line}" for line in lines), ""]))
    if any(report.faults for report in reports):
        sys.exit(1)


if __name__ == "__main__":
    main()

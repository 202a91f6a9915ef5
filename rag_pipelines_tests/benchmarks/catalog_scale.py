"""What the catalog alone costs a sync, by the size of the corpus and of the change.

    python -m rag_pipelines_tests.benchmarks.catalog_scale [--documents 1000000] [--changes 1,10,100,1000]
        [--database sqlite|postgres] [--url URL] [--workers N] [--plans] [--json]

The catalog is filled with synthetic documents (two chunks each) that went through every stage; then the real verbs run
with a connector, parser, model and engine that cost next to nothing, for 0, 1, 10, ... edited documents and for 100
added, deleted, moved and regraded ones, and a rollback. One document in a hundred is quarantined, as many are excluded
and as many went long ago. Counted are statements, rows fetched and rows written in each stage; on SQLite also the
instructions of its virtual machine (thousands), on Postgres the rows that its scans looked at, which tell of reading
that no result shows.

The listing reads one row for each document: that is the promise. Whatever follows may read and write in proportion to
the change and not to the corpus: exit code 1 where a statement after the listing reads a large table whole or
much more of it than the change asks for. `--plans` prints the plan of every statement of the 100 edits.

`--url` uses that database and keeps it: a second call does not fill it again. On Postgres without it a server of the
benchmark's own is started.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rag_pipelines.catalog import versions
from rag_pipelines.catalog.store import reading
from rag_pipelines_tests.benchmarks.catalog_bench import CHANGES, LARGE, LISTING, Bench, Cost, sizes
from rag_pipelines_tests.benchmarks.filled import fill
from rag_pipelines_tests.benchmarks.statements import Ledger, Plan, Tally, recorded
from rag_pipelines_tests.benchmarks.synthetic import (
    INDEX,
    Corpus,
    SyntheticWorkspace,
)
from rag_pipelines_tests.benchmarks.synthetic_parts import NoEngine
from rag_pipelines_tests.databases import postgres_server

STEPS_A_ROW = 0.15
STEPS_FREE = 5.0
"""Thousands of instructions that SQLite may spend on a row that a statement names, reads or writes; and besides."""
PLANNED = 100
OTHER = 100
FIRST_LOOK = "first look at all"
WIDTH = 600


@dataclass(slots=True)
class Report:
    """Everything measured; `faults` must be empty."""

    documents: int
    database: str
    fill_seconds: float = 0.0
    megabytes: float = 0.0
    rows: dict[str, int] = field(default_factory=dict)
    listing_seconds: float = 0.0
    observe_documents_a_second: float = 0.0
    costs: list[Cost] = field(default_factory=list)
    plans: dict[str, tuple[str, ...]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


def measure(workspace: SyntheticWorkspace, changes: Sequence[int], workers: int = 1) -> Report:
    """Fill where nothing is there yet, then everything else."""
    catalog = workspace.catalog
    report = Report(workspace.corpus.documents, catalog.dialect)
    if not versions.versions_of(catalog, INDEX):
        began = time.perf_counter()
        fill(
            workspace, workers=workers, on_progress=lambda done: print(f"\r{done:,}", end="", file=sys.stderr)
        )
        report.fill_seconds = time.perf_counter() - began
    began = time.perf_counter()
    for _ in workspace.corpus.listing():
        pass
    report.listing_seconds = time.perf_counter() - began
    with recorded(catalog.engine) as ledger:
        bench = Bench(workspace, ledger)
        bench.sync(FIRST_LOOK)
        report.faults += unfinished(workspace)
        report.rows, report.megabytes = sizes(catalog)
        bench.large = {table: rows for table, rows in report.rows.items() if rows > LARGE}
        bench.sync("nothing")
        for amount in dict.fromkeys((*changes, PLANNED)):
            bench.change("edited", amount)
        for kind in CHANGES:
            if kind != "edited":
                bench.change(kind, OTHER)
        bench.go_back()
    report.costs = bench.costs
    whole = next(cost for cost in report.costs if (cost.change, cost.stage) == ("nothing", LISTING))
    report.observe_documents_a_second = workspace.corpus.documents / whole.seconds
    planned = f"{PLANNED} edited: "
    report.plans = {
        f"{stage.removeprefix(planned)}: {sql}": plan.lines
        for (stage, sql), plan in bench.plans.items()
        if stage.startswith(planned)
    }
    judge(ledger, bench.plans, report)
    return report


def judge(ledger: Ledger, plans: Mapping[tuple[str, str], Plan], report: Report) -> None:
    """What the statements after the listing did beyond their due, by their plans and by what they cost."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    for (stage, sql), plan in plans.items():
        change, _, own = stage.partition(": ")
        faults = [*plan.faults, *([] if plan.of_few else dear(ledger.entries[stage, sql]))]
        if faults and own != LISTING:
            found.setdefault((own, sql), {})[change] = ", ".join(faults)
    for (own, sql), changes in found.items():
        first = next(iter(changes))
        report.faults.append(f"{own}: {changes[first]} (with {', '.join(changes)}): {sql}")


def dear(tally: Tally) -> list[str]:
    """What SQLite did for the statement in one stage beyond what it named, read and wrote."""
    rows = tally.given + tally.read + tally.written + tally.calls
    if tally.steps <= STEPS_FREE + STEPS_A_ROW * rows:
        return []
    return [f"{tally.steps:,.0f} thousand instructions for {rows:,} rows"]


def unfinished(workspace: SyntheticWorkspace) -> list[str]:
    """A filled catalog is one where a sync finds nothing to do."""
    live = versions.pointer(workspace.catalog, INDEX)
    tally: dict[str, int] = {}
    with reading(workspace.catalog.engine) as tx:
        rows = tx.exec_driver_sql("SELECT name, value FROM sync_counts WHERE run_id = 'first look at all'")
        tally = {row[0]: row[1] for row in rows}
    done = ("added", "changed", "deleted", "parsed", "chunked", "embedded", "staged_documents")
    found = [f"the fill left work: {name} {tally[name]}" for name in done if tally.get(name)]
    return found if live is not None else [*found, "the fill was not published"]


def table(report: Report) -> str:
    """Markdown and a few lines."""
    work = "looked at" if report.database == "postgresql" else "kilosteps"
    lines = [
        f"{report.documents:,} documents on {report.database}: filled in {report.fill_seconds:.0f} s, "
        f"{report.megabytes:,.0f} MB; rows: " + ", ".join(f"{k} {v:,}" for k, v in report.rows.items() if v),
        f"listing {report.listing_seconds:.1f} s, compared at {report.observe_documents_a_second:,.0f} documents/s",
        "",
        f"| change | stage | statements | rows read | rows written | {work} | seconds | peak MB |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {cost.change} | {cost.stage} | {cost.statements:,} | {cost.read:,} | {cost.written:,} "
        f"| {cost.looked or cost.steps:,.0f} | {cost.seconds:.3f} | {cost.peak_mb:,.0f} |"
        for cost in report.costs
    ]
    return "\n".join([*lines, *(f"FAULT: {fault[:WIDTH]}" for fault in report.faults)])


def plans_of(report: Report) -> str:
    """The statements of the planned change with their plans."""
    return "\n\n".join(
        "\n".join([name, *(f"    {line}" for line in lines)]) for name, lines in report.plans.items()
    )


@contextmanager
def opened(database: str, url: str, documents: int) -> Iterator[SyntheticWorkspace]:
    """A workspace over a corpus of that size and that database, or one of its own."""
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rag-catalog-scale-")))
        if database == "postgres" and not url:
            url = stack.enter_context(postgres_server()).create_database()
        workspace = SyntheticWorkspace(home, Corpus(documents), url=url, engine=NoEngine())
        yield stack.enter_context(workspace)


def main() -> None:
    """Print the tables or one JSON object; exit 1 where there are faults."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--documents", type=int, default=1_000_000)
    parser.add_argument("--changes", default="1,10,100,1000", help="numbers of edited documents, with commas")
    parser.add_argument("--database", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--url", default="", help="fill, and keep, this database")
    parser.add_argument("--workers", type=int, default=1, help="processes that make the rows of the fill")
    parser.add_argument("--plans", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    changes = [int(number) for number in options.changes.split(",")]
    with opened(options.database, options.url, options.documents) as workspace:
        report = measure(workspace, changes, options.workers)
    print(file=sys.stderr)
    print(json.dumps(asdict(report)) if options.json else table(report))
    if options.plans and not options.json:
        print(f"\n{plans_of(report)}")
    if report.faults:
        raise SystemExit(1)


if __name__ == "__main__":
    main()

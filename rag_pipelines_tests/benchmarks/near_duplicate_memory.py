"""Memory and speed of a pass over all of a corpus, beside an index of the same texts in memory.

    python -m rag_pipelines_tests.benchmarks.near_duplicate_memory [--documents 10000,50000,100000]
        [--database sqlite|postgres] [--json]

The catalog has so many parsed documents of 48 random words, every tenth of them a copy, and nothing else;
`pipeline.deduplicate` reads, signs and compares all of them. datasketch signs the same texts and keeps the signatures
in a `MinHashLSH` with the same bands, as batch jobs do: it makes and looks up, and chooses nothing. Each runs in a
process of its own; `grown` is its largest resident size less that before the first document, and speed is by its
processor time, to which a database server's own is not added. Catalog and texts lie in a memory disk where there is
one, which counts for neither.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from datasketch import MinHash, MinHashLSH  # type: ignore[import-untyped]

from rag_pipelines.catalog import duplicates
from rag_pipelines.config.dedup import DedupConfig
from rag_pipelines.pipeline.deduplicate import deduplicate
from rag_pipelines_tests.benchmarks.catalog_bench import forget_peak, peak_mb
from rag_pipelines_tests.benchmarks.near_duplicate_changes import resident_mb
from rag_pipelines_tests.benchmarks.near_duplicate_corpus import Copies, CopiesWorkspace, fill
from rag_pipelines_tests.benchmarks.near_duplicate_scale import apart
from rag_pipelines_tests.benchmarks.near_duplicate_speed import sketches, word_sets
from rag_pipelines_tests.benchmarks.synthetic import INDEX, SHARDS, SOURCE
from rag_pipelines_tests.databases import postgres_server
from rag_pipelines_tests.project import scratch_folder

BATCH = 1000


@dataclass(frozen=True, slots=True)
class Growth:
    """One way over so many documents; seconds of processor time; `duplicates` found a partner before them."""

    who: str
    documents: int
    resident_mb: float
    grown_mb: float
    seconds: float
    duplicates: int


def make(home: Path, amount: int, url: str) -> None:
    """Parsed documents, of which no pass has looked at any."""
    with CopiesWorkspace(home, amount, url=url, blobs=home / "blobs") as workspace:
        fill(workspace, compared=False)


def by_rows(home: Path, amount: int, url: str) -> Growth:
    """A pass over all documents."""
    with CopiesWorkspace(home, amount, url=url, blobs=home / "blobs") as workspace:
        who = f"rows on {workspace.catalog.dialect}"
        forget_peak()
        before, began = resident_mb(), time.process_time()
        counts = deduplicate(workspace, INDEX, SOURCE, range(SHARDS), "all")
        seconds, grown = time.process_time() - began, peak_mb() - before
        found = duplicates.count_duplicates(workspace.catalog, INDEX)["duplicates"]
    if counts["signed"] < amount * 9 // 10:
        raise AssertionError(f"{counts['signed']} of {amount} texts were signed")
    return Growth(who, amount, before, grown, seconds, found)


def in_memory(amount: int) -> Growth:
    """datasketch's signatures and its index, a document looked up when it comes."""
    settings, corpus = DedupConfig(), Copies(amount)
    forget_peak()
    before, began = resident_mb(), time.process_time()
    lsh = MinHashLSH(num_perm=settings.permutations, params=(settings.bands, settings.rows))
    kept: list[MinHash] = []
    found = 0
    for start in range(0, amount, BATCH):
        texts = [corpus.text(number) for number in range(start, min(start + BATCH, amount))]
        for sketch in sketches(word_sets(texts, settings.ngram), settings):
            found += bool(lsh.query(sketch))
            lsh.insert(len(kept), sketch, check_duplication=False)
            kept.append(sketch)
    seconds, grown = time.process_time() - began, peak_mb() - before
    return Growth("datasketch in memory", amount, before, grown, seconds, found)


def measure(amounts: Sequence[int], database: str) -> list[Growth]:
    """Both ways at every size."""
    found = []
    for amount in amounts:
        with ExitStack() as stack:
            home = stack.enter_context(scratch_folder())
            server = stack.enter_context(postgres_server()) if database == "postgres" else None
            url = server.create_database() if server else ""
            apart(make, home, amount, url)
            found.append(apart(by_rows, home, amount, url))
        found.append(apart(in_memory, amount))
    return found


def table(found: Sequence[Growth]) -> str:
    """Markdown."""
    lines = [
        "| | documents | resident MB before | grown MB | documents a second | with a partner |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {one.who} | {one.documents:,} | {one.resident_mb:.0f} | {one.grown_mb:,.0f} "
        f"| {one.documents / one.seconds:,.0f} | {one.duplicates:,} |"
        for one in sorted(found, key=lambda one: (one.who, one.documents))
    ]
    return "\n".join(lines)


def main() -> None:
    """Print the table or one JSON list."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--documents", default="10000,50000,100000", help="sizes, with commas")
    parser.add_argument("--database", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = measure([int(amount) for amount in options.documents.split(",")], options.database)
    print(json.dumps([asdict(one) for one in found]) if options.json else table(found))


if __name__ == "__main__":
    main()

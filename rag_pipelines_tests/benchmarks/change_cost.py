"""What a sync costs by how much has changed: nothing, one page, and more, beside the full build.

    python -m rag_pipelines_tests.benchmarks.change_cost [--pages 3885] [--changes 1,10,100,1000] [--via-cli]
        [--home DIR] [--json]

The corpus is awsdocs_dev: product documentation in Markdown, read by the filesystem connector. Every sync opens
everything anew. Measured are the full build; a sync in which nothing changed, as a share of it; and syncs after edits
of 1, 10, ... pages, an edit being a sentence (another one each time) at the end of the page's middle paragraph. A
searcher in another thread looks for a new version every 20 ms; `searchable` is from the start of the sync until it
finds the first page's new sentence. Changes of up to ten pages are measured three times: the median is shown. The
line is fitted to relative errors, so that the small changes determine the fixed part.

With nothing changed, nothing may be fetched, parsed, embedded or written to the engine, and no version made: counted
at connector, parser, model and engine. `--via-cli` times the `rag-pipelines sync` command as a process of its own,
with Dagster and its start, and looks at its report instead. `--home` keeps what was built: the next call skips the
full build. Exit code 1 where the unchanged sync did work, or another number of pages changed than were edited.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from rag_pipelines.core.types import OPERATOR
from rag_pipelines.pipeline.workspace import open_workspace
from rag_pipelines.retrieval.opening import Searchers
from rag_pipelines.retrieval.search import Searcher
from rag_pipelines_tests.benchmarks.page_project import (
    INDEX,
    RUNS,
    SEED,
    Edit,
    PageProject,
    Run,
    Synced,
    edit,
    unpack,
)

POLL_SECONDS, PATIENCE_SECONDS = 0.02, 60.0
ROUNDS, FEW = 3, 10
FOUND_AMONG = 50
_DONE = ("added", "changed", "moved", "deleted", "chunks_added", "chunks_removed", "embedded")


@dataclass(frozen=True, slots=True)
class Cost:
    """Medians over the rounds of a number of changed pages."""

    pages: int
    rounds: int
    seconds: float
    searchable: float
    embedded: float
    chunks_added: float


@dataclass(slots=True)
class Report:
    """Everything measured; `faults` must be empty, and 0 build seconds mean that it was timed otherwise."""

    pages: int
    via: str
    build_seconds: float
    chunks: int
    unchanged_seconds: float = 0.0
    unchanged_work: dict[str, int] = field(default_factory=dict)
    costs: list[Cost] = field(default_factory=list)
    fixed_seconds: float = 0.0
    seconds_a_page: float = 0.0
    faults: list[str] = field(default_factory=list)


class Watch(threading.Thread):
    """Follows the published version and notes when the edit of a page is found."""

    def __init__(self, searcher: Searcher, made: Edit) -> None:
        super().__init__(daemon=True)
        self._searcher = searcher
        self._edit = made
        self._over = threading.Event()
        self.found_at: float | None = None
        self.error: Exception | None = None

    def run(self) -> None:
        """Until it is found, or `give_up`."""
        try:
            while not self._over.wait(POLL_SECONDS):
                if self._searcher.refresh() and self._finds():
                    self.found_at = time.perf_counter()
                    return
        except Exception as error:
            self.error = error

    def wait(self) -> float:
        """When it was found; raises where the searcher failed or does not find it in a minute."""
        self.join(PATIENCE_SECONDS)
        self._over.set()
        if self.found_at is None:
            raise SystemExit(
                f"the new sentence {self._edit.word!r} was not found after the sync"
            ) from self.error
        return self.found_at

    def _finds(self) -> bool:
        found = self._searcher.search(self._edit.query, FOUND_AMONG, OPERATOR).passages
        return any(self._edit.word in passage.text for passage in found)


@contextmanager
def opened_searcher(project: PageProject) -> Iterator[Searcher]:
    """On the published version, with the model loaded."""
    with open_workspace(project.environment) as workspace:
        configuration = workspace.configuration
    with Searchers(project.environment, configuration) as searchers:
        searcher = searchers.get(INDEX)
        searcher.warm()
        yield searcher


def measure(project: PageProject, changes: Sequence[int], via: str, rounds: int = ROUNDS) -> Report:
    """Build where it is not built yet, then everything else."""
    run = RUNS[via]
    project.make()
    pages = project.pages
    kept = project.root / "built.json"
    if kept.exists():
        built = json.loads(kept.read_text())
        run(project)  # takes in what an interrupted call has left edited
    else:
        first = run(project)
        built = {"seconds": first.seconds, "chunks": first.counts["chunks_added"], "via": via}
        kept.write_text(json.dumps(built))
    report = Report(len(pages), via, built["seconds"] if built["via"] == via else 0.0, built["chunks"])
    before = run(project)
    unchanged = [run(project) for _ in range(rounds)]
    report.unchanged_seconds = float(np.median([synced.seconds for synced in unchanged]))
    report.unchanged_work = unchanged[0].work
    for synced in unchanged:
        report.faults += faults_of_unchanged(before, synced)
    draw = random.Random(SEED)
    with opened_searcher(project) as searcher:
        for count in changes:
            some = [
                _changed(project, draw.sample(pages, count), searcher, run, report.faults)
                for _ in range(rounds if count <= FEW else 1)
            ]
            medians = (float(np.median(values)) for values in zip(*some, strict=True))
            report.costs.append(Cost(count, len(some), *medians))
    report.fixed_seconds, report.seconds_a_page = fit([(cost.pages, cost.seconds) for cost in report.costs])
    return report


def faults_of_unchanged(before: Synced, synced: Synced) -> list[str]:
    """Everything that a sync did although nothing had changed."""
    done = {name: synced.counts.get(name, 0) for name in _DONE} | synced.work
    found = [f"with nothing changed: {name} {number}" for name, number in done.items() if number]
    if synced.version != before.version:
        found.append(f"with nothing changed: version {before.version} became {synced.version}")
    return found


def _changed(
    project: PageProject, pages: Sequence[Path], searcher: Searcher, run: Run, faults: list[str]
) -> tuple[float, float, int, int]:
    """Edit and sync; seconds, seconds until it was found, texts embedded, chunks added."""
    watch = Watch(searcher, edit(pages))
    searcher.refresh()
    watch.start()
    began = time.perf_counter()
    synced = run(project)
    searchable = watch.wait() - began
    counts = synced.counts
    if counts["changed"] != len(pages) or counts["embedded"] < len(pages):
        faults.append(
            f"{len(pages)} edited, {counts['changed']} found changed, {counts['embedded']} embedded"
        )
    return synced.seconds, searchable, counts["embedded"], counts["chunks_added"]


def fit(points: Sequence[tuple[int, float]]) -> tuple[float, float]:
    """(fixed, per page) of seconds = fixed + per page * pages, least squares of the relative error."""
    if len({pages for pages, _ in points}) < 2:
        return (points[0][1] if points else 0.0), 0.0
    pages, seconds = (np.array(values, dtype=float) for values in zip(*points, strict=True))
    per_page, fixed = np.polyfit(pages, seconds, 1, w=1 / seconds)
    return float(fixed), float(per_page)


def table(report: Report) -> str:
    """Markdown and a few lines."""
    build, unchanged = report.build_seconds, report.unchanged_seconds
    built = f"full build {build:.1f} s" if build else "the full build was timed otherwise"
    share = f" ({unchanged / build:.2%} of the build)" if build else ""
    lines = [
        f"{report.pages} pages, {report.chunks} chunks, `{report.via}`; {built}; nothing changed {unchanged:.2f} s"
        f"{share}, work: {_listed(report.unchanged_work)}",
        "",
        "| changed pages | rounds | sync s | searchable s | fitted s | embedded | new chunks |",
        "|---:|---:|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {cost.pages} | {cost.rounds} | {cost.seconds:.2f} | {cost.searchable:.2f} "
        f"| {report.fixed_seconds + report.seconds_a_page * cost.pages:.2f} | {cost.embedded:g} "
        f"| {cost.chunks_added:g} |"
        for cost in report.costs
    ]
    lines += [
        "",
        f"seconds = {report.fixed_seconds:.2f} + {report.seconds_a_page:.4f} * pages",
        *(f"FAULT: {fault}" for fault in report.faults),
    ]
    return "\n".join(lines)


def _listed(work: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {number}" for name, number in work.items()) or "not counted from outside"


def main() -> None:
    """Print the table or one JSON object; exit 1 where there are faults."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--pages", type=int, default=3885)
    parser.add_argument("--changes", default="1,10,100,1000", help="numbers of pages, with commas")
    parser.add_argument(
        "--rounds", type=int, default=ROUNDS, help="of the unchanged sync and up to ten pages"
    )
    parser.add_argument("--via-cli", action="store_true")
    parser.add_argument("--home", type=Path, default=None, help="keep what was built in this folder")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    changes = [int(number) for number in options.changes.split(",")]
    with tempfile.TemporaryDirectory(prefix="rag-change-cost-") as temporary:
        project = PageProject((options.home or Path(temporary)).absolute())
        unpack(project.root / "pages", options.pages)
        if max(changes) > len(project.pages):
            sys.exit(f"there are {len(project.pages)} pages, fewer than --changes {max(changes)}")
        report = measure(
            project, changes, "rag-pipelines sync" if options.via_cli else "pipeline.sync", options.rounds
        )
    print(json.dumps(asdict(report)) if options.json else table(report))
    if report.faults:
        raise SystemExit(1)


if __name__ == "__main__":
    main()

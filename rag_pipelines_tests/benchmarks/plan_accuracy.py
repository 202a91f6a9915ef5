"""How near a plan comes to the sync that follows, and what it costs.

`python -m rag_pipelines_tests.benchmarks.plan_accuracy [--pages N] [--edits N] [--sample N] [--json]`

On pages of the awsdocs_dev corpus, which is third-party and lies outside the project (RAG_SHARED_DATA, or
`shared/data` beside it): a first build, edited and deleted pages, another chunk size, another model. Each is
planned in full and from a sample, then synced; an error is the largest one of the counts that the plan gives.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from rag_pipelines.catalog import reports
from rag_pipelines.pipeline.plan import Plan, plan
from rag_pipelines.pipeline.sync import sync
from rag_pipelines.pipeline.workspace import open_workspace
from rag_pipelines_tests.benchmarks.page_project import INDEX, SOURCE, PageProject, edit, unpack

COUNTS = (
    "added",
    "changed",
    "moved",
    "deleted",
    "fetched",
    "chunked",
    "chunks_added",
    "chunks_removed",
    "embedded",
    "points_added",
    "points_removed",
)


def measure(project: PageProject, name: str, change: Callable[[], None], sample: int) -> dict[str, Any]:
    """Plan twice, sync once."""
    change()
    plans: list[tuple[Plan, float]] = []
    for size in (10**9, sample):
        with open_workspace(project.environment) as workspace:
            began = time.perf_counter()
            plans.append((plan(workspace, [SOURCE], sample=size), time.perf_counter() - began))
    with open_workspace(project.environment) as workspace:
        began = time.perf_counter()
        run = sync(workspace, [SOURCE])
        seconds = time.perf_counter() - began
        real = reports.run_counts(workspace.catalog, run).get(SOURCE, {})
    (full, full_seconds), (sampled, sampled_seconds) = plans
    return {
        "change": name,
        "documents": full.total("staged_documents"),
        "chunks": real.get("chunks_added", 0),
        "embeddings": real.get("embedded", 0),
        "error": _error(full, real),
        "plan_s": round(full_seconds, 2),
        "sampled": f"{sampled.sources[SOURCE].sampled} of {sampled.sources[SOURCE].of}",
        "sampled_error": _error(sampled, real),
        "sampled_plan_s": round(sampled_seconds, 2),
        "estimated_s": round(sum(full.seconds.values()), 1),
        "sync_s": round(seconds, 1),
    }


def _error(planned: Plan, real: dict[str, int]) -> float:
    pairs = [(planned.total(name, INDEX), real.get(name, 0)) for name in COUNTS]
    return round(max(abs(said - done) / max(done, 1) for said, done in pairs), 4)


def _configure(project: PageProject, file: str, **values: Any) -> Callable[[], None]:
    def change() -> None:
        path = project.root / "configs" / f"{file}.yaml"
        path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **values}), encoding="utf-8")

    return change


def _edit(project: PageProject, edits: int) -> Callable[[], None]:
    def change() -> None:
        pages = project.pages
        edit(pages[:: max(len(pages) // edits, 1)])
        for page in pages[1 : 1 + edits // 10]:
            page.unlink()
        pages[-1].rename(pages[-1].with_name("moved-" + pages[-1].name))

    return change


def main() -> None:
    """Print a row a change; exit 1 where a full plan is more than 5% off."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--pages", type=int, default=120)
    options.add_argument("--edits", type=int, default=20)
    options.add_argument("--sample", type=int, default=40)
    options.add_argument("--json", action="store_true")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="rag-plan-") as temporary:
        project = PageProject(Path(temporary))
        unpack(project.root / "pages", chosen.pages)
        project.make()
        changes: dict[str, Callable[[], None]] = {
            "first build": lambda: None,
            "pages edited, deleted, renamed": _edit(project, chosen.edits),
            "max_tokens 160": _configure(project, f"sources/{SOURCE}", chunking={"max_tokens": 160}),
            "another model": _configure(
                project, f"indexes/{INDEX}", embedding={"passage_prefix": "passage: "}
            ),
            "nothing": lambda: None,
        }
        rows = [measure(project, name, change, chosen.sample) for name, change in changes.items()]
    if chosen.json:
        sys.stdout.write(json.dumps(rows) + "\n")
    else:
        sys.stdout.write("| " + " | ".join(rows[0]) + " |\n|" + "---|" * len(rows[0]) + "\n")
        for row in rows:
            sys.stdout.write("| " + " | ".join(str(value) for value in row.values()) + " |\n")
    if any(row["error"] > 0.05 for row in rows):
        raise SystemExit(1)


if __name__ == "__main__":
    main()

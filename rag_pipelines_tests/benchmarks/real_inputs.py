"""The Dagster job on four real corpora: is every document accounted for, does every citation verify?

`python -m rag_pipelines_tests.benchmarks.real_inputs [--only NAME ...] [--home DIR] [--json]`

The corpora are third-party and lie outside the project (RAG_SHARED_DATA, or `shared/data` beside it).
Accounted for means: listed = indexed + quarantined + excluded, each of the latter two with a reason.
Citations are those of 200 searches for random stretches of the indexed text; one verifies if slicing
the stored parsed text at its span gives the passage.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tarfile
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from rag_pipelines.catalog import reports
from rag_pipelines.config.environment import read_environment
from rag_pipelines.core.types import OPERATOR
from rag_pipelines.defs.run import run_sync
from rag_pipelines.pipeline.sync import sync_report
from rag_pipelines.pipeline.workspace import Workspace, open_workspace
from rag_pipelines.retrieval.opening import Searchers
from rag_pipelines_tests.shared_data import shared_data_or_none

SEARCHES = 200
SEED = 20261122


def configurations(scratch: Path) -> dict[str, dict[str, Any]]:
    """Source name -> connector and params, unpacking what is packed; a corpus that is absent is left out."""
    found: dict[str, dict[str, Any]] = {}
    bundle = shared_data_or_none("streams", "python-devguide.bundle")
    if bundle is not None:
        found["devguide"] = {"connector": "git", "params": {"url": str(bundle)}}
    packed = shared_data_or_none("retrieval", "awsdocs_dev", "documents.tar.xz")
    if packed is not None:
        pages = scratch / "corpora" / "awsdocs"
        if not pages.exists():
            with tarfile.open(packed) as archive:
                archive.extractall(pages, filter="data")
        found["awsdocs"] = {"connector": "filesystem", "params": {"url": str(pages)}}
    examples = shared_data_or_none("documents", "unstructured-examples")
    if examples is not None:
        found["examples"] = {"connector": "filesystem", "params": {"url": str(examples)}}
    records = shared_data_or_none("retrieval", "scifact", "corpus.jsonl")
    if records is not None:
        fields = {"id": "_id", "title": "title", "text": "text"}
        found["scifact"] = {"connector": "records", "params": {"url": str(records), "fields": fields}}
    return found


def measure(scratch: Path, name: str, source: dict[str, Any]) -> dict[str, Any]:
    """Sync one corpus into a project of its own and check it."""
    project = scratch / name
    _write(
        project / f"configs/sources/{name}.yaml",
        {"source": name, "tenant": "bench", "acl": ["*"], **source},
    )
    _write(project / "configs/indexes/real.yaml", {"index": "real"})
    _write(project / "configs/service.yaml", {"principal": {"tenant": "bench"}})
    models = read_environment().models_dir
    models.mkdir(parents=True, exist_ok=True)
    environment = read_environment(
        {"RAG_HOME": str(project / "home"), "RAG_CONFIGS": str(project / "configs")}
    )
    environment.home.mkdir(parents=True, exist_ok=True)
    if not environment.models_dir.exists():
        environment.models_dir.symlink_to(models)
    os.environ.pop("DAGSTER_HOME", None)
    with open_workspace(environment) as workspace:
        configuration = workspace.configuration
    began = time.perf_counter()
    (outcome,) = run_sync(environment, configuration, [name])
    seconds = time.perf_counter() - began
    if outcome.error is not None:
        raise SystemExit(f"{name}: {outcome.error}")
    with open_workspace(environment) as workspace:
        counts = sync_report(workspace, "real", [name], outcome.run_id, seconds).sources[name]
        indexed = reports.index_totals(workspace.catalog, "real", name)["documents"]
        refused = reports.quarantined(workspace.catalog, name)
        left_out = reports.excluded(workspace.catalog, name)
        verified, citations = verify_citations(workspace)
    return {
        "corpus": name,
        "listed": counts["listed"],
        "indexed": indexed,
        "quarantined": counts["quarantined"],
        "excluded": counts["excluded"],
        "accounted": counts["listed"] == indexed + counts["quarantined"] + counts["excluded"],
        "chunks": counts["chunks_added"],
        "seconds": round(seconds, 1),
        "citations": citations,
        "verified": verified,
        "reasons": dict(Counter(str(row["reason"])[:100] for row in [*refused, *left_out])),
    }


def verify_citations(workspace: Workspace) -> tuple[int, int]:
    """(verified, all) citations of the searches for random stretches of indexed text."""
    chooser = random.Random(SEED)
    verified = total = 0
    with Searchers(workspace.environment, workspace.configuration) as searchers:
        searcher = searchers.get("real")
        _, reader, _ = searcher.scroll_reader(None)
        texts = [str(point.payload["text"]) for point in reader.scroll()]
        for _ in range(SEARCHES):
            words = chooser.choice(texts).split()
            first = chooser.randrange(max(len(words) - 8, 1))
            result = searcher.search(" ".join(words[first : first + 8]), 5, OPERATOR)
            for passage in result.passages:
                cited = passage.citation
                stored = workspace.blobs.get_parsed(cited.parsed_hash).text
                total += 1
                verified += stored[cited.start : cited.end] == passage.text
    return verified, total


def _write(path: Path, data: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(data), encoding="utf-8")


def main() -> None:
    """Print one row a corpus; exit 1 where a document is unaccounted for or a citation does not verify."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--only", nargs="+", default=None, help="names of corpora")
    options.add_argument("--home", type=Path, default=None, help="keep the projects in this folder")
    options.add_argument("--json", action="store_true")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="rag-real-") as temporary:
        scratch = chosen.home or Path(temporary)
        rows = [
            measure(scratch, name, source)
            for name, source in configurations(scratch).items()
            if chosen.only is None or name in chosen.only
        ]
    if not rows:
        raise SystemExit("no corpus was found; set RAG_SHARED_DATA")
    if chosen.json:
        sys.stdout.write(json.dumps(rows) + "\n")
    else:
        names = [name for name in rows[0] if name != "reasons"]
        sys.stdout.write("| " + " | ".join(names) + " |\n")
        for row in rows:
            sys.stdout.write("| " + " | ".join(str(row[name]) for name in names) + " |\n")
            for reason, count in row["reasons"].items():
                sys.stdout.write(f"    {count} x {reason}\n")
    if not all(row["accounted"] and row["verified"] == row["citations"] for row in rows):
        raise SystemExit(1)


if __name__ == "__main__":
    main()

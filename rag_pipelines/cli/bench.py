"""`bench ingest`: the main job on a folder of documents, in fresh state, backend beside backend."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from rag_pipelines.config.environment import Environment, read_environment
from rag_pipelines.core.errors import ConfigError, RagPipelinesError
from rag_pipelines.pipeline.workspace import open_workspace

BASELINE = "torch:fp32"


def bench(
    path: Path, backends: Sequence[str], *, baseline: bool, limits: Sequence[int]
) -> list[dict[str, Any]]:
    """One row a backend and limit, each measured in a process of its own with an empty state folder.

    `ratio` compares chunks per second with the first backend that ran at the same limit: the
    sentence-transformers default where `baseline` is set. Raises ConfigError and RagPipelinesError.
    """
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else []
    if not files:
        raise ConfigError(f"{path} is not a folder with files in it")
    rows: list[dict[str, Any]] = []
    order = [BASELINE, *backends] if baseline else list(backends)
    for limit in limits:
        reference = 0.0
        for name in order:
            with tempfile.TemporaryDirectory(prefix="rag-bench-") as scratch:
                row = _one(Path(scratch), path, files[: limit or None], name)
            reference = reference or row["chunks_per_second"]
            rows.append(row | {"ratio": round(row["chunks_per_second"] / reference, 2)})
    return rows


def _one(scratch: Path, root: Path, files: Sequence[Path], backend: str) -> dict[str, Any]:
    kind, _, precision = backend.partition(":")
    documents = scratch / "documents"
    for file in files:
        target = documents / file.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(file, target)
        except OSError:
            shutil.copyfile(file, target)
    _write(
        scratch / "configs/sources/documents.yaml",
        {
            "source": "documents",
            "connector": "filesystem",
            "params": {"url": str(documents)},
            "tenant": "bench",
            "acl": ["*"],
        },
    )
    embedding = {"backend": kind or "auto", "precision": precision or "auto"}
    _write(scratch / "configs/indexes/bench.yaml", {"index": "bench", "embedding": embedding})
    _write(scratch / "configs/service.yaml", {"principal": {"tenant": "bench"}})
    models = read_environment().models_dir
    models.mkdir(parents=True, exist_ok=True)
    (scratch / "home").mkdir()
    (scratch / "home/models").symlink_to(models)
    variables = os.environ | {"RAG_HOME": str(scratch / "home"), "RAG_CONFIGS": str(scratch / "configs")}
    for name in ("RAG_DATABASE_URL", "RAG_BLOBS_URL", "RAG_QDRANT_URL", "DAGSTER_HOME"):
        variables.pop(name, None)
    done = subprocess.run(
        [sys.executable, "-m", "rag_pipelines.cli.bench"],
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        tail = done.stderr.strip().splitlines()[-1:] or ["(no message)"]
        raise RagPipelinesError(f"the run with {backend} failed: {tail[0]}")
    row: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return {"backend": backend, **row}


def _write(path: Path, data: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(data), encoding="utf-8")


class _Clock:
    """Wall-clock time between the start and the end of each stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._began: dict[str, float] = {}

    def start(self, stage: str, total: int | None) -> None:
        """The stage begins."""
        self._began[stage] = time.perf_counter()

    def advance(self, stage: str, amount: int = 1) -> None:
        """Nothing."""

    def finish(self, stage: str) -> None:
        """The stage ends."""
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - self._began[stage]


def _measured(environment: Environment) -> dict[str, Any]:
    from rag_pipelines.defs.run import run_sync
    from rag_pipelines.pipeline.sync import sync_report

    with open_workspace(environment) as workspace:
        configuration = workspace.configuration
        index = configuration.index_named(None)
        model = workspace.embedder(index).description  # converted and verified before the clock starts
    clock = _Clock()
    began = time.perf_counter()
    (outcome,) = run_sync(environment, configuration, ["documents"], clock)
    seconds = time.perf_counter() - began
    if outcome.error is not None:
        raise RagPipelinesError(outcome.error)
    again = time.perf_counter()
    run_sync(environment, configuration, ["documents"])
    second = time.perf_counter() - again
    with open_workspace(environment) as workspace:
        counts = sync_report(workspace, "bench", ["documents"], outcome.run_id, seconds).sources["documents"]
    return {
        "documents": counts["listed"],
        "quarantined": counts["quarantined"],
        "chunks": counts["chunks_added"],
        "seconds": round(seconds, 2),
        "chunks_per_second": round(counts["chunks_added"] / seconds, 1),
        "embedding_share": round(clock.seconds.get("embed", 0.0) / seconds, 3),
        "stages": {name: round(value, 2) for name, value in clock.seconds.items()},
        "peak_mb": round(_peak_kb() / 1024),
        "second_run_seconds": round(second, 2),
        "model": model,
    }


def _peak_kb() -> float:
    """Largest resident size of this process plus that of its largest worker."""
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    workers = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return (own + workers) / (1024 if sys.platform == "darwin" else 1)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_measured(read_environment())) + "\n")

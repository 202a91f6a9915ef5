"""How often data-quality checks refuse real changes: replays a git history and judges every version.

    python -m rag_pipelines_tests.benchmarks.data_quality --stream etcd-docs --commits 100

Each commit is synced, judged at its number and then published whatever the verdict. Prints each failed check, and
for each check how near the commits came to its limit. Vectors are made of hashed words instead of by the model,
since thresholds on vectors of a real model need few texts and those on documents need many.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xxhash

from rag_pipelines.config.quality import QualityConfig
from rag_pipelines.core.ports import EmbeddingBatch
from rag_pipelines.core.types import FloatArray
from rag_pipelines.pipeline.sync import sync
from rag_pipelines.quality.measures import words
from rag_pipelines_tests.benchmarks.streams import BRANCH, PICTURES, STREAMS, open_stream
from rag_pipelines_tests.pipeline.staged import INDEX, make_live, staged_checks
from rag_pipelines_tests.project import Parts, Project, scratch_folder


class WordEmbedder:
    """A text is the mean of one random direction a word."""

    def __init__(self, real: Any) -> None:
        self.real = real
        self.directions = np.random.default_rng(5).standard_normal((4096, real.dimension)).astype(np.float32)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def embed(self, texts: Sequence[str], on_done: Callable[[int], None] | None = None) -> EmbeddingBatch:
        """Unit vectors, the same for the same text in any batch."""
        return EmbeddingBatch(np.stack([self._one(text) for text in texts]), 0)

    def _one(self, text: str) -> FloatArray:
        rows = [xxhash.xxh32_intdigest(word.encode()) % 4096 for word in sorted(words(text) or {text})]
        vector: FloatArray = self.directions[rows].sum(axis=0)
        return vector / np.linalg.norm(vector)


def replay(stream_name: str, commits: int, scratch: Path) -> dict[str, Any]:
    """Failed checks by commit, and by check the greatest share of a limit that a commit used up."""
    stream = open_stream(stream_name, scratch)
    history = stream.commits(commits)
    project = Project(scratch / "project", parts=Parts())
    params = {"url": str(stream.folder), "branch": BRANCH, "exclude": list(PICTURES)}
    limits = {"max_delete_fraction": 1.0}
    project.source("docs", connector="git", params=params, limits=limits)
    project.index(INDEX, publish="manual")
    refused: dict[str, dict[str, str]] = {}
    nearest: dict[str, float] = {}
    seconds: list[float] = []
    with project.workspace() as workspace:
        config = workspace.configuration.indexes[INDEX]
        workspace._embedders = {INDEX: WordEmbedder(workspace.embedder(config))}
        for commit in [history[0].parent, *(one.sha for one in history)]:
            stream.point(commit)
            sync(workspace, ("docs",))
            with workspace.catalog.begin() as tx:
                staged = _staged(tx)
            if not staged:
                continue
            began = time.monotonic()
            checks = staged_checks(project, workspace, QualityConfig())
            seconds.append(time.monotonic() - began)
            for check in checks.values():
                if not check.passed:
                    refused.setdefault(commit[:10], {})[check.name] = f"{check.severity}: {check.reason}"
                highest = check.metadata.get("highest")
                if highest and highest["limit"]:
                    used = highest["value"] / highest["limit"]
                    nearest[check.name] = max(nearest.get(check.name, 0.0), round(used, 3))
            make_live(workspace)
    return {
        "versions": len(seconds),
        "refused": refused,
        "nearest": nearest,
        "seconds": {"first": round(seconds[0], 1), "median": round(float(np.median(seconds[1:])), 2)},
    }


def _staged(tx: Any) -> bool:
    from rag_pipelines.catalog import versions

    return versions.candidate(tx, INDEX) is not None


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stream", choices=STREAMS, default="etcd-docs")
    parser.add_argument("--commits", type=int, default=100)
    arguments = parser.parse_args()
    with scratch_folder() as scratch:
        print(json.dumps(replay(arguments.stream, arguments.commits, scratch), indent=1))


if __name__ == "__main__":
    main()

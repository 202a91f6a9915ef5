"""Publishing and rolling back without readers, at any size: real verbs, real embedded engine, synthetic vectors."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from rag_pipelines.pipeline.chunk import chunk
from rag_pipelines.pipeline.embed import embed
from rag_pipelines.pipeline.observe import observe
from rag_pipelines.pipeline.parse import parse
from rag_pipelines.pipeline.publish import publish
from rag_pipelines.pipeline.rollback import rollback, unpin
from rag_pipelines.pipeline.stage import finish_staging, stage
from rag_pipelines_tests.benchmarks.filled import fill
from rag_pipelines_tests.benchmarks.synthetic import INDEX, SHARDS, SOURCE, Corpus, SyntheticWorkspace

DIMENSION = 384
CHANGED = 10


@dataclass(frozen=True, slots=True)
class Switch:
    """Seconds by size: of the first publish (it builds the index), of one after a small change, and of going back."""

    chunks: int
    stage: float
    first_optimize: float
    first_copy: float
    optimize: float
    copy: float
    publish_switch: float
    rollback: float
    rollback_switch: float
    rollback_to_switch: float
    unpin: float
    publish_again: float


def switches(home: Path, chunks: int) -> Switch:
    """Three versions, of which the later two change ten documents each; then back and forth."""
    home.mkdir(parents=True)
    corpus = Corpus(chunks // 2)
    with SyntheticWorkspace(home, corpus, dimension=DIMENSION) as workspace:
        fill(workspace, staged=False)
        began = time.perf_counter()
        stage(workspace, INDEX, SOURCE, range(SHARDS), "")
        finish_staging(workspace, INDEX, SOURCE)
        staged = time.perf_counter() - began
        first = publish(workspace, INDEX)
        change(workspace, 2)
        publish(workspace, INDEX)
        change(workspace, 3)
        later = publish(workspace, INDEX)
        began = time.perf_counter()
        back = rollback(workspace, INDEX)
        back_seconds = time.perf_counter() - began
        further = rollback(workspace, INDEX, 1)
        began = time.perf_counter()
        unpin(workspace, INDEX)
        let_go = time.perf_counter() - began
        again = publish(workspace, INDEX)
        if (first.version, later.version, back.version, further.version, again.version) != (1, 3, 2, 1, 3):
            raise SystemExit("the versions went otherwise than they should")
    return Switch(
        chunks=first.chunks,
        stage=staged,
        first_optimize=first.optimize_seconds,
        first_copy=first.copy_seconds,
        optimize=later.optimize_seconds,
        copy=later.copy_seconds,
        publish_switch=later.switch_seconds,
        rollback=back_seconds,
        rollback_switch=back.switch_seconds,
        rollback_to_switch=further.switch_seconds,
        unpin=let_go,
        publish_again=again.switch_seconds,
    )


def change(workspace: SyntheticWorkspace, version: int) -> None:
    """Edit ten documents and stage them."""
    shards = range(SHARDS)
    first = version * CHANGED
    workspace.corpus.editions |= dict.fromkeys(range(first, first + CHANGED), version)
    observe(workspace, SOURCE, "")
    parse(workspace, SOURCE, shards, "")
    for verb in (chunk, embed, stage):
        verb(workspace, INDEX, SOURCE, shards, "")
    finish_staging(workspace, INDEX, SOURCE)

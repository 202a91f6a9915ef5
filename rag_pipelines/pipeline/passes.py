"""One stage going through the shards of a source: over what was touched since its last mark, or over all."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from rag_pipelines.catalog import marks
from rag_pipelines.catalog.store import reading
from rag_pipelines.core.faults import fault_point
from rag_pipelines.pipeline.workspace import Workspace


@dataclass(slots=True)
class Pass:
    """`only` are the documents to look at, None for all of the shards; `tick` is what the pass will have seen."""

    stage: str
    index: str
    source: str
    shards: Collection[int]
    fingerprint: str
    tick: int
    only: Sequence[str] | None

    @property
    def nothing(self) -> bool:
        """Whether there is no document to look at."""
        return self.only is not None and not self.only

    def later_tick(self, workspace: Workspace) -> int:
        """A new tick for what the stage itself writes, which the following stages have to look at."""
        with workspace.catalog.begin() as tx:
            self.tick = marks.next_tick(tx, self.source)
        fault_point("pass.ticked")
        return self.tick


def begin_pass(
    workspace: Workspace,
    stage: str,
    index: str,
    source: str,
    shards: Collection[int],
    fingerprint: str,
    also: Collection[str] = (),
) -> Pass:
    """What the stage has to look at, given the fingerprint of the settings that it works with.

    `also` are documents that it looks at in any case, such as those that failed for a passing reason.
    """
    with reading(workspace.catalog.engine) as tx:
        tick = marks.current_tick(tx, source)
        seen = marks.tick_seen(tx, stage, index, source, shards, fingerprint)
    only = marks.touched_since(workspace.catalog, source, shards, seen)
    if only is not None and also:
        only = sorted({*only, *also})
    return Pass(stage, index, source, shards, fingerprint, tick, only)


def end_pass(workspace: Workspace, done: Pass) -> None:
    """The stage went through all of it. Not called where it failed, so that the next run looks again."""
    with workspace.catalog.begin() as tx:
        marks.save_marks(tx, done.stage, done.index, done.source, done.shards, done.fingerprint, done.tick)
    fault_point("pass.marked")

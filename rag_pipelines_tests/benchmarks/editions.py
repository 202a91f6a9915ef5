"""A corpus whose every text names the edition that it is of, so that a mixed answer gives itself away."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import yaml

from rag_pipelines.config.environment import read_environment
from rag_pipelines.pipeline.publish import publish
from rag_pipelines.pipeline.rollback import rollback, unpin
from rag_pipelines.pipeline.sync import sync
from rag_pipelines.pipeline.workspace import Workspace, open_workspace
from rag_pipelines_tests.project import shared_models_dir

SOURCE, INDEX = "pages", "knowledge"
STRIDE = 20
"""After the first version each changes one page in so many."""

NICE = 5
"""Staging yields to the service, as a scheduled job on the same machine should."""

_TEXT = re.compile(r"Page (\d+) edition (\d+):")


def edition(page: int, version: int) -> int:
    """The version in which the page got the text that it has at this one; 0 where it is gone by then."""
    if page <= version - 2:
        return 0
    return next((at for at in range(version, 1, -1) if at % STRIDE == page % STRIDE), 1)


def telling(page: int) -> bool:
    """Whether the page's text tells one of the first versions from its neighbours."""
    return 2 <= page % STRIDE <= 9


def victim(version: int) -> int:
    """The page that goes with the version."""
    return version - 2


def text(page: int, version: int) -> str:
    """What the page says at the version."""
    return (
        f"Page {page} edition {edition(page, version)}: the pump of hall {page} is checked in week {page % 52 + 1} "
        f"and its valve {page * 7 % 100} is left open for {page * 13 % 60} minutes."
    )


def wrong_passages(version: int, passages: list[dict[str, Any]]) -> list[str]:
    """Passages that do not belong to the version that the answer states."""
    found = []
    for passage in passages:
        said = _TEXT.match(passage["text"])
        if said is None or passage["version"] != version or edition(int(said[1]), version) != int(said[2]):
            found.append(f"version {version} answered {passage['text'][:40]!r}")
    return found


def pages_of(passages: list[dict[str, Any]]) -> list[int]:
    """Numbers of the pages that the passages are of."""
    return [int(said[1]) for passage in passages if (said := _TEXT.match(passage["text"]))]


@dataclass(frozen=True, slots=True)
class EditionsProject:
    """A records file, configuration and RAG_HOME; publishing is by hand, so that it can be timed by itself."""

    root: Path
    pages: int
    poll_seconds: float = 0.2

    @property
    def variables(self) -> dict[str, str]:
        """For a child process too."""
        return {"RAG_HOME": str(self.root / "home"), "RAG_CONFIGS": str(self.root / "configs")}

    def make(self) -> None:
        """Configuration and an empty home."""
        home = self.root / "home"
        home.mkdir(parents=True)
        (home / "models").symlink_to(shared_models_dir())
        source = {
            "source": SOURCE,
            "connector": "records",
            "params": {"url": str(self.root / "pages.jsonl"), "fields": {"id": "id", "text": "text"}},
            "tenant": "bench",
            "acl": ["*"],
        }
        files = {
            f"sources/{SOURCE}": source,
            f"indexes/{INDEX}": {"index": INDEX, "publish": "manual", "retain_versions": 20},
            "service": {"principal": {"tenant": "bench"}, "poll_seconds": self.poll_seconds},
        }
        for name, data in files.items():
            path = self.root / "configs" / f"{name}.yaml"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(yaml.safe_dump(data), encoding="utf-8")

    def write(self, version: int) -> None:
        """The corpus as it is at the version."""
        rows = [
            {"id": f"page-{page:06d}", "text": text(page, version)}
            for page in range(self.pages)
            if edition(page, version)
        ]
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (self.root / "pages.jsonl").write_text(lines, encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Done:
    """One verb: when (monotonic clock), which version is live afterwards, and the seconds that the verb reports."""

    verb: str
    argument: int | None
    started: float
    returned: float
    version: int | None
    seconds: Mapping[str, float] = field(default_factory=dict)


def _stage(
    project: EditionsProject, workspace: Workspace, version: int | None
) -> tuple[None, dict[str, float]]:
    if version is None:
        raise ValueError("say which version to stage")
    project.write(version)
    sync(workspace, [SOURCE])
    return None, {}


def _publish(
    project: EditionsProject, workspace: Workspace, version: int | None
) -> tuple[int | None, dict[str, float]]:
    done = publish(workspace, INDEX)
    return done.version if done.moved else None, _seconds(done)


def _rollback(
    project: EditionsProject, workspace: Workspace, version: int | None
) -> tuple[int, dict[str, float]]:
    done = rollback(workspace, INDEX, version)
    return done.version, _seconds(done)


def _unpin(
    project: EditionsProject, workspace: Workspace, version: int | None
) -> tuple[None, dict[str, float]]:
    unpin(workspace, INDEX)
    return None, {}


def _seconds(done: Any) -> dict[str, float]:
    return {name: value for name, value in asdict(done).items() if name.endswith("_seconds")}


VERBS: dict[str, Callable[[EditionsProject, Workspace, int | None], tuple[int | None, dict[str, float]]]] = {
    "stage": _stage,
    "publish": _publish,
    "rollback": _rollback,
    "unpin": _unpin,
}


def perform(project: EditionsProject, workspace: Workspace, verb: str, argument: int | None = None) -> Done:
    """One verb, timed."""
    started = time.monotonic()
    version, seconds = VERBS[verb](project, workspace, argument)
    return Done(verb, argument, started, time.monotonic(), version, seconds)


class Operator:
    """Whoever runs the verbs, in a process of its own."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def perform(self, verb: str, argument: int | None = None) -> Done:
        """One verb; raises what it raised."""
        self._pipe.send((verb, argument))
        answer = self._pipe.recv()
        if isinstance(answer, Exception):
            raise answer
        if not isinstance(answer, Done):
            raise TypeError(f"the operator's process answered {answer!r}")
        return answer


@contextmanager
def operator(project: EditionsProject) -> Iterator[Operator]:
    """Ends the process at the end of the block."""
    # Spawned: a process must not fork while a shard of the embedded engine is open.
    context = get_context("spawn")
    mine, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, project), daemon=True)
    process.start()
    theirs.close()
    try:
        yield Operator(mine)
    finally:
        mine.close()
        process.join(60)


def _serve(pipe: Connection, project: EditionsProject) -> None:
    os.nice(NICE)
    with open_workspace(read_environment(project.variables)) as workspace:
        while True:
            try:
                verb, argument = pipe.recv()
            except EOFError:
                return
            try:
                pipe.send(perform(project, workspace, verb, argument))
            except Exception as error:
                pipe.send(error)

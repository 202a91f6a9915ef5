"""Starting states of the scenarios, made once for all test processes, and what an undisturbed run makes of them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pickle
import select
import shutil
import subprocess
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from rag_pipelines_tests.pipeline.remains import assert_consistent, count_vectors, kept_rows
from rag_pipelines_tests.pipeline.scenarios import History, Scenario
from rag_pipelines_tests.pipeline.views import View, views
from rag_pipelines_tests.pipeline.zygote import Order, Report
from rag_pipelines_tests.project import Project, shared_models_dir


@dataclass(frozen=True, slots=True)
class Facts:
    """What a scenario looks like before it and after an undisturbed run, and in a clean build of the same files."""

    before: dict[int, View]
    live_before: int | None
    final: dict[int, View]
    live: int
    clean: View
    rows: dict[str, list[tuple[Any, ...]]]
    vectors_before: int
    computed: int
    seconds: float
    passed: tuple[str, ...]


class Zygote:
    """The process that runs the children; one at a time."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "rag_pipelines_tests.pipeline.zygote"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"},
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._orders = self._process.stdin
        self._reports = self._process.stdout

    def start(self, order: Order) -> None:
        """Let a child carry it out."""
        self._orders.write(msgspec.json.encode(order) + b"\n")

    def has_ended(self, wait: float) -> bool:
        """Whether the child ended; waits so many seconds for it."""
        return bool(select.select([self._reports], [], [], wait)[0])

    def report(self) -> Report:
        """How the child ended, once it has."""
        line = bytearray()
        while not line.endswith(b"\n"):
            part = self._reports.read(2**16)
            assert part, "the zygote ended"
            line += part
        return msgspec.json.decode(line, type=Report)

    def run(self, order: Order) -> Report:
        """Carry it out and wait."""
        self.start(order)
        return self.report()

    def close(self) -> None:
        """End it."""
        self._orders.close()
        self._process.wait(timeout=30)


def prepared(scenario: Scenario, shared: Path, zygote: Zygote) -> tuple[Path, Facts]:
    """The folder of the starting state, and its facts; made once for all test processes."""
    folder = shared / scenario.name
    facts = shared / f"{scenario.name}.facts"
    with _locked(folder):
        if not facts.exists():
            made = _prepare(scenario, folder, zygote)
            facts.write_bytes(pickle.dumps(made))
    return folder, pickle.loads(facts.read_bytes())


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with open(folder.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _past(history: History, folder: Path, zygote: Zygote) -> Path:
    """What scenarios have in common lies behind them: done once, and copied."""
    edit, steps = history[-1]
    past = folder.with_name("-".join(("past", *(step[0].__name__ for step in history))))
    done = past.with_suffix(".done")
    with _locked(past):
        if not done.exists():
            shutil.rmtree(past, ignore_errors=True)
            project = _after(history[:-1], past, zygote)
            edit(project)
            _settle_times(past)
            _finished(zygote.run(Order(project.environ, list(steps))))
            done.touch()
    return past


def _after(history: History, folder: Path, zygote: Zygote) -> Project:
    return copied(_past(history, folder, zygote), folder) if history else Project(folder)


def _prepare(scenario: Scenario, folder: Path, zygote: Zygote) -> Facts:
    for left in folder.parent.glob(f"{scenario.name}*/"):
        shutil.rmtree(left)  # of a preparation that failed
    project = _after(scenario.history, folder, zygote)
    scenario.pending(project)
    _settle_times(folder)
    before = {} if "engine" in scenario.lost else views(project)
    live_before = project.live() if before else None
    stored = count_vectors(project)

    undisturbed = copied(folder, folder.with_name(f"{scenario.name}.undisturbed"))
    report = _finished(zygote.run(Order(undisturbed.environ, list(scenario.steps))))
    live = undisturbed.live()
    assert live is not None
    final = views(undisturbed)
    assert_consistent(undisturbed)
    assert report.computed == count_vectors(undisturbed) - stored

    clean = folder.with_name(f"{scenario.name}.clean")
    shutil.copytree(folder / "configs", clean / "configs")
    for source in ("docs", "more"):
        shutil.copytree(folder / source, clean / source)
    built = reopened(clean)
    scenario.end(built)
    _settle_times(clean)
    _finished(zygote.run(Order(built.environ, ["sync", "publish"])))
    facts = Facts(
        before=before,
        live_before=live_before,
        final=final,
        live=live,
        clean=views(built)[1],
        rows=kept_rows(undisturbed),
        vectors_before=stored,
        computed=report.computed,
        seconds=report.seconds,
        passed=tuple(report.passed),
    )
    shutil.rmtree(undisturbed.root)
    shutil.rmtree(clean)
    return facts


def _finished(report: Report) -> Report:
    assert not report.error, report.error
    assert not report.signal
    return report


def _settle_times(folder: Path) -> None:
    """Times that depend on the content alone, so that it does not matter when a file was written."""
    for source in ("docs", "more"):
        for file in (folder / source).iterdir():
            moment = 1_700_000_000 + zlib.crc32(file.read_bytes()) % 10_000_000
            os.utime(file, (moment, moment))


def reopened(root: Path) -> Project:
    """A project in a folder that has its files already."""
    project = object.__new__(Project)
    project.root, project.variables = root, {}
    project.home.mkdir(parents=True, exist_ok=True)
    if not (project.home / "models").is_symlink():
        (project.home / "models").symlink_to(shared_models_dir())
    return project


def copied(template: Path, root: Path) -> Project:
    """A copy with the files' times; `cp` keeps the holes of the engine's files, which are mostly holes."""
    subprocess.run(["cp", "-a", template, root], check=True)
    return reopened(root)

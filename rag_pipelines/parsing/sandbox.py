"""Parses in worker processes, so that a hostile document costs itself and nothing else."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from functools import cached_property
from importlib import import_module
from pathlib import PurePosixPath

from rag_pipelines.config.models import ParsingLimits
from rag_pipelines.core.fingerprints import fingerprint
from rag_pipelines.core.ports import ParseOutcome, ParseTask
from rag_pipelines.parsing import builder, detect, encoding, language
from rag_pipelines.parsing.crew import Crew
from rag_pipelines.parsing.folders import remove_abandoned
from rag_pipelines.parsing.process import WorkerProcess
from rag_pipelines.parsing.programs import find
from rag_pipelines.parsing.registry import PARSERS, module_of


class SandboxedParser:
    """The Parser port. Workers start when first needed and live until `close`.

    Safe to use from several threads: each call of `parse` has workers of its own while it runs.
    """

    def __init__(self, limits: ParsingLimits | None = None, *, workers: int | None = None) -> None:
        self._limits = limits or ParsingLimits()
        self._size = workers or min(_cpus(), 4)
        self._idle: list[WorkerProcess] = []
        self._owner = os.getpid()
        self._lock = threading.Lock()
        self._closed = False
        self._tidied = False
        self._fingerprints: dict[tuple[str, str | None], str] = {}

    def __enter__(self) -> SandboxedParser:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def parse(self, tasks: Iterable[ParseTask]) -> Iterator[ParseOutcome]:
        """One outcome a task, as they complete. Stopping early ends the workers that are still reading."""
        crew = Crew(self._limits, self._size, self._lend())
        try:
            yield from crew.run(iter(tasks))
        finally:
            self._give_back(crew.dismiss())

    def fingerprint(self, name: str, media_type: str | None) -> str:
        """Of the parsers that files of this name go to, and of the programs they need; not of the limits.

        A limit decides whether a document is read, never what is read in it. A mislabelled file is read by
        another parser than its name promises; a new version of that one does not show here.
        """
        key = (PurePosixPath(name).suffix.lower(), media_type)
        if key not in self._fingerprints:
            self._fingerprints[key] = _fingerprint_of(detect.candidates(name, media_type))
        return self._fingerprints[key]

    @cached_property
    def version(self) -> str:
        """Of every parser, and of the programs that they need."""
        return _fingerprint_of(tuple(PARSERS))

    def close(self) -> None:
        """End the worker processes; using the parser again afterwards raises RuntimeError."""
        self._closed = True
        with self._lock:
            idle, self._idle = self._idle, []
        if os.getpid() == self._owner:
            _end(idle)

    def _lend(self) -> list[WorkerProcess]:
        if self._closed:
            raise RuntimeError("this parser was closed")
        with self._lock:
            if os.getpid() != self._owner:
                self._owner, self._idle = os.getpid(), []
            if not self._tidied:
                self._tidied = True
                remove_abandoned()
            lent, self._idle = self._idle[: self._size], self._idle[self._size :]
        return lent

    def _give_back(self, workers: list[WorkerProcess]) -> None:
        with self._lock:
            room = 0 if self._closed else self._size - len(self._idle)
            kept, surplus = workers[:room], workers[room:]
            self._idle.extend(kept)
        _end(surplus)


def _fingerprint_of(kinds: Iterable[str]) -> str:
    modules = {module.__name__: module for module in map(module_of, kinds)}
    used = [import_module(name) for module in modules.values() for name in getattr(module, "USES", ())]
    modules |= {module.__name__: module for module in used}
    programs = {program for module in modules.values() for program in getattr(module, "PROGRAMS", ())}
    settings = {
        "shared": [module.VERSION for module in (builder, detect, encoding, language)],
        "parsers": {name: module.VERSION for name, module in modules.items()},
        "programs": {program: find(program) is not None for program in programs},
    }
    return fingerprint("parse", 1, settings)


def _end(workers: list[WorkerProcess]) -> None:
    for worker in workers:
        worker.end()


def _cpus() -> int:
    """Those this process may use, which in a container are fewer than the machine has."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1

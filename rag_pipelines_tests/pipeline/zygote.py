"""Runs the pipeline in children that may be killed: `python -m rag_pipelines_tests.pipeline.zygote`.

One process imports everything and then forks a child for each order that it reads, a JSON line each. It opens
no engine, model or thread itself, so forking is safe and a child starts in milliseconds.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec

from rag_pipelines.catalog.approvals import pending_approvals
from rag_pipelines.core.errors import ParseError
from rag_pipelines.core.faults import arm
from rag_pipelines.core.ports import EmbeddingBatch, ParseFailure, ParseOutcome, ParseTask
from rag_pipelines.parsing import language
from rag_pipelines.parsing.detect import detect
from rag_pipelines.parsing.registry import parser_for
from rag_pipelines.parsing.sandbox import SandboxedParser
from rag_pipelines.pipeline.approve import approve
from rag_pipelines.pipeline.publish import publish
from rag_pipelines.pipeline.reconcile import reconcile
from rag_pipelines.pipeline.reindex import reindex
from rag_pipelines.pipeline.rollback import rollback, unpin
from rag_pipelines.pipeline.sync import sync
from rag_pipelines.pipeline.vacuum import vacuum
from rag_pipelines.pipeline.workspace import Workspace, open_workspace

INDEX = "knowledge"
SMALL = (
    ("rag_pipelines.pipeline.listing", "BATCH", 2),
    ("rag_pipelines.pipeline.parse", "BATCH_DOCUMENTS", 2),
    ("rag_pipelines.pipeline.chunk", "BATCH_DOCUMENTS", 2),
    ("rag_pipelines.pipeline.embed", "COMMIT_EVERY", 2),
    ("rag_pipelines.pipeline.stage", "BATCH_CHUNKS", 4),
    ("rag_pipelines.index.edge_shard", "UPSERT_BATCH", 2),
    ("rag_pipelines.catalog.upkeep", "PAGE", 2),
    ("rag_pipelines.pipeline.compare", "BATCH", 2),
)
SLOW_IMPORTS = (
    "alembic.command",
    "openvino",
    "rag_pipelines.embedding.local",
    "rag_pipelines.embedding.openvino",
    "rag_pipelines.embedding.sparse",
    "rag_pipelines.embedding.tokens",
    "rag_pipelines.index.edge",
    "rag_pipelines.sources.filesystem",
)


class Order(msgspec.Struct):
    """What a child does; `kill` is a fault point and how often it is passed before the child dies there.

    `after` are seconds until the child is killed from outside. `durable` is a folder that keeps the state of
    every collection at its last flush: what a power cut would leave. `sandbox` parses in worker processes,
    as always in production.
    """

    environ: dict[str, str]
    steps: list[str]
    kill: tuple[str, int] | None = None
    after: float | None = None
    durable: str = ""
    sandbox: bool = False


class Report(msgspec.Struct):
    """How the child ended; `computed` are the texts that its model embedded, `passed` the fault points."""

    signal: int = 0
    error: str = ""
    seconds: float = 0.0
    computed: int = 0
    passed: list[str] = []


class InlineParser(SandboxedParser):
    """Parses in this process: the sandbox writes nothing durable, and starting it takes most of a short run."""

    def parse(self, tasks: Iterable[ParseTask]) -> Iterator[ParseOutcome]:
        for task in tasks:
            try:
                found = parser_for(detect(task.data, task.name, task.media_type))(task.data, task.name)
            except ParseError as error:
                yield ParseOutcome(task.key, failure=ParseFailure(str(error)))
                continue
            told = found.language or language.detect_language(found)
            yield ParseOutcome(task.key, document=msgspec.structs.replace(found, language=told))


def main() -> None:
    """Serve orders from standard input until it ends."""
    preload()
    for line in sys.stdin.buffer:
        order = msgspec.json.decode(line, type=Order)
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            _run(order, writer)
        os.close(writer)
        sys.stdout.buffer.write(msgspec.json.encode(_reap(child, order.after, reader)) + b"\n")
        sys.stdout.buffer.flush()


def preload() -> None:
    """What takes long to import, before there is a child."""
    for name in SLOW_IMPORTS:
        import_module(name)
    language.preload()


def _reap(child: int, after: float | None, reader: int) -> Report:
    began = time.monotonic()
    status: int | None = None
    if after is not None:
        time.sleep(after)
        os.kill(child, signal.SIGKILL)
    with open(reader, "rb") as pipe:
        said = pipe.read()
    _, status = os.waitpid(child, 0)
    report = msgspec.json.decode(said, type=Report) if said else Report()
    report.signal = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    report.seconds = time.monotonic() - began
    return report


def _run(order: Order, writer: int) -> None:
    """In the child; never returns."""
    report = Report()
    try:
        os.environ.update(order.environ)
        _make_small()
        _count_texts(report)
        arm(_action(order, report))
        with open_workspace() as workspace:
            if not order.sandbox:
                workspace.parser = InlineParser  # type: ignore[method-assign]
            for step in order.steps:
                perform(workspace, step)
    except BaseException:
        report.error = traceback.format_exc()
    with open(writer, "wb") as pipe:
        pipe.write(msgspec.json.encode(report))
    os._exit(0)


def _make_small() -> None:
    """So that a handful of documents goes through every loop more than once."""
    for module, name, size in SMALL:
        assert hasattr(import_module(module), name)
        setattr(import_module(module), name, size)


def _count_texts(report: Report) -> None:
    from rag_pipelines.embedding.local import LocalEmbedder

    original = LocalEmbedder.embed

    def counting(self: LocalEmbedder, texts: Any, on_done: Any = None) -> EmbeddingBatch:
        report.computed += len(texts)
        return original(self, texts, on_done)

    LocalEmbedder.embed = counting  # type: ignore[method-assign]


def _action(order: Order, report: Report) -> Callable[[str], None]:
    def action(name: str) -> None:
        report.passed.append(name)
        if order.durable and name in ("engine.ready", "engine.flushed"):
            _keep(Path(order.environ["RAG_HOME"]) / "engine", Path(order.durable))
        if order.kill is not None and name == order.kill[0] and report.passed.count(name) >= order.kill[1]:
            os.kill(os.getpid(), signal.SIGKILL)

    return action


def _keep(engine: Path, durable: Path) -> None:
    durable.mkdir(exist_ok=True)
    for collection in engine.iterdir():
        if (collection / "writer").is_dir():
            shutil.rmtree(durable / collection.name, ignore_errors=True)
            subprocess.run(["cp", "-a", collection / "writer", durable / collection.name], check=True)


def perform(workspace: Workspace, step: str) -> None:
    """One verb of the pipeline, with its arguments."""
    verb, *arguments = step.split()
    if verb == "rollback":
        rollback(workspace, INDEX, int(arguments[0]))
        return
    with workspace.catalog.exclusive("sync", print):
        VERBS[verb](workspace)


def _approve_all(workspace: Workspace) -> None:
    for row in pending_approvals(workspace.catalog):
        approve(workspace, row, "ana")


VERBS: dict[str, Callable[[Workspace], Any]] = {
    "sync": lambda workspace: sync(workspace, list(workspace.configuration.sources)),
    "publish": lambda workspace: publish(workspace, INDEX),
    "unpin": lambda workspace: unpin(workspace, INDEX),
    "approve": _approve_all,
    "vacuum": lambda workspace: vacuum(workspace, INDEX, artifacts=True),
    "reconcile": lambda workspace: reconcile(workspace, INDEX),
    "reindex": lambda workspace: reindex(workspace, "docs", "", force=True),
}


if __name__ == "__main__":
    main()

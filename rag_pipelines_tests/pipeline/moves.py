"""Moves the pointer of a test project, and says where it is."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from rag_pipelines.catalog import versions
from rag_pipelines.pipeline.publish import Published, publish
from rag_pipelines.pipeline.rollback import Moved, rollback, unpin
from rag_pipelines_tests.project import Project


def roll_back(project: Project, to: int | None = None) -> Moved:
    """`rag-pipelines rollback`."""
    with project.workspace() as workspace:
        return rollback(workspace, "knowledge", to)


def let_go(project: Project) -> int | None:
    """`rag-pipelines unpin`."""
    with project.workspace() as workspace:
        return unpin(workspace, "knowledge")


def go_forward(project: Project) -> Published:
    """`rag-pipelines publish`."""
    with project.workspace() as workspace:
        return publish(workspace, "knowledge")


def pinned(project: Project) -> int | None:
    """Where the index is held."""
    with project.workspace() as workspace:
        pointer = versions.pointer(workspace.catalog, "knowledge")
        return pointer.pinned if pointer else None


def hidden(project: Project) -> list[str]:
    """Documents that the engine may still hold and readers leave out."""
    with project.workspace() as workspace:
        return versions.hidden_documents(workspace.catalog, "knowledge")


def texts(project: Project, version: int | None = None) -> str:
    """All that a version says."""
    return " ".join(sorted(payload["text"] for payload in project.visible(version).values()))


@contextmanager
def running_sync(project: Project) -> Iterator[None]:
    """Another thread holds the lock that a sync holds, for the length of the block."""
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with project.workspace() as workspace, workspace.catalog.exclusive("sync", lambda _: None):
            held.set()
            done.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(60)
    try:
        yield
    finally:
        done.set()
        thread.join()

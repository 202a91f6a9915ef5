"""A project of real pages, and the candidate version that a sync leaves unpublished."""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from rag_pipelines.catalog import versions
from rag_pipelines.config.quality import QualityConfig
from rag_pipelines.core.checks import Check
from rag_pipelines.core.ports import Embedder, EmbeddingBatch
from rag_pipelines.index.points import visible_at
from rag_pipelines.pipeline.candidates import Candidate
from rag_pipelines.pipeline.data_quality import data_checks
from rag_pipelines.pipeline.publish import close_candidate, publish
from rag_pipelines.pipeline.sync import sync
from rag_pipelines.pipeline.workspace import Workspace
from rag_pipelines.pipeline.writers import opened_writer
from rag_pipelines_tests.project import Parts, Project, scratch_folder

INDEX = "knowledge"
DOCS, GUIDES, SPARE = 40, 8, 6
SHORT, LONG = 1_000, 2_200


class RememberingEmbedder:
    """The real model; computes the vector of a text once for all tests of this process."""

    def __init__(self, real: Embedder) -> None:
        self.real = real
        self.known: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def embed(self, texts: Sequence[str], on_done: Callable[[int], None] | None = None) -> EmbeddingBatch:
        """Vectors of texts, from memory where they are there."""
        fresh = sorted({text for text in texts if text not in self.known})
        if fresh:
            self.known |= dict(zip(fresh, self.real.embed(fresh).vectors, strict=True))
        return EmbeddingBatch(np.stack([self.known[text] for text in texts]), 0)


@cache
def pages(archive: Path, count: int) -> dict[str, str]:
    """The first so many pages of one to a few passages, by path."""
    found: dict[str, str] = {}
    with tarfile.open(archive) as opened:
        for member in opened:
            if member.isfile() and member.name.endswith(".md") and SHORT <= member.size <= LONG:
                stream = opened.extractfile(member)
                assert stream is not None
                found[str(PurePosixPath(*PurePosixPath(member.name).parts[1:]))] = stream.read().decode()
                if len(found) == count:
                    break
    assert len(found) == count
    return found


@dataclass(frozen=True)
class Published:
    """Real pages in two sources, `docs` and `guides`, live at version 1; `spare` are pages in neither."""

    project: Project
    embedder: RememberingEmbedder
    texts: dict[str, str]
    spare: dict[str, str]


@contextmanager
def published_pages(archive: Path, parts: Parts) -> Iterator[Published]:
    """Copy the project, do not change it."""
    found = pages(archive, DOCS + GUIDES + SPARE)
    named = [(path.replace("/", "-"), text) for path, text in found.items()]
    texts, spare = dict(named[: DOCS + GUIDES]), dict(named[DOCS + GUIDES :])
    with scratch_folder() as folder:
        project = Project(folder / "made", parts=parts)
        project.source("guides")
        project.index(INDEX, publish="manual")
        for at, (name, text) in enumerate(texts.items()):
            project.write(name, text, "docs" if at < DOCS else "guides")
        with project.workspace() as workspace:
            embedder = RememberingEmbedder(workspace.embedder(workspace.configuration.indexes[INDEX]))
            workspace._embedders = {INDEX: embedder}
            sync(workspace, ("docs", "guides"))
            make_live(workspace)
        yield Published(project, embedder, texts, spare)


@contextmanager
def candidate_of(project: Project, workspace: Workspace) -> Iterator[Candidate]:
    """What is staged and unpublished, open as the gates get it."""
    number = close_candidate(workspace, INDEX, "")
    assert number is not None, "nothing is staged"
    with workspace.catalog.begin() as tx:
        row = versions.version_row(tx, INDEX, number)
    assert row is not None
    with opened_writer(workspace, row["collection"]) as writer:
        writer.flush()
        snapshot = workspace.engine.snapshot(row["collection"])
    reader = workspace.engine.reader(row["collection"], snapshot)
    with project.searchers() as searchers:
        try:
            yield Candidate(
                index=INDEX,
                number=number,
                collection=row["collection"],
                reader=reader,
                shown=visible_at(number),
                searcher=searchers.get(INDEX),
                live=versions.pointer(workspace.catalog, INDEX),
            )
        finally:
            reader.close()


def synced_checks(
    project: Project, workspace: Workspace, settings: QualityConfig | None = None
) -> dict[str, Check]:
    """Sync without publishing, and judge what was staged, by the name of the check."""
    sync(workspace, tuple(workspace.configuration.sources))
    return staged_checks(project, workspace, settings)


def staged_checks(
    project: Project, workspace: Workspace, settings: QualityConfig | None = None
) -> dict[str, Check]:
    """Judge what is staged, by the name of the check."""
    with candidate_of(project, workspace) as candidate:
        found = data_checks(workspace, candidate, settings or QualityConfig())
    return {check.name: check for check in found}


def make_live(workspace: Workspace) -> None:
    """Publish what is staged."""
    publish(workspace, INDEX)

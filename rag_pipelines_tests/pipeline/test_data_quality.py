"""Seven faults, each put into a real pipeline over real pages, and what is said of the version that comes of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from rag_pipelines import chunking
from rag_pipelines.catalog import versions
from rag_pipelines.config.quality import QualityConfig
from rag_pipelines.core.checks import Check
from rag_pipelines.core.ports import EmbeddingBatch, ParseOutcome, ParseTask
from rag_pipelines.core.types import Element, ElementKind, ParsedDocument
from rag_pipelines.embedding.sparse import Bm25Encoder
from rag_pipelines.pipeline.approve import approve
from rag_pipelines.pipeline.embed import unpack
from rag_pipelines.pipeline.reindex import reindex
from rag_pipelines.pipeline.sync import sync
from rag_pipelines.pipeline.workspace import Workspace
from rag_pipelines.quality.checks import NAMES
from rag_pipelines_tests.pipeline.staged import (
    INDEX,
    Published,
    staged_checks,
    synced_checks,
)
from rag_pipelines_tests.project import Project, scratch_folder

pytestmark = pytest.mark.slow

NAVIGATION = "Home Products Pricing Documentation Blog Support Sign in Contact us"
"""What stands around every page."""


@pytest.fixture
def project(published: Published) -> Iterator[Project]:
    """A copy of the live project, without the brake on deletions of `docs`."""
    with scratch_folder() as folder:
        copy = published.project.copied(folder / "copy")
        copy.source("docs", limits={"max_delete_fraction": 1.0})
        yield copy


@pytest.fixture
def workspace(project: Project, published: Published) -> Iterator[Workspace]:
    """It, opened."""
    with project.workspace() as opened:
        opened._embedders = {INDEX: published.embedder}
        yield opened


def names(project: Project) -> list[str]:
    """The pages of `docs`."""
    return sorted(path.name for path in (project.root / "docs").iterdir())


def edit(project: Project, count: int = 15) -> None:
    """A sentence more in so many pages of `docs`."""
    for name in names(project)[:count]:
        path = project.root / "docs" / name
        path.write_text(f"{path.read_text()}\n\nThis page was reviewed for release {name[:9]}_42.\n")


def refused(checks: dict[str, Check], name: str, *said: str) -> None:
    """The check fails, holds the version back, and its reason names the source and says what is wrong."""
    assert not checks[name].passed, {check.name: check.metadata for check in checks.values()}
    assert checks[name].holds
    assert "source 'docs'" in checks[name].reason
    assert "source 'guides'" not in checks[name].reason
    for words in said:
        assert words in checks[name].reason


def alarms(checks: dict[str, Check]) -> dict[str, str]:
    """What would hold the version back."""
    return {check.name: check.reason for check in checks.values() if check.holds}


def test_an_ordinary_change_passes_every_check(project: Project, workspace: Workspace) -> None:
    edit(project)
    checks = synced_checks(project, workspace)
    assert [*checks] == list(NAMES)
    assert {check.name: check.reason for check in checks.values() if not check.passed} == {}
    assert checks["chunks_cover"].metadata["looked_at"] == 15
    assert (
        checks["vectors_reproducible"].metadata["looked_at"]
        == checks["vectors_norm"].metadata["looked_at"]
        == 29
    )
    assert checks["terms_identifiers"].metadata["looked_at"] == 2


# A chunker that drops every second chunk.


def dropping(monkeypatch: pytest.MonkeyPatch) -> None:
    real = chunking.chunk_documents

    def half(*given: Any) -> Any:
        return [chunks[::2] for chunks in real(*given)]

    monkeypatch.setattr("rag_pipelines.pipeline.chunk.chunk_documents", half)


def test_a_chunker_that_drops_every_second_chunk_of_edited_pages(
    project: Project, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    dropping(monkeypatch)
    edit(project)
    refused(synced_checks(project, workspace), "chunks_cover", "leave text out")


def test_a_chunker_that_drops_every_second_chunk_of_pages_that_stay(
    project: Project, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    dropping(monkeypatch)
    monkeypatch.setattr("rag_pipelines.pipeline.chunk.chunker_fingerprint", lambda *_: "of another code")
    sync(workspace, ("docs",))
    refused(staged_checks(project, workspace), "chunks_cover", "leave text out")


def test_a_chunker_that_finds_no_chunk_in_new_pages(
    project: Project, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "rag_pipelines.pipeline.chunk.chunk_documents", lambda documents, *_: [[] for _ in documents]
    )
    project.write("new.md", "# New\n\nNobody will find this.\n")
    sync(workspace, ("docs",))
    monkeypatch.undo()
    edit(project, 1)
    checks = synced_checks(project, workspace)
    refused(checks, "chunks_cover", "of new.md they hold 0%")


# Swapped vectors.


class Faulty:
    """A part that does something else with what the real one returns."""

    def __init__(self, real: Any, change: Callable[[Any], Any]) -> None:
        self.real, self.change = real, change

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def embed(self, texts: Sequence[str], on_done: Callable[[int], None] | None = None) -> EmbeddingBatch:
        """Vectors, changed."""
        return EmbeddingBatch(self.change(self.real.embed(texts, on_done).vectors), 0)

    def parse(self, tasks: Iterable[ParseTask]) -> Iterator[ParseOutcome]:
        """Outcomes, changed all together."""
        return iter(self.change(list(self.real.parse(tasks))))


@pytest.mark.parametrize("mended", [False, True])
def test_swapped_vectors(project: Project, workspace: Workspace, mended: bool) -> None:
    real = workspace._embedders[INDEX]
    workspace._embedders = {INDEX: Faulty(real, lambda vectors: np.roll(vectors, 1, axis=0))}
    edit(project)
    sync(workspace, ("docs",))
    if mended:
        workspace._embedders = {INDEX: real}
    refused(
        staged_checks(project, workspace), "vectors_reproducible", "have another vector than the stored one"
    )


def test_vectors_that_the_engine_swapped(
    project: Project, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def swapped(data: bytes, *, unit: bool = True) -> Any:
        return unpack(data, unit=unit)[::-1].copy()

    monkeypatch.setattr("rag_pipelines.pipeline.stage.unpack", swapped)
    edit(project)
    refused(synced_checks(project, workspace), "vectors_stored", "otherwise than the catalog")


# A model loaded without normalisation.


def test_a_model_without_normalisation(
    project: Project, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = workspace._embedders[INDEX].real  # type: ignore[attr-defined]
    workspace._embedders = {INDEX: model}
    monkeypatch.setattr(model, "_unit", False)
    edit(project)
    refused(synced_checks(project, workspace), "vectors_norm", "are not at unit length")


# A parser that returns navigation only.


def reparsing(
    workspace: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[list[ParseOutcome]], list[ParseOutcome]],
) -> None:
    """Put a fault behind the parser; everything of `docs` will be parsed again with it."""
    real = Workspace.parser
    monkeypatch.setattr(Workspace, "parser", lambda self, limits: Faulty(real(self, limits), change))


def with_text(document: ParsedDocument, text: str) -> ParsedDocument:
    return msgspec.structs.replace(
        document, text=text, elements=(Element(ElementKind.PARAGRAPH, 0, len(text)),)
    )


def navigation(outcomes: list[ParseOutcome]) -> list[ParseOutcome]:
    return [
        replace(one, document=with_text(one.document, f"{NAVIGATION} {one.document.title}"))
        for one in outcomes
        if one.document is not None
    ]


def test_a_parser_that_returns_navigation_only(
    project: Project, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    reparsing(workspace, monkeypatch, navigation)
    reindex(workspace, "docs", force=True)
    checks = staged_checks(project, workspace)
    refused(checks, "documents_shrunk", "40 documents lost more than half of their text")
    refused(checks, "documents_length", "times shorter on average")
    refused(checks, "documents_thin", "hardly any words became text")


def test_a_parser_that_returns_navigation_only_of_edited_pages(
    project: Project, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    reparsing(workspace, monkeypatch, navigation)
    edit(project, 6)
    refused(synced_checks(project, workspace), "documents_shrunk", "6 documents lost more than half")


def test_a_parser_that_returned_navigation_only_from_the_start(
    project: Project,
    workspace: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    published: Published,
    tmp_path: Path,
) -> None:
    first = Project(tmp_path / "first", parts=project.parts)
    first.index(INDEX, publish="manual")
    for name in names(project)[:10]:
        first.write(name, published.texts[name])
    with first.workspace() as opened:
        opened._embedders = workspace._embedders
        reparsing(opened, monkeypatch, navigation)
        checks = synced_checks(first, opened)
    assert versions.pointer(workspace.catalog, INDEX) is not None
    refused(checks, "documents_thin", "of 10 documents hardly any words became text")


# A source that halves.


def test_a_source_that_halves(project: Project, workspace: Workspace) -> None:
    project.remove(*names(project)[::2])
    checks = synced_checks(project, workspace)
    refused(checks, "documents_lost", "20 of 40 documents of the live version are gone, at most 12 may be")


def test_a_source_whose_deletions_were_approved(project: Project, workspace: Workspace) -> None:
    project.source("docs")
    with project.workspace() as fresh:
        workspace.configuration = fresh.configuration
    project.remove(*names(project)[::2])
    sync(workspace, ("docs",))
    approve(workspace, _pending(workspace), "ana")
    checks = synced_checks(project, workspace)
    assert alarms(checks) == {}
    assert checks["documents_lost"].metadata["highest"]["value"] == 0


def _pending(workspace: Workspace) -> Any:
    from rag_pipelines.catalog.approvals import pending_approvals

    (row,) = pending_approvals(workspace.catalog)
    return row


def test_a_source_whose_texts_halve(project: Project, workspace: Workspace) -> None:
    for name in names(project):
        path = project.root / "docs" / name
        text = path.read_text()
        path.write_text(text[: len(text) // 2])
    refused(synced_checks(project, workspace), "documents_length", "times shorter on average")


# 5% of the documents with the text of another.


def shuffled(outcomes: list[ParseOutcome]) -> list[ParseOutcome]:
    """The last two of forty have the text of the first two."""
    changed = list(outcomes)
    for at in range(2):
        changed[-1 - at] = replace(changed[-1 - at], document=changed[at].document)
    return changed


@pytest.mark.parametrize("policy", ["mark", "collapse"])
def test_documents_with_the_text_of_another_from_the_parser(
    project: Project, workspace: Workspace, monkeypatch: pytest.MonkeyPatch, policy: str
) -> None:
    project.source("docs", dedup={"policy": policy})
    with project.workspace() as fresh:
        workspace.configuration = fresh.configuration
    reparsing(workspace, monkeypatch, shuffled)
    reindex(workspace, "docs", force=True)
    refused(
        staged_checks(project, workspace),
        "documents_foreign",
        "2 documents carry a text that is not their own",
    )


@pytest.mark.parametrize("policy", ["mark", "collapse", "off"])
def test_documents_with_the_text_of_another_from_the_source(
    project: Project, workspace: Workspace, policy: str
) -> None:
    project.source("docs", dedup={"policy": policy})
    with project.workspace() as fresh:
        workspace.configuration = fresh.configuration
    known = names(project)
    for at in range(2):
        project.write(known[-1 - at], (project.root / "docs" / known[at]).read_bytes())
    refused(
        synced_checks(project, workspace),
        "documents_foreign",
        "2 documents carry a text that is not their own",
    )


# An analyzer that loses identifiers.


def terms_of(change: Callable[[str, list[str]], list[str]]) -> Callable[[Bm25Encoder, str], list[str]]:
    real = Bm25Encoder._terms_of
    return lambda self, word: change(word, real(self, word))


JOINED = re.compile(r"[a-z0-9](?:[._-])[a-z0-9]")


def dropped(word: str, terms: list[str]) -> list[str]:
    return [] if JOINED.search(word) else terms


def in_parts(word: str, terms: list[str]) -> list[str]:
    return terms[1:] if JOINED.search(word) else terms


@pytest.mark.parametrize("change", [dropped, in_parts])
def test_an_analyzer_that_loses_identifiers(
    project: Project,
    workspace: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[str, list[str]], list[str]],
) -> None:
    monkeypatch.setattr(Bm25Encoder, "_terms_of", terms_of(change))
    edit(project)
    refused(synced_checks(project, workspace), "terms_identifiers", "identifiers do not find their passages")


def test_an_analyzer_that_lost_identifiers_while_points_were_written(
    project: Project, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Bm25Encoder, "_terms_of", terms_of(dropped))
    edit(project)
    sync(workspace, ("docs",))
    monkeypatch.undo()
    checks = staged_checks(project, workspace)
    refused(checks, "terms_stored", "with other terms than their text's")
    refused(checks, "terms_identifiers", "identifiers do not find their passages")


# What is looked at.


def test_what_is_looked_at_follows_the_change_and_is_capped(project: Project, workspace: Workspace) -> None:
    edit(project, 3)
    few = synced_checks(project, workspace)
    assert few["chunks_cover"].metadata["looked_at"] == 3
    edit(project, 40)
    some = synced_checks(project, workspace, QualityConfig(max_documents=25, reembedded=2, identifiers=0))
    assert some["chunks_cover"].metadata["looked_at"] == 25
    assert some["vectors_reproducible"].metadata["looked_at"] == 2
    assert alarms(some) == {}
    points = synced_checks(project, workspace, QualityConfig(max_points=10, compared=0))
    assert points["chunks_cover"].metadata["looked_at"] < 25
    assert points["chunks_filled"].metadata["looked_at"] >= 10
    assert points["documents_languages"].metadata["looked_at"] == 0

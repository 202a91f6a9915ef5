"""What goes wrong elsewhere: one test for each way in which indexes of others lose, keep or repeat too much."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from rag_pipelines.core.errors import EmbeddingError
from rag_pipelines.core.filters import Match
from rag_pipelines.core.ids import document_id
from rag_pipelines.core.ports import CollectionWriter
from rag_pipelines.core.types import CURRENT, Point
from rag_pipelines.parsing import sandbox
from rag_pipelines.pipeline import writers
from rag_pipelines.pipeline.reconcile import reconcile
from rag_pipelines.pipeline.workspace import Workspace
from rag_pipelines_tests.embedding.embedding_server import DIMENSION, Answer, EmbeddingServer, serve
from rag_pipelines_tests.pipeline.conftest import LEAVE, PUMP, TRAVEL
from rag_pipelines_tests.pipeline.counting import Work, Wrapped
from rag_pipelines_tests.pipeline.stops import KilledError, killing
from rag_pipelines_tests.project import Parts, Project

PAGES = {"leave.md": LEAVE, "travel.md": TRAVEL, "pump.md": PUMP}
NINE = LEAVE.replace("Seven days", "Nine days")


@pytest.fixture
def project(scratch: Path, parts: Parts) -> Project:
    """Three pages, not synced yet."""
    made = Project(scratch / "project", parts=parts)
    for name, text in PAGES.items():
        made.write(name, text)
    return made


@pytest.fixture
def endpoint() -> Iterator[EmbeddingServer]:
    """A real OpenAI-compatible endpoint."""
    with serve() as running:
        yield running


def test_a_failed_embedding_call_is_made_up_for_by_the_retry(
    scratch: Path, endpoint: EmbeddingServer
) -> None:
    """Elsewhere the document's hash is saved before the call fails, and the retry skips the document for ever."""
    project = Project(scratch / "project")
    project.index(
        "knowledge",
        embedding={
            "provider": "openai",
            "model": "remote",
            "openai": {"base_url": endpoint.url, "dimension": DIMENSION, "max_attempts": 1, "batch_size": 1},
        },
    )
    for name, text in PAGES.items():
        project.write(name, text)
    endpoint.script = [Answer(), Answer(status=500)]
    with pytest.raises(EmbeddingError):
        project.sync()
    assert project.live() is None
    assert len(endpoint.requests) == 2

    counts = project.sync()["sources"]["docs"]

    assert (counts["unchanged"], counts["changed"]) == (3, 0)
    assert project.visible_uris() == sorted(PAGES)
    sent = [text for request in endpoint.requests for text in request["input"]]
    assert set(sent) == {payload["text"] for payload in project.visible().values()}

    project.write("leave.md", NINE)
    endpoint.script = [Answer(status=500)]
    with pytest.raises(EmbeddingError):
        project.sync()
    assert "Seven days" in _texts(project), "the live version stays whole"
    project.sync()
    assert "Nine days" in _texts(project)
    assert "Seven days" not in _texts(project)


def _texts(project: Project, version: int | None = None) -> str:
    return " ".join(payload["text"] for payload in project.visible(version).values())


class _WatchedWriter(Wrapped):
    """Looks into the collection around every change: what is new must be there before anything old leaves."""

    def __init__(self, real: CollectionWriter, steps: list[tuple[str, Counter[str]]]) -> None:
        super().__init__(real, Work())
        self.steps = steps

    def upsert(self, points: Sequence[Point]) -> None:
        self.real.upsert(points)
        self._look("upsert")

    def set_payload(self, ids: Sequence[str], payload: Mapping[str, Any]) -> None:
        self._look("before removing")
        self.real.set_payload(ids, payload)
        self._look("set_payload")

    def delete(self, ids: Sequence[str]) -> None:
        self._look("before deleting")
        self.real.delete(ids)

    def _look(self, step: str) -> None:
        points = list(self.real.scroll(Match("doc_id", document_id("docs", "leave.md"))))
        current = [p.payload for p in points if p.payload["removed"] == CURRENT]
        kinds = ["new" if "Nine" in payload["text"] else "old" for payload in current]
        self.steps.append((step, Counter(kinds)))


def test_old_points_leave_after_the_new_ones_are_there(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.sync()
    before = project.visible(1)
    project.write("leave.md", NINE)
    steps: list[tuple[str, Counter[str]]] = []
    real = writers.opened_writer

    @contextmanager
    def watched(workspace: Workspace, collection: str) -> Iterator[Any]:
        with real(workspace, collection) as writer:
            yield _WatchedWriter(writer, steps)

    monkeypatch.setattr("rag_pipelines.pipeline.stage.opened_writer", watched)

    project.sync()

    removing = [step for step, _ in steps].index("before removing")
    assert steps[removing][1] == {"new": 1, "old": 1}
    assert all(kinds["new"] + kinds["old"] > 0 for _, kinds in steps), "the document is never gone"
    assert steps[-1][1] == {"new": 1}
    assert project.visible(1) == before


@pytest.mark.parametrize("place", ["engine.upserted", "engine.payload_set", "stage.flushed"])
def test_a_document_whose_replacement_breaks_off_is_still_found(project: Project, place: str) -> None:
    project.sync()
    before = project.visible()
    project.write("leave.md", NINE)
    with pytest.raises(KilledError), killing(place):
        project.sync()
    assert project.visible() == before
    assert "Seven days" in project.search("carry over leave", k=1).passages[0].text
    project.sync()
    assert "Nine days" in project.search("carry over leave", k=1).passages[0].text


def test_two_documents_with_equal_content_stay_two(project: Project, work: Work) -> None:
    """Elsewhere ids are content hashes: the two collapse into one, and deleting one deletes both."""
    project.write("copy.md", PUMP)
    project.sync()
    assert work.embedded.count(PUMP.replace("# ", "").strip()) <= 1
    assert len(set(work.embedded)) == len(work.embedded)
    found = {name: payload["uri"] for name, payload in project.visible().items()}
    assert sorted(found.values()) == ["copy.md", "leave.md", "pump.md", "travel.md"]
    (passage,) = project.search("ERR_4217", k=1).passages
    places = {passage.citation.uri, *(place.uri for place in passage.locations)}
    assert places == {"pump.md", "copy.md"}

    project.remove("pump.md")
    counts = project.sync()["sources"]["docs"]

    assert (counts["deleted"], counts["moved"], counts["embedded"]) == (1, 0, 0)
    assert project.visible_uris() == ["copy.md", "leave.md", "travel.md"]
    assert project.uris("ERR_4217", k=1) == ["copy.md"]
    project.remove("copy.md")
    project.sync()
    assert project.visible_uris() == ["leave.md", "travel.md"]


def test_equal_content_in_two_sources_stays_two_with_the_rights_of_each(project: Project) -> None:
    project.source("vault", acl=["group:board"])
    project.write("pump.md", PUMP, "vault")
    project.sync()
    assert Counter(payload["source"] for payload in project.visible().values()) == {"docs": 3, "vault": 1}
    project.remove("pump.md")
    project.sync()
    [left] = [payload for payload in project.visible().values() if payload["uri"] == "pump.md"]
    assert (left["source"], left["acl"]) == ("vault", ["group:board"])


def test_a_changed_chunker_is_not_ignored_although_the_bytes_are_the_same(
    project: Project, work: Work
) -> None:
    project.sync()
    project.sync()  # by now no stage has anything left to look at
    before = project.visible()
    work.clear()
    project.source("docs", chunking={"max_tokens": 16})

    counts = project.sync()["sources"]["docs"]

    assert (work.fetched, work.parsed, len(work.cut)) == ([], [], 3)
    assert counts["unchanged"] == 3
    assert len(project.visible()) > len(before)
    assert project.visible(1) == before
    work.clear()
    project.source("docs")
    project.sync()
    assert work.embedded == [], "the earlier vectors are still there"
    assert {name: p["text"] for name, p in project.visible().items()} == {
        name: p["text"] for name, p in before.items()
    }


def test_a_changed_parser_is_not_ignored_although_the_bytes_are_the_same(
    scratch: Path, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Project(scratch / "project")
    for name, text in PAGES.items():
        project.write(name, text)
    project.sync()
    project.sync()  # by now no stage has anything left to look at
    work.clear()
    real = sandbox.SandboxedParser.fingerprint
    monkeypatch.setattr(sandbox.SandboxedParser, "version", property(lambda self: "another"))
    monkeypatch.setattr(
        sandbox.SandboxedParser,
        "fingerprint",
        lambda self, name, media_type: real(self, name, media_type)[:-1] + "x",
    )

    counts = project.sync()["sources"]["docs"]

    assert (sorted(work.fetched), len(work.parsed), work.embedded) == (sorted(PAGES), 3, [])
    assert counts["unchanged"] == 3
    work.clear()
    project.sync()
    assert work == Work()


def test_a_renamed_file_is_not_embedded_again(project: Project, work: Work) -> None:
    project.sync()
    work.clear()
    (project.root / "docs/pump.md").rename(project.root / "docs/P-880.md")

    counts = project.sync()["sources"]["docs"]

    assert (counts["moved"], counts["added"], counts["deleted"]) == (1, 0, 0)
    assert (work.fetched, work.parsed, work.embedded) == (["P-880.md"], [], [])
    assert project.visible_uris() == ["P-880.md", "leave.md", "travel.md"]
    assert project.uris("ERR_4217", k=1) == ["P-880.md"]


@pytest.mark.parametrize("place", ["engine.upserted", "engine.flushed", "stage.confirmed", "publish.copied"])
def test_points_that_a_crash_left_do_not_answer(project: Project, place: str) -> None:
    """New pages are in the engine, then the process dies and the pages are taken back."""
    project.sync()
    before = project.visible()
    project.write("rumour.md", "# Rumour\n\nThe company moves to Atlantis.\n")
    project.write("leave.md", NINE)
    with pytest.raises(KilledError), killing(place):
        project.sync()
    assert "rumour.md" not in project.uris("Atlantis", k=9)
    project.remove("rumour.md")
    project.write("leave.md", LEAVE)

    project.sync()

    assert "rumour.md" not in project.uris("Atlantis", k=9)
    texts = sorted(payload["text"] for payload in project.visible().values())
    assert texts == sorted(payload["text"] for payload in before.values())
    with project.workspace() as workspace:
        assert reconcile(workspace, "knowledge", repair=False).right

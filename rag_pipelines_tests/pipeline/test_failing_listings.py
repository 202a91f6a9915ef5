"""A source that answers 503, half of its listing or nothing at all loses no document."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from rag_pipelines.catalog import documents as document_rows
from rag_pipelines.catalog import reports
from rag_pipelines.core.errors import SourceError
from rag_pipelines_tests.pipeline.conftest import LEAVE
from rag_pipelines_tests.pipeline.record_server import RecordServer, serve_records
from rag_pipelines_tests.project import Parts, Project


@pytest.fixture
def records() -> Iterator[RecordServer]:
    """A real HTTP server with one file of records."""
    with serve_records() as running:
        running.body = lines(range(20))
        yield running


def lines(numbers: Iterable[int]) -> bytes:
    rows = ({"id": f"note{n:02d}", "text": f"Machine {n} is oiled on day {n} of the month."} for n in numbers)
    return "".join(f"{json.dumps(row)}\n" for row in rows).encode()


@pytest.fixture
def noted(scratch: Path, parts: Parts, records: RecordServer) -> Project:
    """Twenty records over HTTP at version 1; any deletion would go through."""
    made = Project(scratch / "project", parts=parts)
    made.source(
        "docs",
        connector="records",
        params={"url": records.url, "fields": {"id": "id", "text": "text"}},
        limits={"max_delete_fraction": 1.0, "max_delete_floor": 1000},
    )
    assert made.sync()["sources"]["docs"]["added"] == 20
    return made


@pytest.mark.parametrize("mode", ["503", "torn"])
def test_a_failing_listing_deletes_nothing(noted: Project, records: RecordServer, mode: str) -> None:
    """Elsewhere a source that answers 503, or half of its listing, loses its documents."""
    before = noted.visible()
    records.mode = mode
    with pytest.raises(SourceError):
        noted.sync()
    assert records.failed
    assert noted.visible() == before
    with noted.workspace() as workspace:
        row = document_rows.source_row(workspace.catalog, "docs")
        assert row is not None
        assert row["error"]
        assert reports.source_totals(workspace.catalog, "docs")["documents"] == 20
    records.mode = "ok"
    counts = noted.sync()["sources"]["docs"]
    assert (counts["unchanged"], counts["deleted"]) == (20, 0)
    assert noted.live() == 1
    with noted.workspace() as workspace:
        row = document_rows.source_row(workspace.catalog, "docs")
        assert row is not None
        assert row["error"] is None


def test_a_listing_cut_in_the_middle_of_a_record_deletes_nothing(
    noted: Project, records: RecordServer
) -> None:
    """What came before the cut counts, what is missing after it does not."""
    records.body = lines([*range(5), 99]) + b'{"id": "note05", "te'
    with pytest.raises(SourceError):
        noted.sync()
    assert len(noted.visible()) == 20
    records.body = lines([*range(20), 99])
    counts = noted.sync()["sources"]["docs"]
    assert (counts["listed"], counts["deleted"]) == (21, 0)
    assert len(noted.visible()) == 21


def test_an_empty_answer_is_held_and_not_believed(noted: Project, records: RecordServer) -> None:
    records.body = b""
    counts = noted.sync()["sources"]["docs"]
    assert (counts["deleted"], counts["held"]) == (0, 20)
    assert len(noted.visible()) == 20


def test_a_folder_that_cannot_be_listed_deletes_nothing(scratch: Path, parts: Parts) -> None:
    project = Project(scratch / "project", parts=parts)
    project.write("leave.md", LEAVE)
    project.sync()
    folder = project.root / "docs"
    folder.rename(project.root / "away")
    folder.symlink_to("docs")  # leads nowhere but to itself
    with pytest.raises(SourceError):
        project.sync()
    assert project.visible_uris() == ["leave.md"]
    folder.unlink()
    (project.root / "away").rename(folder)
    assert project.sync()["sources"]["docs"]["unchanged"] == 1

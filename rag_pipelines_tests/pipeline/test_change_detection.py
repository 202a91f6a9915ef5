"""How far a change goes: version, bytes, text, chunk; each level counted around the real parts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rag_pipelines_tests.pipeline.conftest import LEAVE, PUMP, TRAVEL
from rag_pipelines_tests.pipeline.counting import Work
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


def test_an_unchanged_version_is_neither_fetched_nor_looked_into(project: Project, work: Work) -> None:
    project.sync()
    assert sorted(work.fetched) == sorted(PAGES)
    assert len(work.parsed) == len(work.cut) == 3
    work.clear()

    project.sync()

    assert work == Work()


def test_a_touched_file_with_equal_bytes_is_not_fetched(project: Project, work: Work) -> None:
    project.sync()
    work.clear()
    path = project.root / "docs/leave.md"
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 5_000_000_000))

    counts = project.sync()["sources"]["docs"]

    assert work == Work()
    assert counts["unchanged"] == 3


def test_equal_bytes_under_a_new_version_go_no_further_than_the_fetch(project: Project, work: Work) -> None:
    """The store's token says that the file may have changed, its bytes say that it has not."""
    project.source("docs", params={"url": "docs", "version": "stat"})
    project.sync()
    work.clear()
    path = project.root / "docs/leave.md"
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 5_000_000_000))

    counts = project.sync()["sources"]["docs"]

    assert work == Work(fetched=["leave.md"])
    assert counts["changed"] == 1
    assert project.live() == 1


def test_an_equal_text_from_other_bytes_goes_no_further_than_the_parser(project: Project, work: Work) -> None:
    body = "<html><body><h1>Gears</h1><p>The gear ratio is 3.2 to one.</p></body></html>"
    project.write("gears.html", body)
    project.sync()
    before = project.visible()
    work.clear()
    project.write("gears.html", body.replace("<h1>", "<!-- built on Monday --><h1>"))

    project.sync()

    assert work == Work(fetched=["gears.html"], parsed=["gears.html"])
    assert project.live() == 1
    assert project.visible() == before


def test_of_an_edited_text_only_the_new_chunks_are_embedded(project: Project, work: Work) -> None:
    project.source("docs", chunking={"max_tokens": 16})
    project.sync()
    work.clear()
    project.write("leave.md", NINE)

    counts = project.sync()["sources"]["docs"]

    assert (work.fetched, work.parsed, len(work.cut)) == (["leave.md"], ["leave.md"], 1)
    assert len(work.embedded) == counts["embedded"] == counts["chunks_added"] == counts["chunks_removed"] == 1
    assert "Nine days" in work.embedded[0]

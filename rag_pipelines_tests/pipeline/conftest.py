"""A project for every test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rag_pipelines_tests.pipeline.counting import Work, count_work
from rag_pipelines_tests.pipeline.staged import Published, published_pages
from rag_pipelines_tests.project import Parts, Project, scratch_folder
from rag_pipelines_tests.shared_data import shared_data

LEAVE = (
    "# Leave\n\nEveryone has thirty days of paid leave a year.\n\n"
    "## Carry-over\n\nSeven days move into the next year.\n"
)
TRAVEL = "# Travel\n\nBook trains before flights. Hotels cost at most 140 euros a night.\n"
PUMP = "# Pump P-880\n\nError ERR_4217 means that the inlet valve is blocked. Open the valve and restart.\n"


@pytest.fixture(scope="session")
def parts() -> Iterator[Parts]:
    """Parsers and models for the tests of this process."""
    kept = Parts()
    yield kept
    kept.close()


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A folder in memory, for projects that are synced many times."""
    with scratch_folder() as folder:
        yield folder


@pytest.fixture
def project(tmp_path: Path, parts: Parts) -> Project:
    """Three Markdown pages, not synced yet."""
    made = Project(tmp_path, parts=parts)
    made.write("leave.md", LEAVE)
    made.write("travel.md", TRAVEL)
    made.write("pump.md", PUMP)
    return made


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Work:
    """Counts around the real connector, parser, chunker and model."""
    return count_work(monkeypatch)


@pytest.fixture(scope="session")
def two_versions(parts: Parts) -> Iterator[Project]:
    """Three pages at version 1; in version 2 leave.md is edited and gears.md is new. Copy it, do not change it."""
    with scratch_folder() as folder:
        made = Project(folder / "project", parts=parts)
        for name, text in (("leave.md", LEAVE), ("travel.md", TRAVEL), ("pump.md", PUMP)):
            made.write(name, text)
        made.sync()
        made.write("leave.md", LEAVE.replace("Seven days", "Nine days"))
        made.write("gears.md", "# Gears\n\nThe gear ratio is 3.2.\n")
        made.sync()
        yield made.copied(folder / "small")


@pytest.fixture(scope="session")
def published(parts: Parts) -> Iterator[Published]:
    """Real pages, live at version 1. Copy the project, do not change it."""
    with published_pages(shared_data("retrieval", "awsdocs_dev", "documents.tar.xz"), parts) as made:
        yield made

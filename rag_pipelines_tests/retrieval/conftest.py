"""A project with copies of every kind, synced once a process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from rag_pipelines_tests.project import Parts, Project, scratch_folder

RULES = (
    "Travel costs are refunded within thirty days after the receipts have reached the accounting office. "
    "Tickets of the first class need the consent of the head of the department before they are bought. "
    "Hotels are booked through the agency named in the annex, and every night costs at most one hundred and "
    "forty euros unless a fair takes place in the city.\n"
)
NEARLY = RULES.replace("thirty days", "forty days")
GATE = (
    "The gate of the car park opens at six in the morning and closes at ten at night for all of the staff.\n"
)
DOCS = {"policy": "collapse", "authority": 1}


@pytest.fixture(scope="session")
def parts() -> Iterator[Parts]:
    """Parsers and models for the tests of this process."""
    kept = Parts()
    yield kept
    kept.close()


def with_copies(project: Project, **retrieval: Any) -> Project:
    """`docs` is the source of truth; `mirror` collapses, `archive` marks, and `board` is not for the staff."""
    project.index("knowledge", retrieval=retrieval)
    project.source("docs", dedup=DOCS)
    project.source("mirror", dedup={"policy": "collapse"})
    project.source("archive", dedup={"policy": "mark"})
    project.source("board", acl=["group:board"], dedup={"policy": "collapse"})
    project.write("gate.md", GATE)
    project.write("travel.md", RULES)
    for source, name, text in (
        ("mirror", "copy.md", RULES),
        ("archive", "old.md", NEARLY),
        ("board", "secret.md", RULES),
    ):
        project.write(name, text, source)
    return project


@pytest.fixture(scope="session")
def synced(parts: Parts) -> Iterator[Project]:
    """Do not change it; `copied` gives one that may be changed."""
    with scratch_folder() as folder:
        project = with_copies(Project(folder / "project", parts=parts))
        project.sync()
        yield project


@pytest.fixture
def copies(synced: Project, tmp_path: Any) -> Project:
    """The same, to change."""
    return synced.copied(tmp_path / "project")

"""The real application over a project with documents of every kind of right."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from rag_pipelines.service.app import create_app
from rag_pipelines_tests.project import Project

LEAVE = "# Leave\n\nEveryone has thirty days of paid leave a year.\n\nSeven days move into the next year.\n"
PUMPS = [
    {
        "id": "1",
        "title": "Pump P-880",
        "text": "Leave the inlet valve open.",
        "product": "P-880",
        "year": 2024,
    },
    {
        "id": "2",
        "title": "Pump P-990",
        "text": "Leave the outlet valve open.",
        "product": "P-990",
        "year": 2025,
    },
    {"id": "3", "title": "Press T-1", "text": "Leave the press closed.", "product": "T-1", "year": 2025},
]
SETTINGS = {
    "principal": {"tenant": "acme", "groups": ["staff"], "clearance": "internal"},
    "poll_seconds": 0.05,
    "max_request_bytes": 2000,
    "max_query_chars": 200,
    "max_k": 50,
}
HIDDEN: dict[str, dict[str, Any]] = {
    "foreign": {"tenant": "globex", "acl": ["*"]},
    "secret": {"classification": "confidential"},
    "board": {"acl": ["group:board"]},
    "nobody": {"acl": []},
}
"""Sources that the configured principal must not see, each for one reason."""


@contextmanager
def running(project: Project) -> Iterator[TestClient]:
    """The application with its lifespan on; a fault inside is an answer, as it is for a real caller."""
    with project.workspace() as workspace:
        app = create_app(project.environment, workspace.configuration)
    with TestClient(app, base_url="http://localhost", raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Synced once for the tests of a module, which do not change it."""
    made = Project(tmp_path_factory.mktemp("served"))
    made.configure("service", SETTINGS)
    made.index("knowledge", filter_fields=["product", "year"], description="Everything")
    made.write("leave.md", LEAVE)
    made.write("travel.md", "# Travel\n\nLeave early and book trains before flights.\n")
    made.source("all", acl=["*"], classification="public")
    made.write("notice.md", "# Notice\n\nLeave your badge at the desk.\n", "all")
    for name, rights in HIDDEN.items():
        made.source(name, **rights)
        made.write("paper.md", f"# Paper\n\nLeave this {name} paper alone.\n", name)
    pumps = made.root / "pumps.jsonl"
    pumps.write_text("".join(json.dumps(row) + "\n" for row in PUMPS), encoding="utf-8")
    fields = {
        "id": "id",
        "title": "title",
        "text": "text",
        "metadata": {"product": "product", "year": "year"},
    }
    made.source("pumps", connector="records", params={"url": "pumps.jsonl", "fields": fields})
    made.sync()
    return made


@pytest.fixture(scope="module")
def client(project: Project) -> Iterator[TestClient]:
    """The application over the synced project."""
    with running(project) as opened:
        yield opened


@pytest.fixture
def small(tmp_path: Path) -> Project:
    """One page, not synced, for tests that change things."""
    made = Project(tmp_path)
    made.configure("service", SETTINGS)
    made.write("leave.md", LEAVE)
    return made

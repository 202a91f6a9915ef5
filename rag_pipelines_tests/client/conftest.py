"""The real service on a port of this machine, over a project synced once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rag_pipelines_tests.client.serving import serving
from rag_pipelines_tests.project import Project

LEAVE = "# Leave\n\nEveryone has thirty days of paid leave a year.\n\nSeven days move into the next year.\n"


@pytest.fixture(scope="package")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Two documents that the asker may read and one of the board."""
    made = Project(tmp_path_factory.mktemp("client") / "project")
    made.source("docs", owner="docs@acme.example", freshness={"warn_after": "1h", "fail_after": "6h"})
    made.source("board", acl=["group:board"])
    made.write("leave.md", LEAVE)
    made.write("hr/travel.md", "# Travel\n\nLeave early and book trains before flights.\n")
    made.write("plan.md", "# Plan\n\nLeave the plan alone.\n", "board")
    made.sync()
    return made


@pytest.fixture(scope="package")
def address(project: Project) -> Iterator[str]:
    """Where it listens."""
    with serving(project) as found:
        yield found

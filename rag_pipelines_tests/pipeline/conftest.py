"""A project for every test."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag_pipelines_tests.project import Project

LEAVE = (
    "# Leave\n\nEveryone has thirty days of paid leave a year.\n\n"
    "## Carry-over\n\nSeven days move into the next year.\n"
)
TRAVEL = "# Travel\n\nBook trains before flights. Hotels cost at most 140 euros a night.\n"
PUMP = "# Pump P-880\n\nError ERR_4217 means that the inlet valve is blocked. Open the valve and restart.\n"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Three Markdown pages, not synced yet."""
    made = Project(tmp_path)
    made.write("leave.md", LEAVE)
    made.write("travel.md", TRAVEL)
    made.write("pump.md", PUMP)
    return made

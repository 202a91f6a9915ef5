"""`rag-pipelines experiment`: real builds in a home of their own, reused where they fit, and gone on with."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from rag_pipelines.catalog import reports
from rag_pipelines.config.load import load_configuration
from rag_pipelines.evaluation.running import run_suite
from rag_pipelines.pipeline import experiment as pipeline_experiment
from rag_pipelines.pipeline.workspace import Workspace
from rag_pipelines_tests.cli.conftest import PAGES, Commands
from rag_pipelines_tests.evaluation.samples import HEADER, write_suite
from rag_pipelines_tests.project import Project

QUERIES = (
    {"_id": "q1", "text": "How many days of leave do I have?"},
    {"_id": "q2", "text": "What does ERR_4217 mean?"},
)
QRELS = (HEADER, "q1\tleave.md\t1", "q2\tpump.md\t1")
GRID = {
    "chunking": {"usual": {}, "short": {"max_tokens": 16}},
    "retrieval": {"bm25": {"mode": "sparse"}, "all": {}},
}


@pytest.fixture
def commands(tmp_path: Path) -> Commands:
    """A project that was never synced, a suite and an experiment of two builds, each asked in two ways."""
    project = Project(tmp_path / "project")
    for name, text in PAGES.items():
        project.write(name, text)
    write_suite(project.root / "suite", QUERIES, QRELS)
    project.configure("eval/pages", {"suite": "pages", "path": "suite", "measures": ["RR@10"]})
    text = yaml.safe_dump({"experiment": "tried", "suite": "pages", "grid": GRID}, sort_keys=False)
    (project.root / "tried.yaml").write_text(text, encoding="utf-8")
    return Commands(project)


def measure(commands: Commands, *options: str) -> dict[str, Any]:
    return commands.json("experiment", str(commands.project.root / "tried.yaml"), *options)


def test_variants_are_built_apart_from_the_index_and_reused(commands: Commands, tmp_path: Path) -> None:
    project = commands.project
    project.sync()
    page = tmp_path / "page.html"
    found = measure(commands, "--report", str(page))
    rows = found["variants"]
    assert [row["variant"] for row in rows] == ["usual, bm25", "usual, all", "short, bm25", "short, all"]
    assert [row["measures"]["RR@10"]["mean"] for row in rows] == [1.0] * 4
    assert rows[0]["index"] == rows[1]["index"] != rows[2]["index"] == rows[3]["index"]
    assert rows[2]["chunks"] > rows[0]["chunks"] == len(project.visible())
    assert rows[0]["vector_bytes"] > rows[0]["chunks"] * 384 * 4
    assert not any(row["reused"] for row in rows)
    home = project.home / "experiments" / "tried"
    assert json.loads((home / "results.json").read_text(encoding="utf-8")) == found
    assert page.read_text(encoding="utf-8") == (home / "report.html").read_text(encoding="utf-8")
    # The project's own catalog knows of its own index alone, and its pointer did not move.
    assert [row["index"] for row in commands.json("status")["indexes"]] == ["knowledge"]
    assert [row["number"] for row in commands.json("versions")["versions"]] == [1]

    again = measure(commands)
    assert all(row["reused"] for row in again["variants"])
    without = [{**row, "reused": False} for row in again["variants"]]
    assert without == rows
    assert not any(row["reused"] for row in measure(commands, "--again")["variants"])

    project.write("leave.md", PAGES["leave.md"] + "\nIt is asked for in writing.\n")
    changed = measure(commands)
    assert not any(row["reused"] for row in changed["variants"])
    assert changed["content_of_the_documents"] != found["content_of_the_documents"]


def test_what_was_finished_before_an_interruption_is_kept(
    commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def stopping(*args: Any, **options: Any) -> Any:
        if len(asked) == 3:
            raise KeyboardInterrupt
        asked.append(options["index"])
        return run_suite(*args, **options)

    monkeypatch.setattr(pipeline_experiment, "run_suite", stopping)
    done = commands.run("experiment", str(commands.project.root / "tried.yaml"), "--quiet")
    assert done.exit_code == 130
    assert "run the same command to go on" in done.stderr
    monkeypatch.setattr(pipeline_experiment, "run_suite", run_suite)
    assert [row["reused"] for row in measure(commands)["variants"]] == [True, True, True, False]


def test_vectors_are_shared_between_variants_that_differ_later(commands: Commands) -> None:
    grid: dict[str, Any] = {"sparse": {"english": {}, "none": None}}
    text = yaml.safe_dump({"experiment": "tried", "suite": "pages", "grid": grid})
    (commands.project.root / "tried.yaml").write_text(text, encoding="utf-8")
    first, second = measure(commands)["variants"]
    assert first["index"] != second["index"]
    assert first["vector_bytes"] > second["vector_bytes"] == second["chunks"] * 384 * 4
    home = commands.project.home / "experiments" / "tried"
    with Workspace(*_inside(commands, home)) as workspace:
        tally = reports.run_counts(workspace.catalog, second["index"])
    assert tally["docs"].get("embedded", 0) == 0
    assert tally["docs"]["chunks_added"] == second["chunks"]


def _inside(commands: Commands, home: Path) -> Any:
    environment = commands.project.environment
    inside = replace(environment, home=home, database_url=f"sqlite:///{home / 'catalog.sqlite'}")
    return inside, load_configuration(environment.configs)


def test_a_name_that_is_no_suite_is_explained(commands: Commands) -> None:
    (commands.project.root / "tried.yaml").write_text("experiment: tried\nsuite: page\n", encoding="utf-8")
    done = commands.run("experiment", str(commands.project.root / "tried.yaml"))
    assert done.exit_code == 1
    assert "did you mean 'pages'?" in done.stderr

"""`rag-pipelines eval`: a suite asked of a real index, against another version and against a stored run."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag_pipelines.evaluation.runs import read_run
from rag_pipelines_tests.cli.conftest import PAGES, Commands
from rag_pipelines_tests.evaluation.samples import HEADER, write_suite
from rag_pipelines_tests.project import Project

QUERIES = (
    {"_id": "q1", "text": "How many days of leave do I have?", "metadata": {"topic": "people"}},
    {"_id": "q2", "text": "What does ERR_4217 mean?", "metadata": {"topic": "machines"}},
    {"_id": "n1", "text": "Who won the race?", "metadata": {"answerable": False}},
)
SLICES = ["source", "tenant", "language", "media_type", "topic"]
QRELS = (HEADER, "q1\tdocs/leave.md\t1", "q2\tdocs/pump.md\t1")


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Commands:
    """Two versions of three pages; in the second the page about the pump says something else."""
    project = Project(tmp_path_factory.mktemp("asked"))
    for name, text in PAGES.items():
        project.write(name, text)
    write_suite(project.root / "suite", QUERIES, QRELS)
    values = {"suite": "pages", "path": "suite", "judged_id": "source/uri", "slices": SLICES}
    project.configure("eval/pages", {**values, "measures": ["nDCG@10", "RR@10"]})
    project.sync()
    project.write("pump.md", "# Gate\n\nThe gate opens at six in the morning.\n")
    project.write("other.md", PAGES["pump.md"])
    project.sync()
    return Commands(project)


def test_the_live_version_is_measured_and_the_run_is_kept(asked: Commands) -> None:
    found = asked.json("eval", "pages", "--version", "1")
    assert (found["suite"], found["version"], found["queries"]) == ("pages", 1, 2)
    assert {name: value["mean"] for name, value in found["measures"].items()} == {
        "nDCG@10": 1.0,
        "RR@10": 1.0,
    }
    slices = {(row["name"], row["value"]): row["queries"] for row in found["slices"]}
    assert slices == {
        ("source", "docs"): 2,
        ("tenant", "acme"): 2,
        ("language", "en"): 2,
        ("media_type", "text/markdown"): 2,
        ("topic", "machines"): 1,
        ("topic", "people"): 1,
    }
    run = read_run(Path(found["run"]))
    assert run.values("RR@10") == {"q1": 1.0, "q2": 1.0}
    assert run.places["q2"][0].unit == "docs/pump.md"
    visible = asked.project.visible(1)
    assert found["cost"]["chunks"] == len(visible)
    assert found["cost"]["bytes"] > len(visible) * 384 * 4
    assert found["cost"]["cpu_ms"] > 0


def test_stored_runs_are_listed_and_compared_with(asked: Commands) -> None:
    before = asked.json("eval", "pages", "--version", "1")
    listed = asked.json("evals", "pages")["evaluations"]
    newest = listed[0]
    assert (newest["id"], newest["version"], newest["principal"]) == (before["id"], 1, "operator")
    assert newest["measures"] == before["measures"]
    assert asked.json("evals", "pages", "--limit", "1")["evaluations"] == [newest]
    assert asked.json("evals", "--index", "other")["evaluations"] == []
    worse = asked.json("eval", "pages", "--against", before["id"])["against"]
    assert (worse["version"], worse["measures"]["RR@10"]["losses"]) == (1, 1)
    shown = asked.run("evals")
    assert shown.exit_code == 0
    assert before["id"] in shown.stdout
    assert "nDCG@10" in shown.stdout


def test_another_version_and_a_stored_run_are_compared_with(asked: Commands, tmp_path: Path) -> None:
    before = asked.json("eval", "pages", "--version", "1")
    page = tmp_path / "deep" / "report.html"
    found = asked.json("eval", "pages", "--against", before["run"], "--report", str(page))
    assert found["version"] == 2
    worse = found["against"]["measures"]["RR@10"]
    assert (found["against"]["version"], worse["wins"], worse["losses"], worse["ties"]) == (1, 0, 1, 1)
    assert asked.json("eval", "pages", "--against", "1")["against"]["measures"]["RR@10"] == worse
    assert "What does ERR_4217 mean?" in page.read_text(encoding="utf-8")
    shown = asked.run("eval", "pages", "--against", "1", "--quiet")
    assert shown.exit_code == 0
    assert "0/1/1" in shown.stdout
    assert "stored as e" in shown.stdout


def test_a_variant_is_measured_and_compared_with_the_index_s_own_settings(asked: Commands) -> None:
    own = asked.json("eval", "pages")
    variants = {"terms": {"mode": "sparse"}}
    asked.project.configure("flags", {"retrieval": {"knowledge": {"variants": variants}}})
    try:
        found = asked.json("eval", "pages", "--variant", "terms", "--against", own["id"])
        wrong = asked.run("eval", "pages", "--variant", "term")
    finally:
        (asked.project.root / "configs" / "flags.yaml").unlink()
    before, run = read_run(Path(own["run"])), read_run(Path(found["run"]))
    assert (before.settings["retrieval"]["mode"], run.settings["retrieval"]["mode"]) == ("hybrid", "sparse")
    assert before.fingerprint != run.fingerprint
    assert wrong.exit_code != 0
    assert "no variant 'term'; did you mean 'terms'?" in wrong.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("eval", "page"), "did you mean 'pages'?"),
        (("eval", "pages", "--against", "nowhere"), "is neither a version, nor a stored run such as e3"),
        (
            ("eval", "pages", "--against", "e99"),
            "there is no stored run e99; `rag-pipelines evals` lists them",
        ),
        (("eval", "pages", "--version", "9"), "no published version 9"),
    ],
)
def test_mistakes_are_explained(asked: Commands, arguments: tuple[str, ...], message: str) -> None:
    done = asked.run(*arguments)
    assert done.exit_code == 1
    assert message in done.stderr

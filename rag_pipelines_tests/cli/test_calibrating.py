"""`rag-pipelines calibrate`: a real index is asked, and afterwards says what it does not answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag_pipelines.config.calibration import read_calibration
from rag_pipelines_tests.cli.conftest import PAGES, Commands
from rag_pipelines_tests.evaluation.samples import HEADER, write_suite
from rag_pipelines_tests.project import Project

ANSWERED = {
    "leave.md": (
        "How many days of paid leave a year?",
        "Who has paid leave?",
        "How many days move over?",
        "What is said of the carry-over of leave?",
    ),
    "travel.md": (
        "What should be booked before flights?",
        "How much may hotels cost a night?",
        "May I book trains?",
        "What do hotels cost at most?",
    ),
    "pump.md": (
        "What does ERR_4217 mean?",
        "Which error says that the inlet valve is blocked?",
        "When is the inlet valve blocked?",
        "What is an error of the pump P-880?",
    ),
}
OTHERS = (
    "Who won the race in Monaco?",
    "What is the capital of Mongolia?",
    "How tall is the old lighthouse?",
    "Which composer wrote nine symphonies?",
    "Why do cats purr?",
    "How is cheese made?",
    "Where do penguins breed?",
    "Who discovered oxygen?",
    "What is a quark?",
    "When did Rome fall?",
    "Which river crosses Vienna?",
    "How deep is the ocean?",
)


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Commands:
    """Three pages, twelve questions that they answer and twelve that they do not."""
    project = Project(tmp_path_factory.mktemp("calibrated"))
    for name, text in PAGES.items():
        project.write(name, text)
    rows = [
        {"_id": f"y{place}-{name}", "text": text, "metadata": {"page": name}}
        for name, texts in ANSWERED.items()
        for place, text in enumerate(texts)
    ]
    judged = [f"{row['_id']}\tdocs/{row['metadata']['page']}\t1" for row in rows]  # type: ignore[index]
    rows += [
        {"_id": f"n{place}", "text": text, "metadata": {"answerable": False, "page": "none"}}
        for place, text in enumerate(OTHERS)
    ]
    write_suite(project.root / "suite", rows, [HEADER, *judged])
    values = {"suite": "pages", "path": "suite", "judged_id": "source/uri", "measures": ["RR@10"]}
    project.configure("eval/pages", values)
    project.sync()
    return Commands(project)


def test_what_is_fitted_is_written_and_then_used(asked: Commands) -> None:
    made = asked.json("calibrate", "pages")
    path = Path(made["file"])
    assert path == asked.project.root / "configs" / "calibrations" / "knowledge.json"
    assert read_calibration(path).model_dump(mode="json") == {
        name: value for name, value in made.items() if name != "file"
    }
    assert made["fitted"] == 12
    assert made["held_out"]["answerable"] + made["held_out"]["unanswerable"] == 12
    assert made["held_out"]["auroc"] == 1.0
    assert made["signs"]["terms_in_sentence"]["auroc"] > 0.9
    shown = asked.run("calibrate", "pages")
    assert shown.exit_code == 0
    assert "retrieval: {abstention: {calibration: configs/calibrations/knowledge.json}}" in shown.stderr

    assert "answerable" not in asked.json("search", "Who won the race in Monaco?")
    abstention = {"calibration": "configs/calibrations/knowledge.json"}
    asked.project.index("knowledge", retrieval={"abstention": abstention})
    refused = asked.run("search", "Who won the race in Monaco?")
    assert "this is not answered here (confidence 0." in refused.stdout
    assert "leave.md" not in refused.stdout
    anyway = asked.run("search", "Who won the race in Monaco?", "--passages-when-unanswerable")
    assert "this is not answered here" in anyway.stdout
    assert "docs/leave.md" in anyway.stdout
    answered = asked.json("search", "How many days of paid leave a year?")
    assert (answered["answerable"], answered["passages"][0]["uri"]) == (True, "leave.md")

    measured = asked.json("eval", "pages")
    assert measured["abstention"]["auroc"] > 0.95
    assert measured["abstention"]["accuracy"] > 0.9
    # Withheld passages would have cost the questions that are wrongly refused their rank.
    assert measured["measures"]["RR@10"]["mean"] > 0.9
    assert "told apart" in asked.run("eval", "pages", "--quiet").stdout


def test_a_suite_that_cannot_be_halved_is_refused(asked: Commands) -> None:
    done = asked.run("calibrate", "pages", "--group", "page")
    assert done.exit_code == 1
    assert "no answerable or no unanswerable question" in done.stderr

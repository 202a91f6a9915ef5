"""What people see: tables on narrow terminals, text that looks like markup, bars over several sources."""

from __future__ import annotations

import io
import json
import os
import re
from pathlib import Path

import pytest
from rich.console import Console

from rag_pipelines.cli import output
from rag_pipelines.cli.doctor import examine
from rag_pipelines.cli.findings import Finding
from rag_pipelines.cli.syncing import REPORTED
from rag_pipelines_tests.cli.conftest import Commands


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> Console:
    """A terminal of 80 columns; what was printed is in `.file`."""
    console = Console(file=io.StringIO(), width=80, force_terminal=False)
    monkeypatch.setattr(output, "out", console)
    monkeypatch.setattr(output, "err", console)
    return console


def printed(console: Console) -> str:
    """Everything so far."""
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_wide_report_turns_on_its_side_instead_of_breaking_headings(narrow: Console) -> None:
    rows = [("handbook", *range(len(REPORTED))), ("engineering", *range(len(REPORTED)))]
    output.print_table("", ("source", *REPORTED), rows, "")

    lines = printed(narrow).splitlines()
    assert max(map(len, lines)) <= 80
    assert [word for word in lines[1].split() if word.isalpha()] == ["source", "handbook", "engineering"]
    for position, name in enumerate(REPORTED):
        (line,) = [line for line in lines if f" {name} " in line]
        assert re.findall(r"\d+", line) == [str(position)] * 2


def test_table_that_fits_stays_as_it_is_and_shows_brackets_literally(narrow: Console) -> None:
    output.print_table("", ("uri", "reason"), [("a[b]/[/x].md", "[Errno 2] [bold]none"), ("b", None)], "")

    text = printed(narrow)
    assert text.splitlines()[1].split()[1:4:2] == ["uri", "reason"]
    assert "a[b]/[/x].md" in text
    assert "[Errno 2] [bold]none" in text


def test_sentences_are_not_cut_into_lines(narrow: Console) -> None:
    path = "/very/long" * 20
    output.say(f"wrote {path} [1]")
    output.tell(f"error: {path} is missing", "red")

    assert printed(narrow) == f"wrote {path} [1]\nerror: {path} is missing\n"


def test_bars_grow_with_every_source_and_end_complete(narrow: Console) -> None:
    with output.TerminalProgress() as progress:
        for amount in (3, 2):
            progress.start("list", None)
            progress.advance("list", amount)
            progress.finish("list")
        for amount in (3, 2):
            progress.start("parse", amount)
            progress.advance("parse")
            progress.advance("parse", amount - 1)
            progress.finish("parse")
        progress.start("embed", 10)
        progress.advance("embed", 4)

    assert re.findall(r"(list|parse|embed) .* (\d+/\d+) ", printed(narrow)) == [
        ("list", "5/5"),
        ("parse", "5/5"),
        ("embed", "4/10"),
    ]


def test_no_bar_leaves_no_trace(narrow: Console) -> None:
    with output.TerminalProgress():
        pass
    assert printed(narrow) == ""


def test_doctor_names_missing_programs_and_what_to_do(
    fresh: Commands, narrow: Console, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    monkeypatch.setattr("rag_pipelines.parsing.programs._PLACES", {})
    fresh.project.source("repo", connector="git", params={"url": "file:///nowhere.git"})
    found = {item.name: item for item in examine(fresh.project.environment)}

    assert found["soffice"].level == found["tesseract"].level == "warning"
    assert "LibreOffice" in found["soffice"].advice
    assert found["git"].level == "failed"
    assert found["source docs"] == Finding("source docs", "ok", "filesystem, reachable")
    output.print_findings([(item.level, item.name, item.detail, item.advice) for item in found.values()])
    lines = printed(narrow).splitlines()
    assert max(map(len, lines)) <= 80
    assert any(line.startswith("warning  tesseract") for line in lines)
    assert sum("-> " in line for line in lines) == sum(bool(item.advice) for item in found.values())


def test_doctor_without_a_configuration_still_checks_the_machine(fresh: Commands, tmp_path: Path) -> None:
    done = fresh.run("doctor", "--json", RAG_CONFIGS=str(tmp_path / "none"))
    checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}

    assert done.exit_code == 1
    assert checks["Python"]["level"] == checks["state folder"]["level"] == "ok"
    assert checks["configuration"]["level"] == "failed"
    assert os.path.basename(checks["configuration"]["detail"].split()[0]) == "none"

"""Hostile files through the sandbox with tight limits, healthy ones between them."""

from __future__ import annotations

import pytest

from rag_pipelines.config.models import ParsingLimits
from rag_pipelines.core.ports import ParseOutcome, ParseTask
from rag_pipelines.parsing.sandbox import SandboxedParser
from rag_pipelines_tests.parsing.hostile import HOSTILE, UMLAUTS, hostile_files

LIMITS = ParsingLimits(seconds=5, memory_mb=512, max_text_chars=20_000_000)

READ = {
    "pdf.docx": "a PDF under a wrong name",
    "html.pdf": "A page under a wrong name",
    "utf16.txt": UMLAUTS.strip(),
    "utf16-nobom.txt": UMLAUTS.strip(),
    "utf16be-nobom.md": UMLAUTS.strip(),
    "latin1.txt": UMLAUTS.strip(),
    "nul.txt": "some text with NUL bytes in it.",
}
REFUSED = {
    "textbomb.docx": "bomb|memory|longer than 5 s|allowed",
    "paragraphbomb.docx": "bomb|memory|longer than 5 s|allowed",
    "bomb.xlsx": "bomb|memory|longer than 5 s|allowed",
    "encrypted.pdf": "encrypted|password",
    "truncated.pdf": "truncated|damaged",
    "truncated.docx": "truncated|damaged",
    "empty.txt": "is empty",
    "empty.pdf": "is empty",
    "blank.md": "white space",
    "text.docx": "plain text",
    "image.txt": "tesseract",
    "archive.docx": "zip archive",
    "random.pdf": "damaged|truncated|PDF",
    "random.txt": "binary",
    "random.bin": "ELF",
    "deep.json": "nested too deeply",
    "deep.xml": "depth",
    "deep.rst": "nested too deeply",
    "quotes.md": "too deeply",
    "lists.md": "too deeply",
    "comments.md": "no text",
    "laughs.xml": "entity|entities",
}


def through(names: list[str]) -> dict[str, ParseOutcome]:
    """Outcomes of these files and of a healthy one after each; fails where a healthy one did not go through."""
    tasks = []
    for name in names:
        tasks.append(ParseTask(name, HOSTILE[name](), name))
        tasks.append(ParseTask(f"after {name}", f"# Healthy\n\nA page after {name}.".encode(), "page.md"))
    with SandboxedParser(LIMITS, workers=2) as parser:
        outcomes = {outcome.key: outcome for outcome in parser.parse(iter(tasks))}
    assert set(outcomes) == {task.key for task in tasks}
    for name in names:
        healthy = outcomes.pop(f"after {name}")
        assert healthy.document is not None, healthy
        assert healthy.document.text == f"Healthy\n\nA page after {name}."
    return outcomes


def check(name: str, outcome: ParseOutcome) -> None:
    """Read correctly, or refused with a reason that a person understands."""
    if outcome.failure is not None:
        assert name not in READ, outcome.failure
        reason = outcome.failure.reason
        assert 8 < len(reason) < 600
        assert "Traceback" not in reason
        assert "\n" not in reason
        assert not reason.startswith("could not be read: ModuleNotFoundError")
        pattern = REFUSED.get(name, "")
        assert any(part.lower() in reason.lower() for part in pattern.split("|")), (name, reason)
    else:
        assert name not in REFUSED, outcome
        assert outcome.document is not None
        assert outcome.document.text.startswith(READ.get(name, ""))


def test_mislabelled_damaged_and_strangely_encoded_files() -> None:
    outcomes = through([*READ, *(name for name in REFUSED if "bomb" not in name)])
    for name, outcome in outcomes.items():
        check(name, outcome)


@pytest.mark.slow
def test_every_hostile_file_ends_within_the_limits_with_a_text_or_a_reason() -> None:
    for name, outcome in through(list(hostile_files())).items():
        check(name, outcome)

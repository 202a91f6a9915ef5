"""What a parser's fingerprint follows: the code that would read a document, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rag_pipelines.config.models import ParsingLimits
from rag_pipelines.parsing import email, markdown, pdf, sandbox
from rag_pipelines.parsing.sandbox import SandboxedParser


def test_the_fingerprint_follows_the_parser_that_a_name_leads_to(monkeypatch: pytest.MonkeyPatch) -> None:
    before = {
        name: SandboxedParser().fingerprint(name, None) for name in ("a.md", "b/c.MD", "a.pdf", "a.txt")
    }
    assert before["a.md"] == before["b/c.MD"]
    assert len(set(before.values())) == 3
    assert SandboxedParser().fingerprint("record-7", "text/markdown; charset=utf-8") != before["a.txt"]

    monkeypatch.setattr(markdown, "VERSION", markdown.VERSION + 1)
    after = {name: SandboxedParser().fingerprint(name, None) for name in before}
    assert {name for name in before if before[name] != after[name]} == {"a.md", "b/c.MD"}

    monkeypatch.setattr(pdf, "VERSION", pdf.VERSION + 1)
    assert SandboxedParser().fingerprint("a.pdf", None) != before["a.pdf"]


def test_the_fingerprint_follows_what_a_parser_uses_and_not_the_limits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = SandboxedParser().fingerprint("a.msg", None)
    assert SandboxedParser(ParsingLimits(seconds=600)).fingerprint("a.msg", None) == before
    monkeypatch.setattr(email, "VERSION", email.VERSION + 1)
    assert SandboxedParser().fingerprint("a.msg", None) != before


def test_the_fingerprint_follows_the_programs_that_are_here(monkeypatch: pytest.MonkeyPatch) -> None:
    before = {name: SandboxedParser().fingerprint(name, None) for name in ("a.odt", "a.doc", "a.md")}
    monkeypatch.setattr(sandbox, "find", lambda program: None if program == "pandoc" else Path("/x"))
    after = {name: SandboxedParser().fingerprint(name, None) for name in before}
    assert after["a.odt"] != before["a.odt"]
    assert after["a.md"] == before["a.md"]


def test_the_fingerprint_loads_no_parsing_library() -> None:
    heavy = "{'docutils', 'markdown_it', 'lxml', 'pypdfium2', 'openpyxl', 'unstructured', 'torch', 'pandas'}"
    names = ["a.md", "a.rst", "a.html", "a.pdf", "a.docx", "a.xlsx", "a.odt", "a.csv", "a.json", "a", "a.eml"]
    code = (
        "import sys\nfrom rag_pipelines.parsing.sandbox import SandboxedParser\n"
        f"parser = SandboxedParser()\nfor name in {names}: parser.fingerprint(name, None)\n"
        f"assert not {heavy} & set(sys.modules), {heavy} & set(sys.modules)"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code], env=env, check=True)

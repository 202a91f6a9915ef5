"""The sandbox, with real worker processes; a parser that misbehaves on demand stands in for plain text."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from rag_pipelines.config.models import ParsingLimits
from rag_pipelines.core.errors import RagPipelinesError
from rag_pipelines.core.ports import ParseOutcome, ParseTask
from rag_pipelines.parsing.sandbox import SandboxedParser

LIMITS = ParsingLimits(seconds=2, memory_mb=512, max_text_chars=1000, max_bytes=10_000)


@pytest.fixture
def misbehaving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers, which inherit the module path, read plain text with `misbehaving.parse`."""
    (tmp_path / "sitecustomize.py").write_text(
        "from rag_pipelines.parsing import registry\n"
        "registry.PARSERS['text/plain'] = 'rag_pipelines_tests.parsing.misbehaving:parse'\n"
    )
    monkeypatch.syspath_prepend(tmp_path)


def tasks(*texts: str) -> Iterator[ParseTask]:
    return (ParseTask(f"{i} {text}", text.encode(), "note.txt") for i, text in enumerate(texts))


def told(outcome: ParseOutcome) -> str:
    """The text or the reason."""
    assert (outcome.document is None) != (outcome.failure is None)
    return outcome.document.text if outcome.document else f"failed: {outcome.failure.reason}"  # type: ignore[union-attr]


def parsed(parser: SandboxedParser, *texts: str) -> list[str]:
    """What became of the texts, in their order."""
    outcomes = {outcome.key: outcome for outcome in parser.parse(tasks(*texts))}
    assert len(outcomes) == len(texts)
    return [told(outcomes[f"{i} {text}"]) for i, text in enumerate(texts)]


@pytest.mark.usefixtures("misbehaving")
def test_a_bad_document_costs_only_itself() -> None:
    expected = {
        "segfault": "crashes its parser (SIGSEGV)",
        "hang": "took longer than 2 s to read",
        "stuck": "took longer than 2 s to read",
        "memory": "needed more than 512 MB of memory",
        "wrapped": "needed more than 512 MB of memory",
        "exit": "ends its parser's process unexpectedly (exit status 3)",
        "raise cause": "could not be read: KeyError: 'cause'",
        "recurse": "is nested too deeply",
        "nothing": "has no text",
        "gap": "left text outside of its elements",
        "unstorable": "cannot be stored once parsed",
        "x" * 1001: "holds 1,001 characters of text, more than the 1,000 allowed",
        "y" * 10_001: "has 10,001 bytes, more than the 10,000 allowed",
        "": "is empty (0 bytes)",
    }
    mixed = [text for bad in expected for text in (bad, f"healthy, after {bad[:10]!r}")]
    with SandboxedParser(LIMITS, workers=2) as parser:
        results = dict(zip(mixed, parsed(parser, *mixed), strict=True))
    for text, result in results.items():
        if text in expected:
            assert result.startswith("failed: "), text
            assert expected[text] in result
        else:
            assert result == text


@pytest.mark.usefixtures("misbehaving")
def test_documents_behind_a_killed_one_are_read_by_another_worker() -> None:
    with SandboxedParser(LIMITS, workers=1) as parser:
        assert parsed(parser, "hang", "one", "segfault", "two") == [
            "failed: took longer than 2 s to read",
            "one",
            "failed: crashes its parser (SIGSEGV): it is damaged, or needs more than 512 MB of memory",
            "two",
        ]


@pytest.mark.usefixtures("misbehaving")
def test_a_worker_that_dies_once_is_not_blamed_on_its_document(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    with SandboxedParser(LIMITS, workers=1) as parser:
        assert parsed(parser, f"once {marker}", "next") == [f"once {marker}", "next"]
    assert marker.exists()


@pytest.mark.usefixtures("misbehaving")
def test_workers_are_reused_between_documents_calls_and_threads() -> None:
    seen: set[str] = set()

    def read() -> None:
        seen.update(parsed(parser, *["pid"] * 5))

    with SandboxedParser(LIMITS, workers=1) as parser:
        for _ in range(2):
            thread = threading.Thread(target=read)
            thread.start()
            thread.join()
        read()
    assert len(seen) == 1


@pytest.mark.usefixtures("misbehaving")
def test_calls_from_several_threads_do_not_mix() -> None:
    results: dict[int, list[str]] = {}

    def read(number: int) -> None:
        results[number] = parsed(parser, *[f"text {number}"] * 20)

    with SandboxedParser(LIMITS, workers=1) as parser:
        threads = [threading.Thread(target=read, args=(number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert results == {number: [f"text {number}"] * 20 for number in range(3)}


def test_tasks_are_consumed_lazily() -> None:
    taken = 0

    def many() -> Iterator[ParseTask]:
        nonlocal taken
        for number in range(1000):
            taken += 1
            yield ParseTask(str(number), b"text", "a.txt")

    with SandboxedParser(workers=1) as parser:
        outcomes = parser.parse(many())
        next(outcomes)
        assert taken <= 4
        assert sum(1 for _ in outcomes) == 999


@pytest.mark.usefixtures("misbehaving")
def test_stopping_early_ends_what_is_being_read_and_leaves_the_parser_usable() -> None:
    with SandboxedParser(LIMITS, workers=2) as parser:
        outcomes = parser.parse(tasks("one", "stuck", "stuck", "stuck"))
        assert told(next(outcomes)) == "one"
        outcomes.close()  # type: ignore[attr-defined]
        assert parsed(parser, "two", "three") == ["two", "three"]


@pytest.mark.usefixtures("misbehaving")
def test_close_leaves_neither_processes_nor_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    parser = SandboxedParser(LIMITS, workers=2)
    (process,) = {text.split()[1] for text in parsed(parser, "pid")}
    (litter,) = parsed(parser, "litter")
    assert Path(litter, "litter").exists()
    parser.close()
    assert not psutil.pid_exists(int(process))
    assert list(folder.iterdir()) == []
    with pytest.raises(RuntimeError, match="closed"):
        next(parser.parse(tasks("more")))


@pytest.mark.usefixtures("misbehaving")
def test_programs_that_a_parser_started_end_with_it(tmp_path: Path) -> None:
    note = tmp_path / "child.pid"
    with SandboxedParser(LIMITS, workers=1) as parser:
        assert parsed(parser, f"child {note}") == ["failed: took longer than 2 s to read"]
    child = int(note.read_text())
    if psutil.pid_exists(child):
        _, alive = psutil.wait_procs([psutil.Process(child)], timeout=20)
        assert [process for process in alive if process.status() != psutil.STATUS_ZOMBIE] == []


@pytest.mark.usefixtures("misbehaving")
def test_parsers_see_no_secrets_and_may_print(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "hunter2")
    with SandboxedParser(LIMITS.model_copy(update={"max_text_chars": 100_000}), workers=1) as parser:
        environment, noise = parsed(parser, "environment", "noise")
    assert "hunter2" not in environment
    assert "'DO_NOT_TRACK': '1'" in environment
    assert noise == "noise"


SCRIPT = """
from rag_pipelines.core.ports import ParseTask
from rag_pipelines.parsing.sandbox import SandboxedParser
parser = SandboxedParser(workers=2)
def tasks():
    for i, text in enumerate(["pid", "pid", "stuck", "stuck"]):
        yield ParseTask(str(i), text.encode(), "a.txt")
for outcome in parser.parse(tasks()):
    print(outcome.document.text, flush=True)
"""


@pytest.mark.usefixtures("misbehaving")
def test_no_worker_outlives_a_killed_parent_even_inside_a_c_loop(tmp_path: Path) -> None:
    """The script has no `__main__` guard, which must not matter either."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, str(script)], env=env, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        workers = {int(parent.stdout.readline().split()[1]) for _ in range(2)}
        processes = [psutil.Process(pid) for pid in workers]
        assert all(process.ppid() == parent.pid for process in processes)
        parent.kill()
    _, alive = psutil.wait_procs(processes, timeout=20)
    assert [process for process in alive if process.status() != psutil.STATUS_ZOMBIE] == []


def test_workers_that_cannot_start_are_reported_with_their_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "msgspec.py").write_text("raise ImportError('this installation is broken')")
    monkeypatch.syspath_prepend(tmp_path)
    with (
        SandboxedParser(workers=1) as parser,
        pytest.raises(RagPipelinesError, match="installation is broken"),
    ):
        list(parser.parse(tasks("text")))


FORSAKEN = """
import os, signal, sys
from rag_pipelines.core.ports import ParseTask
from rag_pipelines.parsing.sandbox import SandboxedParser
parser = SandboxedParser(workers=1)
(outcome,) = parser.parse([ParseTask("1", b"text", "a.txt")])
assert outcome.document is not None
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_left_is_removed_by_the_next_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": str(folder)}
    subprocess.run([sys.executable, "-c", FORSAKEN], env=env, check=False)
    (forsaken,) = folder.iterdir()
    fresh = folder / f"{forsaken.name}-fresh"
    fresh.mkdir()
    (folder / "rag-sandbox-link").symlink_to(tmp_path)
    with SandboxedParser(workers=1) as held:
        list(held.parse(tasks("text")))
        (live,) = set(folder.iterdir()) - {forsaken, fresh, folder / "rag-sandbox-link"}
        for path in (forsaken, live):
            os.utime(path, (0, 0))
        with SandboxedParser(workers=1) as parser:
            list(parser.parse(tasks("text")))
        assert not forsaken.exists()
        assert live.exists()
    assert fresh.exists()
    assert tmp_path.exists()

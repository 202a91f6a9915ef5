"""How `up` ends what it started: each process in the time that it may take, and then for certain."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from rag_pipelines.cli import up
from rag_pipelines.cli.up import STOP_SECONDS, Child, grace_of
from rag_pipelines.config.load import Configuration
from rag_pipelines.config.service import ServiceConfig

PATIENCE = 120.0
WORKING = """
import pathlib, signal, sys, time

def end(*_):
    time.sleep(1)
    pathlib.Path(sys.argv[1]).write_text("whole")
    sys.exit()

signal.signal(signal.SIGTERM, end)
print("ready", flush=True)
signal.pause()
"""
DEAF = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
while True:
    time.sleep(60)
"""


def started(text: str, grace: float, *arguments: str) -> Child:
    """A process that has set its signals."""
    process = subprocess.Popen(
        [sys.executable, "-c", text, *arguments], stdout=subprocess.PIPE, start_new_session=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return Child("one", process, Path("none.log"), grace)


def test_what_may_take_its_time_ends_whole_beside_what_never_ends(tmp_path: Path) -> None:
    written = tmp_path / "written"
    working, deaf = started(WORKING, PATIENCE, str(written)), started(DEAF, 0.1)
    up._stop([working, deaf])
    assert written.read_text() == "whole"
    assert (working.process.returncode, deaf.process.returncode) == (0, -signal.SIGKILL)


def test_the_service_has_the_time_that_it_is_configured_to_take() -> None:
    service = ServiceConfig.model_validate(
        {"principal": {"tenant": "acme"}, "limits": {"drain_seconds": 5, "shutdown_seconds": 40}}
    )
    assert grace_of("query-service", service) == STOP_SECONDS + 45
    assert grace_of("dagster-daemon", service) == STOP_SECONDS
    assert set(up._commands(Configuration(Path(), {}, {}, service))) >= {"query-service", "dagster-daemon"}

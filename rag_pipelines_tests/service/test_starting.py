"""What `serve` says where it cannot be opened: one sentence, the exit code of other errors, nothing left behind."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from rag_pipelines.core.errors import ConfigError
from rag_pipelines_tests.project import Project
from rag_pipelines_tests.service.conftest import SETTINGS, running
from rag_pipelines_tests.service.served import PATIENCE


@pytest.fixture
def taken() -> Iterator[int]:
    """A port of this machine on which somebody listens."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        yield holder.getsockname()[1]


def test_a_taken_metrics_port_is_named_and_nothing_is_left(small: Project, taken: int) -> None:
    small.configure("service", {**SETTINGS, "telemetry": {"metrics_port": taken}})
    before = set(threading.enumerate())
    with (
        pytest.raises(ConfigError, match=rf"telemetry\.metrics_port: 127\.0\.0\.1 port {taken} .* in use"),
        running(small),
    ):
        pass
    assert {thread.name for thread in set(threading.enumerate()) - before} <= {"asyncio_0"}


def test_serve_ends_as_for_other_errors_of_the_configuration(small: Project, taken: int) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    small.configure("service", {**SETTINGS, "port": port, "telemetry": {"metrics_port": taken}})
    ended = subprocess.run(
        [sys.executable, "-m", "rag_pipelines.cli", "serve"],
        env={**os.environ, **small.environ},
        check=False,
        capture_output=True,
        text=True,
        timeout=4 * PATIENCE,
    )
    assert ended.returncode == 1, ended.stderr
    assert ended.stderr.splitlines()[-1].startswith(
        f"error: service.yaml: telemetry.metrics_port: 127.0.0.1 port {taken}"
    )
    assert "Traceback" not in ended.stderr
    assert "metrics_host" in ended.stderr

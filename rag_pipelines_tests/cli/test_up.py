"""`rag-pipelines up`, the real thing: three servers, one sync, and nothing left when it ends."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from dagster_graphql import DagsterGraphQLClient, DagsterGraphQLClientError

from rag_pipelines_tests.cli.conftest import PAGES
from rag_pipelines_tests.project import Project

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
PATIENCE = 240.0


def wait_until(condition: Callable[[], Any], what: str) -> Any:
    """The first true value of the condition; fails after a time that no working system needs."""
    deadline = time.monotonic() + PATIENCE
    while not (value := condition()):
        assert time.monotonic() < deadline, f"still waiting for {what}"
        time.sleep(0.1)
    return value


def free_ports() -> tuple[int, int]:
    """Two ports that nobody listens on now."""
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        return one.getsockname()[1], two.getsockname()[1]


@dataclass
class Up:
    """A running `up`."""

    project: Project
    process: subprocess.Popen[str]
    port: int
    dagster_port: int

    def printed(self) -> str:
        """Standard output and error so far."""
        return (self.project.root / "up.log").read_text()

    def await_ready(self) -> None:
        """Until the last line of the announcement is there."""
        wait_until(
            lambda: "Ctrl-C stops everything" in self.printed() or self.process.poll() is not None, "up"
        )
        assert self.process.poll() is None, self.printed()

    def passages(self, query: str) -> dict[str, Any]:
        """The answer of the service."""
        url = f"http://127.0.0.1:{self.port}/v1/indexes/knowledge/search"
        answer = httpx.post(url, json={"query": query, "k": 1}, timeout=60, trust_env=False)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def ask_dagster(self, query: str) -> Any:
        """The answer of Dagster's GraphQL."""
        url = f"http://127.0.0.1:{self.dagster_port}/graphql"
        return httpx.post(url, json={"query": query}, timeout=60, trust_env=False).json()["data"]

    def family(self) -> list[psutil.Process]:
        """Everything that it started, itself included."""
        process = psutil.Process(self.process.pid)
        return [process, *process.children(recursive=True)]

    def stop(self, number: int) -> int:
        """Send the signal; the exit code."""
        self.process.send_signal(number)
        return self.process.wait(60)


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Callable[..., Up]]:
    """Starts `up` on a project with three pages; whatever is left at the end is killed."""
    project = Project(tmp_path)
    for name, text in PAGES.items():
        project.write(name, text)
    groups: list[subprocess.Popen[str]] = []

    def start(ports: tuple[int, int] | None = None) -> Up:
        port, dagster_port = ports or free_ports()
        settings = {"principal": {"tenant": "acme", "groups": ["staff"]}, "poll_seconds": 0.1}
        project.configure("service", {**settings, "port": port, "dagster_port": dagster_port})
        env = {name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"}
        process = subprocess.Popen(
            [sys.executable, "-m", "rag_pipelines.cli", "up", "-q"],
            env={**env, **project.environ},
            stdout=(tmp_path / "up.log").open("w"),
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        groups.append(process)
        return Up(project, process, port, dagster_port)

    yield start
    for process in groups:
        with contextlib.suppress(psutil.NoSuchProcess):
            for child in psutil.Process(process.pid).children(recursive=True):
                child.kill()
        process.kill()
        process.wait()


def running(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those that have not ended."""
    return [
        process for process in processes if process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    ]


def assert_free(*ports: int) -> None:
    """Nobody listens there."""
    for port in ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))


def test_up_serves_search_and_the_dagster_ui_runs_a_changed_source_and_stops_whole(
    started: Callable[..., Up],
) -> None:
    up = started()
    up.await_ready()
    printed = up.printed()
    assert f"http://127.0.0.1:{up.dagster_port}" in printed
    assert f"curl -s http://127.0.0.1:{up.port}/v1/indexes/knowledge/search" in printed
    assert "NO AUTHENTICATION: bound to 127.0.0.1 only, answering everybody as local of tenant" in printed
    assert up.passages("ERR_4217")["passages"][0]["uri"] == "pump.md"

    client = DagsterGraphQLClient("127.0.0.1", port_number=up.dagster_port)
    listed = wait_until(lambda: up.ask_dagster("{assetNodes {assetKey {path}}}")["assetNodes"], "the assets")
    assert ["knowledge", "published"] in [node["assetKey"]["path"] for node in listed]
    runs = up.ask_dagster("{runsOrError {... on Runs {results {jobName status}}}}")["runsOrError"]["results"]
    assert runs == [{"jobName": "sync_docs", "status": "SUCCESS"}]

    up.project.write("pump.md", PAGES["pump.md"].replace("ERR_4217", "ERR_9999"))

    def submitted() -> str | None:
        try:
            return client.submit_job_execution("sync_docs")
        except DagsterGraphQLClientError:  # the code location is still loading
            return None

    run_id = wait_until(submitted, "the code location")
    wait_until(lambda: up.passages("ERR_9999")["version"] == 2, "version 2")
    passage = up.passages("ERR_9999")["passages"][0]
    assert (passage["uri"], "ERR_9999" in passage["text"]) == ("pump.md", True)
    wait_until(lambda: client.get_run_status(run_id).value == "SUCCESS", "the end of the run")
    query = "{runsOrError {... on Runs {results {runId tags {key value}}}}}"
    runs = up.ask_dagster(query)["runsOrError"]["results"]
    assert len(runs) == 2
    (tags,) = [{tag["key"]: tag["value"] for tag in run["tags"]} for run in runs if run["runId"] == run_id]
    assert tags["dagster/asset_partition_range_start"] == "docs/00"
    assert tags["dagster/asset_partition_range_end"] == "docs/01"

    family = up.family()
    assert len(family) > 3
    assert up.stop(signal.SIGINT) == 0, up.printed()
    assert running(family) == []
    assert_free(up.port, up.dagster_port)


def test_second_up_does_no_work_and_sigterm_stops_everything(started: Callable[..., Up]) -> None:
    first = started()
    first.await_ready()
    assert first.stop(signal.SIGTERM) == 0

    second = started()
    second.await_ready()
    assert second.project.live() == 1
    assert second.passages("ERR_4217")["version"] == 1
    family = second.family()
    assert second.stop(signal.SIGTERM) == 0
    assert running(family) == []
    assert_free(second.port, second.dagster_port)


@pytest.mark.parametrize("taken", [0, 1], ids=["service", "dagster"])
def test_port_taken_is_one_sentence_and_nothing_starts(started: Callable[..., Up], taken: int) -> None:
    ports = free_ports()
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", ports[taken]))
        holder.listen()
        up = started(ports)
        assert up.process.wait(120) == 1
    assert up.printed().startswith(f"error: {ports[taken]} is in use; ")
    assert up.printed().count("\n") == 1
    assert up.project.live() is None

"""Starts the Dagster webserver and daemon and the query service, watches them, and stops them all."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import httpx

from rag_pipelines.cli.doctor import check_home, check_ports
from rag_pipelines.cli.output import err, out
from rag_pipelines.config.environment import Environment
from rag_pipelines.config.load import Configuration
from rag_pipelines.core.errors import ConfigError, RagPipelinesError
from rag_pipelines.defs.run import prepare_dagster_home

START_SECONDS = 120.0
STOP_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Child:
    """One started process, in a process group of its own, and its log."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path


def bring_up(environment: Environment, configuration: Configuration, *, quiet: bool, sync: bool) -> None:
    """Check, sync, start, wait for Ctrl-C, stop. Raises ConfigError where the machine cannot do it."""
    for finding in (*check_home(environment), *check_ports(configuration)):
        if finding.level != "ok":
            raise ConfigError(f"{finding.detail}; {finding.advice}")
    if sync:
        _sync(quiet)
    prepare_dagster_home(environment, configuration.root)
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, _interrupt)
    children: list[Child] = []
    try:
        for name, command in _commands(configuration).items():
            children.append(_start(name, command, environment.home / "logs"))
        _await_ready(children, configuration)
        _announce(configuration, environment)
        _watch(children)
    except KeyboardInterrupt:
        err.print("stopping …")
    finally:
        _stop(children)


def _sync(quiet: bool) -> None:
    from rag_pipelines.cli.running import _print_report, run

    report = run([], None, quiet)
    _print_report(report)


def _commands(configuration: Configuration) -> dict[str, list[str]]:
    service = configuration.service
    module = ["-m", "rag_pipelines.definitions"]
    return {
        "dagster-webserver": [
            sys.executable, "-m", "dagster_webserver",
            "-h", service.host, "-p", str(service.dagster_port), *module,
        ],
        "dagster-daemon": [sys.executable, "-m", "dagster._daemon", "run", *module],
        "query-service": [sys.executable, "-m", "rag_pipelines.cli", "serve"],
    }  # fmt: skip


def _start(name: str, command: list[str], logs: Path) -> Child:
    logs.mkdir(parents=True, exist_ok=True)
    log = logs / f"{name}.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
        )
    return Child(name, process, log)


def _await_ready(children: list[Child], configuration: Configuration) -> None:
    service = configuration.service
    waiting = {
        "query-service": f"http://{service.host}:{service.port}/healthz",
        "dagster-webserver": f"http://{service.host}:{service.dagster_port}/server_info",
    }
    deadline = time.monotonic() + START_SECONDS
    while waiting:
        _raise_if_dead(children)
        for name, url in list(waiting.items()):
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(url, timeout=2).status_code == 200:
                    del waiting[name]
        if time.monotonic() > deadline:
            names = " and ".join(waiting)
            raise RagPipelinesError(
                f"{names} did not answer within {START_SECONDS:.0f} s; see {children[0].log.parent}"
            )
        time.sleep(0.2)


def _announce(configuration: Configuration, environment: Environment) -> None:
    service = configuration.service
    index = service.default_index or next(iter(configuration.indexes), "knowledge")
    base = f"http://{service.host}:{service.port}"
    principal = service.principal
    groups = ", ".join(principal.groups) or "none"
    lines = [
        "",
        f"Dagster UI      http://{service.host}:{service.dagster_port}",
        f"Query service   {base}/docs",
        f"Logs            {environment.home / 'logs'}",
        "",
        f"No authentication yet: bound to {service.host} only, answering as {principal.subject} of tenant",
        f"{principal.tenant} (groups: {groups}; clearance: {principal.clearance.value}).",
        "",
        "Try:",
        f"  curl -s {base}/v1/indexes/{index}/search -H 'content-type: application/json' \\",
        '    -d \'{"query": "How many days of leave can I carry over?", "k": 3}\'',
        "",
        "Ctrl-C stops everything.",
    ]
    for line in lines:
        out.print(line, markup=False, highlight=False, soft_wrap=True)


def _watch(children: list[Child]) -> None:
    while True:
        _raise_if_dead(children)
        time.sleep(0.5)


def _raise_if_dead(children: list[Child]) -> None:
    for child in children:
        code = child.process.poll()
        if code is not None:
            tail = child.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-5:]
            last = "\n  ".join(tail) or "(it printed nothing)"
            raise RagPipelinesError(f"{child.name} ended with code {code}; the end of {child.log}:\n  {last}")


def _stop(children: list[Child]) -> None:
    """Ask each process group to end, then insist."""
    for stop in (signal.SIGTERM, signal.SIGKILL):
        for child in children:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if child.process.poll() is None or stop is signal.SIGKILL:
                    os.killpg(child.process.pid, stop)
        deadline = time.monotonic() + STOP_SECONDS / 2
        while time.monotonic() < deadline and any(child.process.poll() is None for child in children):
            time.sleep(0.05)
    for child in children:
        child.process.wait()


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt

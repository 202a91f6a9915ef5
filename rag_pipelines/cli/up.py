"""Starts the Dagster webserver and daemon and the query service, watches them, and stops them all."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from rag_pipelines.cli.doctor import check_home, check_ports
from rag_pipelines.cli.output import say, tell
from rag_pipelines.cli.syncing import print_report, run
from rag_pipelines.config.environment import Environment
from rag_pipelines.config.load import Configuration
from rag_pipelines.config.service import ServiceConfig
from rag_pipelines.core.errors import ConfigError, RagPipelinesError
from rag_pipelines.defs.run import prepare_dagster_home

START_SECONDS = 120.0
STOP_SECONDS = 7.5
WATCH_SECONDS = 0.5
QUERY_SERVICE = "query-service"


@dataclass(frozen=True, slots=True)
class Child:
    """One started process, in a process group of its own, its log, and how long it may take to end."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    grace: float = STOP_SECONDS


def bring_up(environment: Environment, configuration: Configuration, *, quiet: bool, sync: bool) -> None:
    """Check, sync, start, wait for Ctrl-C, stop. Raises ConfigError where the machine cannot do it."""
    for finding in (*check_home(environment), *check_ports(configuration)):
        if finding.level != "ok":
            raise ConfigError(f"{finding.detail}; {finding.advice}")
    if sync:
        _sync(quiet)
    prepare_dagster_home(environment, configuration.root)
    stopping = threading.Event()
    # A handler that raised could interrupt the start or the stop of a process half-way.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stopping.set())
    children: list[Child] = []
    try:
        for name, command in _commands(configuration).items():
            grace = grace_of(name, configuration.service)
            children.append(_start(name, command, environment.home / "logs", grace))
        if _await_ready(children, configuration, stopping):
            _announce(configuration, environment)
            while not stopping.wait(WATCH_SECONDS):
                _raise_if_dead(children)
        tell("stopping")
    finally:
        _stop(children)


def _sync(quiet: bool) -> None:
    print_report(run([], None, quiet))


def _commands(configuration: Configuration) -> dict[str, list[str]]:
    service = configuration.service
    module = ["-m", "rag_pipelines.definitions"]
    return {
        "dagster-webserver": [
            sys.executable, "-m", "dagster_webserver",
            "-h", service.dagster_host, "-p", str(service.dagster_port), *module,
        ],
        "dagster-daemon": [sys.executable, "-m", "dagster._daemon", "run", *module],
        QUERY_SERVICE: [sys.executable, "-m", "rag_pipelines.cli", "serve"],
    }  # fmt: skip


def grace_of(name: str, service: ServiceConfig) -> float:
    """Seconds that a process may take to end: the query service as long as it is configured to finish its work."""
    own = service.limits.drain_seconds + service.limits.shutdown_seconds if name == QUERY_SERVICE else 0.0
    return STOP_SECONDS + own


def _start(name: str, command: list[str], logs: Path, grace: float) -> Child:
    logs.mkdir(parents=True, exist_ok=True)
    log = logs / f"{name}.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
        )
    return Child(name, process, log, grace)


def _await_ready(children: list[Child], configuration: Configuration, stopping: threading.Event) -> bool:
    """Whether everything answers; False where somebody wants to stop before that."""
    service = configuration.service
    waiting = {
        QUERY_SERVICE: _url(service.local_host, service.port) + "/healthz",
        "dagster-webserver": _url(service.dagster_host, service.dagster_port) + "/server_info",
    }
    deadline = time.monotonic() + START_SECONDS
    while waiting:
        _raise_if_dead(children)
        for name, url in list(waiting.items()):
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(url, timeout=2, trust_env=False).status_code == 200:
                    del waiting[name]
        if time.monotonic() > deadline:
            names = " and ".join(waiting)
            raise RagPipelinesError(
                f"{names} did not answer within {START_SECONDS:.0f} s; see {children[0].log.parent}"
            )
        if stopping.wait(0.2):
            return False
    return True


def _announce(configuration: Configuration, environment: Environment) -> None:
    service = configuration.service
    index = service.default_index or next(iter(configuration.indexes), "knowledge")
    base = _url(service.local_host, service.port)
    lines = [
        "",
        f"Dagster UI      {_url(service.dagster_host, service.dagster_port)}",
        f"Query service   {base}/docs",
        f"Logs            {environment.home / 'logs'}",
        "",
        *_callers(service),
        "",
        "Try:",
        f"  curl -s {base}/v1/indexes/{index}/search -H 'content-type: application/json' \\",
        *(['    -H "authorization: Bearer $RAG_KEY" \\'] if service.principal is None else []),
        '    -d \'{"query": "How many days of leave can I carry over?", "k": 3}\'',
        "",
        "Ctrl-C stops everything.",
    ]
    for line in lines:
        say(line)


def _callers(service: ServiceConfig) -> list[str]:
    """Who is let in."""
    principal = service.principal
    if principal is None:
        return [
            f"Callers of {service.host}:{service.port} need an API key (`rag-pipelines keys create`) or a token.",
            f"The Dagster UI has no authentication: bound to {service.dagster_host} only.",
        ]
    groups = ", ".join(principal.groups) or "none"
    return [
        f"NO AUTHENTICATION: bound to {service.host} only, answering everybody as {principal.subject} of tenant",
        f"{principal.tenant} (groups: {groups}; clearance: {principal.clearance.value}).",
    ]


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _raise_if_dead(children: list[Child]) -> None:
    for child in children:
        code = child.process.poll()
        if code is not None:
            tail = child.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-5:]
            last = "\n  ".join(tail) or "(it printed nothing)"
            raise RagPipelinesError(f"{child.name} ended with code {code}; the end of {child.log}:\n  {last}")


def _stop(children: list[Child]) -> None:
    """Ask every process to end, those that the children started too, then insist: each has its own time for it."""
    families = [(child, _family(child)) for child in sorted(children, key=lambda child: child.grace)]
    for child in children:
        _signal(child, signal.SIGTERM)
    began = time.monotonic()
    for child, family in families:
        if not _ended(family, began + child.grace):
            _signal(child, signal.SIGKILL)
            _ended(family, time.monotonic() + STOP_SECONDS)
    for child in children:
        child.process.wait()


def _signal(child: Child, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.process.pid, number)


def _ended(family: list[psutil.Process], deadline: float) -> bool:
    """Whether all of them end in time."""
    while any(_is_alive(member) for member in family):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _family(child: Child) -> list[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(child.process.pid)
        return [process, *process.children(recursive=True)]
    return []


def _is_alive(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False

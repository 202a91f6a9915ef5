"""Checks this machine and what the configuration names; every problem comes with what to do."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from functools import partial

from rag_pipelines.cli.callers import check_authentication
from rag_pipelines.cli.findings import Finding
from rag_pipelines.cli.ports import port_is_free
from rag_pipelines.config.environment import Environment
from rag_pipelines.config.load import Configuration
from rag_pipelines.config.models import IndexConfig
from rag_pipelines.core.errors import RagPipelinesError
from rag_pipelines.pipeline.workspace import Workspace, open_workspace

NEEDED_BYTES = 500 * 2**20


def examine(environment: Environment) -> list[Finding]:
    """Run every check; one that fails does not stop the others."""
    found = [_python(), *check_home(environment)]
    try:
        workspace = open_workspace(environment)
    except RagPipelinesError as error:
        return [
            *found,
            Finding("configuration", "failed", str(error), "correct the file and run doctor again"),
        ]
    with workspace:
        configuration = workspace.configuration
        found.append(
            Finding(
                "configuration",
                "ok",
                f"{len(configuration.sources)} sources, {len(configuration.indexes)} indexes",
            )
        )
        found.append(_try("database", lambda: workspace.catalog.url, "check RAG_DATABASE_URL"))
        found.append(_try("blobs", workspace.blobs.check, "check RAG_BLOBS_URL and its credentials"))
        found.append(_try("engine", workspace.engine.check, "check RAG_QDRANT_URL or RAG_HOME"))
        for name, index in configuration.indexes.items():
            advice = "check embedding.model, or use bundled:all-MiniLM-L6-v2"
            found.append(_try(f"model of {name}", partial(_describe, workspace, index), advice))
        for name, source in configuration.sources.items():
            found.append(_source(workspace, name, source.connector))
        found += check_authentication(configuration, workspace.catalog)
    found += list(_programs(configuration))
    found += list(check_ports(configuration))
    return found


def check_home(environment: Environment) -> Iterator[Finding]:
    """Whether state can be written and there is room for it."""
    home = environment.home
    try:
        home.mkdir(parents=True, exist_ok=True)
        probe = home / ".write-check"
        probe.write_bytes(b"x")
        probe.unlink()
    except OSError as error:
        yield Finding(
            "state folder",
            "failed",
            f"{home} cannot be written: {error.strerror}",
            "set RAG_HOME to a folder you can write to",
        )
        return
    yield Finding("state folder", "ok", str(home))
    free = shutil.disk_usage(home).free
    enough = free >= NEEDED_BYTES
    yield Finding(
        "disk",
        "ok" if enough else "failed",
        f"{free / 2**30:.1f} GiB free at {home}",
        "" if enough else "free at least 500 MiB, or set RAG_HOME to another disk",
    )


def check_ports(configuration: Configuration) -> Iterator[Finding]:
    """Whether the ports of `up` are free."""
    service = configuration.service
    for name, host, port, field in (
        ("query service port", service.host, service.port, "port"),
        ("Dagster port", service.dagster_host, service.dagster_port, "dagster_port"),
    ):
        if port_is_free(host, port):
            yield Finding(name, "ok", f"{port} is free")
        else:
            yield Finding(
                name,
                "warning",
                f"{port} is in use",
                f"stop what listens there (perhaps another `up`), or set {field} in configs/service.yaml",
            )


def _python() -> Finding:
    version = ".".join(str(part) for part in sys.version_info[:3])
    ok = sys.version_info >= (3, 11)
    return Finding(
        "Python",
        "ok" if ok else "failed",
        f"{version} at {sys.executable}",
        "" if ok else "use Python 3.11 or newer",
    )


def _describe(workspace: Workspace, index: IndexConfig) -> str:
    return workspace.embedder(index).description


def _try(name: str, check: Callable[[], str], advice: str) -> Finding:
    try:
        return Finding(name, "ok", check())
    except (RagPipelinesError, OSError) as error:
        return Finding(name, "failed", str(error), advice)


def _source(workspace: Workspace, name: str, connector: str) -> Finding:
    try:
        with workspace.opened_source(name) as source:
            source.probe()
    except RagPipelinesError as error:
        return Finding(f"source {name}", "failed", str(error), f"check params in the YAML of {name}")
    return Finding(f"source {name}", "ok", f"{connector}, reachable")


def _programs(configuration: Configuration) -> Iterator[Finding]:
    from rag_pipelines.parsing.programs import NEEDED_FOR, find, missing_programs

    git = shutil.which("git")
    needed = any(source.connector == "git" for source in configuration.sources.values())
    if git is None:
        level = "failed" if needed else "warning"
        yield Finding(
            "git", level, "not installed; git sources need it", "install git (Debian: apt install git)"
        )
    else:
        yield Finding("git", "ok", git)
    missing = missing_programs()
    for program in NEEDED_FOR:
        if program not in missing:
            yield Finding(program, "ok", str(find(program)))
            continue
        purpose, _, how = missing[program].partition("; ")
        yield Finding(
            program,
            "warning",
            f"not installed: {purpose}",
            f"{how}, if you have such documents; until then they are quarantined",
        )

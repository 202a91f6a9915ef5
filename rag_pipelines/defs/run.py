"""Runs the same Dagster jobs in this process, against the instance that the UI shows."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from rag_pipelines.config.environment import Environment
from rag_pipelines.config.load import Configuration
from rag_pipelines.core.ports import Progress
from rag_pipelines.defs.assets import CONTINUE
from rag_pipelines.defs.build import build_definitions
from rag_pipelines.defs.jobs import SYNC_ALL, sync_job_name
from rag_pipelines.defs.partitions import range_tags

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
DEFAULT_INSTANCE = "telemetry:\n  enabled: false\n"


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """One finished Dagster run; `error` is None where it succeeded."""

    run_id: str
    sources: tuple[str, ...]
    error: str | None


def prepare_dagster_home(environment: Environment, project: Path) -> Path:
    """Create DAGSTER_HOME with the project's `dagster.yaml`, and point this process and its children at it."""
    home = environment.dagster_home
    home.mkdir(parents=True, exist_ok=True)
    target, own = home / "dagster.yaml", project / "dagster.yaml"
    wanted = own.read_text(encoding="utf-8") if own.exists() else DEFAULT_INSTANCE
    if home != project and (not target.exists() or target.read_text(encoding="utf-8") != wanted):
        target.write_text(wanted, encoding="utf-8")
    os.environ["DAGSTER_HOME"] = str(home)
    return home


def run_sync(
    environment: Environment,
    configuration: Configuration,
    sources: Sequence[str],
    progress: Progress | None = None,
) -> list[RunOutcome]:
    """Sync the sources: all of them is one run of `sync_all`, otherwise one run of `sync_<source>` each."""
    prepare_dagster_home(environment, configuration.root)
    definitions = build_definitions(environment, configuration, progress)
    everything = set(sources) == set(configuration.sources) and len(sources) > 1
    groups = [tuple(sorted(sources))] if everything else [(name,) for name in sources]
    with _instance() as instance:
        return [_run(instance, definitions, configuration, group) for group in groups]


def _run(
    instance: dg.DagsterInstance,
    definitions: dg.Definitions,
    configuration: Configuration,
    sources: tuple[str, ...],
) -> RunOutcome:
    name = SYNC_ALL if len(sources) > 1 else sync_job_name(sources[0])
    tags = range_tags(configuration, sources)
    if len(sources) > 1:
        tags[CONTINUE] = "true"
    result = definitions.resolve_job_def(name).execute_in_process(
        instance=instance, tags=tags, run_config=QUIET, raise_on_error=False
    )
    if not result.success and _was_interrupted(result):
        raise KeyboardInterrupt
    return RunOutcome(result.run_id, sources, None if result.success else _first_failure(result))


def _was_interrupted(result: dg.ExecuteInProcessResult) -> bool:
    """Dagster turns Ctrl-C into a failed step; the person meant to stop."""
    failures = (event.step_failure_data for event in result.all_events if event.is_step_failure)
    return any(
        data.error is not None and data.error.cls_name == "DagsterExecutionInterruptedError" for data in failures
    )


def _first_failure(result: dg.ExecuteInProcessResult) -> str:
    for event in result.all_events:
        if event.is_step_failure:
            data = event.step_failure_data
            if data.user_failure_data is not None and data.user_failure_data.description:
                return str(data.user_failure_data.description)
            if data.error is not None:
                cause = data.error
                while cause.cause is not None:
                    cause = cause.cause
                return f"step {event.step_key} failed: {cause.message.strip()}"
    return "the run failed; `dagster` shows its log"


@contextlib.contextmanager
def _instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.get() as instance:
        yield instance

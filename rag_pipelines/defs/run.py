"""Runs the same Dagster jobs in this process, against the instance that the UI shows."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.instance import InstanceRef
from dagster_shared.error import SerializableErrorInfo

from rag_pipelines.config.environment import Environment
from rag_pipelines.config.load import Configuration
from rag_pipelines.core.errors import ConfigError
from rag_pipelines.core.ports import Progress
from rag_pipelines.defs.build import build_definitions
from rag_pipelines.defs.keys import CONTINUE, REDO, REINDEX, SYNC_ALL, sync_job_name
from rag_pipelines.defs.partitions import range_tags

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
NO_COPIES = {"module": "dagster._core.storage.noop_compute_log_manager", "class": "NoOpComputeLogManager"}
REFUSED = "DagsterAssetCheckFailedError"
INTERRUPTED = "DagsterExecutionInterruptedError"
DEFAULT_INSTANCE = "telemetry:\n  enabled: false\n"


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """One finished Dagster run; `error` is None where it succeeded.

    `refused` is true where nothing failed but release gates.
    """

    run_id: str
    sources: tuple[str, ...]
    error: str | None
    refused: bool = False


def prepare_dagster_home(environment: Environment, project: Path) -> Path:
    """Create DAGSTER_HOME with the project's `dagster.yaml`, and point this process and its children at it.

    The file in our own folder follows the project's; in a DAGSTER_HOME that somebody chose, theirs stays.
    """
    home = environment.dagster_home
    target, own = home / "dagster.yaml", project / "dagster.yaml"
    try:
        home.mkdir(parents=True, exist_ok=True)
        wanted = own.read_text(encoding="utf-8") if own.exists() else DEFAULT_INSTANCE
        ours = home == environment.home / "dagster"
        if not target.exists() or (ours and target.read_text(encoding="utf-8") != wanted):
            target.write_text(wanted, encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"{home} cannot be written: {error.strerror}; set RAG_HOME (or DAGSTER_HOME) to a folder you can "
            "write to"
        ) from error
    os.environ["DAGSTER_HOME"] = str(home)
    return home


def run_sync(
    environment: Environment,
    configuration: Configuration,
    sources: Sequence[str],
    progress: Progress | None = None,
    waiting: Callable[[str], None] | None = None,
) -> list[RunOutcome]:
    """Sync the sources: all of them is one run of `sync_all`, otherwise one run of `sync_<source>` each.

    `waiting(holder)` is called where another sync has to finish first.
    """
    home = prepare_dagster_home(environment, configuration.root)
    definitions = build_definitions(environment, configuration, progress, waiting)
    everything = set(sources) == set(configuration.sources) and len(sources) > 1
    groups = [tuple(sorted(sources))] if everything else [(name,) for name in sources]
    with _instance(home) as instance:
        return [_run(instance, definitions, configuration, group) for group in groups]


def run_reindex(
    environment: Environment,
    configuration: Configuration,
    source: str,
    uri_prefix: str = "",
    force: bool = False,
    waiting: Callable[[str], None] | None = None,
) -> RunOutcome:
    """One run of the job `reindex`, with the form filled in."""
    home = prepare_dagster_home(environment, configuration.root)
    definitions = build_definitions(environment, configuration, None, waiting)
    form = {"source": source, "uri_prefix": uri_prefix, "force": force}
    with _instance(home) as instance:
        config = {"ops": {REDO: {"config": form}}}
        return _execute(instance, definitions, REINDEX, (source,), {}, config)


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
    return _execute(instance, definitions, name, sources, tags, {})


def _execute(
    instance: dg.DagsterInstance,
    definitions: dg.Definitions,
    job: str,
    sources: tuple[str, ...],
    tags: Mapping[str, str],
    config: Mapping[str, Any],
) -> RunOutcome:
    result = definitions.resolve_job_def(job).execute_in_process(
        instance=instance, tags=dict(tags), run_config={**QUIET, **config}, raise_on_error=False
    )
    if not result.success and _was_interrupted(result):
        raise KeyboardInterrupt
    if result.success:
        return RunOutcome(result.run_id, sources, None)
    return RunOutcome(result.run_id, sources, _first_failure(result), _was_refused(result))


def _was_interrupted(result: dg.ExecuteInProcessResult) -> bool:
    """Dagster turns Ctrl-C into a failure; the person meant to stop."""
    return any(error.cls_name == INTERRUPTED for error in _errors(result))


def _was_refused(result: dg.ExecuteInProcessResult) -> bool:
    """A blocking check that fails is an error of its step, and of nothing else."""
    failed = [event.step_failure_data.error for event in result.all_events if event.is_step_failure]
    return bool(failed) and all(error is not None and error.cls_name == REFUSED for error in failed)


def _errors(result: dg.ExecuteInProcessResult) -> Iterator[SerializableErrorInfo]:
    """What failed, first things first, in steps or before them; each by its innermost cause."""
    for event in result.all_events:
        error = getattr(event.event_specific_data, "error", None) if event.is_failure else None
        while isinstance(error, SerializableErrorInfo):
            innermost, error = error, error.cause
            if error is None:
                yield innermost


def _first_failure(result: dg.ExecuteInProcessResult) -> str:
    for event in result.all_events:
        if event.is_step_failure:
            failure = event.step_failure_data.user_failure_data
            if failure is not None and failure.description:
                return str(failure.description)
    for error in _errors(result):
        return f"the run failed: {error.message.strip()}"
    return f"the run {result.run_id} failed; the Dagster UI shows its log"


def _instance(home: Path) -> dg.DagsterInstance:
    """The instance of the UI, less the processes that copy this terminal's output into files for it."""
    return dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(home), overrides={"compute_logs": NO_COPIES}))

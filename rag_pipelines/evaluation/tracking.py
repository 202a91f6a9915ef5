"""Logs a run of a suite to an MLflow tracking server; the library is an extra of the package."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag_pipelines import __version__
from rag_pipelines.core.errors import ConfigError, RagPipelinesError
from rag_pipelines.evaluation.runs import PLACES, RECORD, Run
from rag_pipelines.evaluation.summary import Summary

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

INSTALL = "pip install 'rag-pipelines[mlflow]'"
VARIABLE = "MLFLOW_TRACKING_URI"
TAG = "rag_pipelines"
LONGEST = 500
_NOT_ALLOWED = re.compile(r"[^A-Za-z0-9_\-./ :]")


class TrackingError(RagPipelinesError):
    """The tracking server could not be reached or refused; the run is stored here all the same."""


def open_client(uri: str) -> MlflowClient:
    """A client of the server or store at the address. Raises ConfigError where the library is not installed.

    Called before anything is asked, so that a missing library costs no evaluation. A server that does not
    answer is tried three times, unless MLFLOW_HTTP_REQUEST_MAX_RETRIES says otherwise.
    """
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    try:
        from mlflow.tracking import MlflowClient
    except ImportError as error:
        raise ConfigError(
            f"{VARIABLE} is set, and MLflow is not installed: run `{INSTALL}`, or unset the variable"
        ) from error
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    return MlflowClient(tracking_uri=uri)


def log_run(
    client: MlflowClient, name: str, run: Run, summary: Summary, folder: Path, report: Path | None = None
) -> str:
    """Log parameters, measures, tags and files as one run of the experiment `rag-pipelines/<suite>`; returns its id.

    `name` is what the run is called here, such as `e12`. A report holds texts of documents, which whoever may
    read the tracking server then reads. Raises TrackingError; a run that was begun is then marked as failed.
    """
    from mlflow.entities import Metric, Param, RunTag
    from mlflow.exceptions import MlflowException

    started = int(datetime.fromisoformat(run.started_at).timestamp() * 1000)
    logged = ""
    try:
        experiment = _experiment(client, f"rag-pipelines/{run.suite}")
        tags = {f"{TAG}.{key}": value for key, value in tags_of(name, run).items()}
        begun = client.create_run(experiment, start_time=started, run_name=f"{name} {run.label}")
        logged = str(begun.info.run_id)
        client.log_batch(
            logged,
            metrics=[Metric(key, value, started, 0) for key, value in metrics_of(summary).items()],
            params=[Param(key, value) for key, value in params_of(run).items()],
            tags=[RunTag(key, value) for key, value in tags.items()],
        )
        for path in (folder / RECORD, folder / PLACES, report):
            if path is not None:
                client.log_artifact(logged, str(path))
        client.set_terminated(logged, "FINISHED")
    except (MlflowException, OSError) as error:
        if logged:
            _give_up(client, logged)
        raise TrackingError(
            f"run {name} is stored here and was not logged to MLflow: {_first_line(error)}; check {VARIABLE}, "
            "or unset it"
        ) from error
    return logged


def params_of(run: Run) -> dict[str, str]:
    """Settings as flat text, such as `retrieval.weights.dense`."""
    values = {"index": run.index, "version": run.version, "level": run.level, "k": run.depth}
    flat = dict(_flat({**values, **run.settings}))
    return {_key(key): str(value)[:LONGEST] for key, value in flat.items()}


def metrics_of(summary: Summary) -> dict[str, float]:
    """Every measure with the ends of its interval, every slice's mean, latency, cost and abstention."""
    found: dict[str, float | None] = {}
    for name, interval in summary.measures.items():
        found |= {name: interval.mean, f"{name}.low": interval.low, f"{name}.high": interval.high}
    for one in summary.slices:
        found |= {
            f"slice/{one.name}/{_part(one.value)}/{name}": interval.mean
            for name, interval in one.measures.items()
        }
    found |= {"queries": summary.queries, "latency_p50_ms": summary.latency.p50}
    found |= {"latency_p95_ms": summary.latency.p95, "cpu_ms": summary.cost.cpu_ms}
    found |= {"index_chunks": summary.cost.chunks, "index_bytes": summary.cost.bytes}
    if summary.abstention is not None:
        found |= {
            "abstention_auroc": summary.abstention.auroc,
            "abstention_accuracy": summary.abstention.accuracy,
        }
    return {_key(key): float(value) for key, value in found.items() if value is not None}


def tags_of(name: str, run: Run) -> dict[str, str]:
    """What tells runs apart."""
    return {
        "run": name,
        "suite": run.suite,
        "suite_hash": run.suite_hash,
        "index": run.index,
        "version": str(run.version),
        "fingerprint": run.fingerprint,
        "package": __version__,
    }


def _experiment(client: MlflowClient, name: str) -> str:
    known = client.get_experiment_by_name(name)
    if known is not None:
        return str(known.experiment_id)
    from mlflow.exceptions import MlflowException

    try:
        return str(client.create_experiment(name))
    except MlflowException:
        known = client.get_experiment_by_name(name)  # somebody else made it between the two lines
        if known is None:
            raise
        return str(known.experiment_id)


def _give_up(client: MlflowClient, logged: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.set_terminated(logged, "FAILED")
    except (MlflowException, OSError):
        logging.getLogger(__name__).warning("run=%s stays open on the tracking server", logged)


def _flat(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, part in value.items():
            yield from _flat(part, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(value, Sequence) and not isinstance(value, str):
        yield prefix, ", ".join(map(str, value))
    else:
        yield prefix, value


def _key(name: str) -> str:
    """As MLflow takes names: `nDCG@10` becomes `nDCG_at_10`."""
    return _NOT_ALLOWED.sub("_", name.replace("@", "_at_").replace("//", "/")).strip("/. ")[:250]


def _part(value: str) -> str:
    """One step of a name: stores on a disk make a folder of what a slash divides, and a file cannot be one, too."""
    return value.replace("/", "_").strip(". ") or "_"


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__

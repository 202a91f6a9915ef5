"""Keeps runs: their files in a folder, and a row in the catalog that lists and compares them by."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from rag_pipelines.catalog import evaluations
from rag_pipelines.catalog.store import Catalog, Row
from rag_pipelines.core.errors import ConfigError, NotFound
from rag_pipelines.core.faults import fault_point
from rag_pipelines.evaluation.runs import RECORD, Run, read_run, write_run
from rag_pipelines.evaluation.significance import interval_of_mean
from rag_pipelines.evaluation.summary import Latency, cost_of, percentile

FOLDER = "evaluations"
PREFIX = "e"


def store_run(catalog: Catalog, home: Path, run: Run) -> str:
    """Write the run's files, then its row, and return what `--against` calls it, such as `e12`.

    A process that is killed in between leaves a whole run without a row; `record_missing` gives it one.
    """
    name = run_name(run)
    write_run(run, home / FOLDER / name)
    fault_point("evaluation.stored")
    return run_id(_record(catalog, run, name))


def record_missing(catalog: Catalog, home: Path) -> int:
    """Give every whole run below RAG_HOME that the catalog does not know a row; returns how many.

    Runs of before there were rows, and of processes that were killed. A damaged one is passed over.
    """
    root = home / FOLDER
    names = {path.parent.relative_to(root).as_posix() for path in root.glob(f"*/*/{RECORD}")}
    added = 0
    for name in sorted(names - evaluations.known_runs(catalog, names)):
        try:
            run = read_run(root / name)
        except (ConfigError, NotFound):
            continue
        _record(catalog, run, name)
        added += 1
    return added


def stored_run(catalog: Catalog, home: Path, number: int) -> Run:
    """The run of this number. Raises NotFound where there is none, or its files are not on this machine."""
    row = evaluations.evaluation(catalog, number)
    if row is None:
        raise NotFound(f"there is no stored run {run_id(number)}; `rag-pipelines evals` lists them")
    try:
        return read_run(home / FOLDER / row["run"])
    except NotFound as error:
        raise NotFound(
            f"the files of run {run_id(number)} are not at {home / FOLDER / row['run']}: they were deleted, or "
            "the run was made on another machine; copy the folder here, or run the suite again"
        ) from error


def run_id(number: int) -> str:
    """`e12`, which no version and no folder is called."""
    return f"{PREFIX}{number}"


def run_number(text: str) -> int | None:
    """12 of `e12`; None of anything else."""
    digits = text.removeprefix(PREFIX)
    return int(digits) if text.startswith(PREFIX) and digits.isascii() and digits.isdecimal() else None


def run_name(run: Run) -> str:
    """Where a run is kept below `evaluations`: by suite, index, version, moment and settings."""
    moment = datetime.fromisoformat(run.started_at).astimezone(UTC).strftime("%Y%m%dT%H%M%S%f")[:-3]
    return f"{run.suite}/{run.index}-v{run.version}-{moment}-{run.fingerprint}"


def _record(catalog: Catalog, run: Run, name: str) -> int:
    with catalog.begin() as tx:
        number = evaluations.save_evaluation(tx, row_of(run, name))
    fault_point("evaluation.recorded")
    return number


def row_of(run: Run, name: str) -> Row:
    """The run as the catalog keeps it; intervals are those of a summary with its default seed."""
    times = [query.ms for query in run.queries.values()]
    values = {measure: run.values(measure) for measure in run.measures}
    return {
        "run": name,
        "suite": run.suite,
        "suite_hash": run.suite_hash,
        "index_name": run.index,
        "version": run.version,
        "fingerprint": run.fingerprint,
        "started_at": run.started_at,
        "principal": str(run.settings.get("principal", "")),
        "queries": sum(bool(query.measures) for query in run.queries.values()),
        "measures": {
            measure: asdict(interval_of_mean([found[query_id] for query_id in sorted(found)]))
            for measure, found in values.items()
            if found
        },
        "latency": asdict(Latency(percentile(times, 50), percentile(times, 95))),
        "cost": asdict(cost_of(run)),
    }

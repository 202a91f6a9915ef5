"""What `eval` and `evals` print."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rag_pipelines.catalog.store import Row
from rag_pipelines.cli.output import moment, print_table, say, tell
from rag_pipelines.evaluation.records import run_id
from rag_pipelines.evaluation.runs import Run
from rag_pipelines.evaluation.summary import Cost, Difference, Summary


def print_summary(
    summary: Summary, run: Run, other: Run | None, differences: Mapping[str, Difference]
) -> None:
    """Measures, differences, slices, latency and cost."""
    judged = f"{summary.queries} judged queries" if summary.queries != 1 else "one judged query"
    title = f"{run.suite}: {run.label}, {judged}"
    if other is None:
        rows = [
            (name, f"{v.mean:.3f}", f"{v.low:.3f} - {v.high:.3f}") for name, v in summary.measures.items()
        ]
        print_table(title, ("measure", "mean", "95% interval"), rows, "")
    else:
        columns = ("measure", "mean", "95% interval", "other", "difference", "p", "won/lost/equal", "")
        compared = [
            (
                name,
                f"{v.mean:.3f}",
                f"{v.low:.3f} - {v.high:.3f}",
                f"{d.theirs:.3f}",
                f"{d.interval.mean:+.3f}",
                f"{d.p_holm:.3f}",
                f"{d.wins}/{d.losses}/{d.ties}",
                d.verdict,
            )
            for name, v in summary.measures.items()
            if (d := differences.get(name)) is not None
        ]
        print_table(
            f"{title}, against {other.label}", columns, compared, "the runs have no measure in common"
        )
    for key in dict.fromkeys(found.name for found in summary.slices):
        print_table(
            f"By {key}",
            (key, "queries", *summary.measures),
            [
                (
                    found.value,
                    len(found.query_ids),
                    *(f"{found.measures[m].mean:.3f}" for m in summary.measures),
                )
                for found in summary.slices
                if found.name == key
            ],
            "",
        )
    if summary.abstention is not None and summary.abstention.auroc is not None:
        decided = summary.abstention.accuracy
        share = f", {decided:.1%} told apart" if decided is not None else ""
        say(f"answerable against unanswerable: AUROC {summary.abstention.auroc:.3f}{share}")
    say(
        f"{summary.latency.p50:.0f} ms a query at the median, {summary.latency.p95:.0f} ms at 95%{_cost(summary.cost)}"
    )
    if summary.short:
        tell(
            f"{summary.short} queries do not reach the deepest cutoff, since several passages are of one document; "
            "raise k of the suite"
        )


def summary_json(
    summary: Summary,
    run: Run,
    other: Run | None,
    differences: Mapping[str, Difference],
    stored: str,
    folder: Path,
) -> dict[str, Any]:
    """The object that `eval --json` prints."""
    compared = {name: {**asdict(found), "verdict": found.verdict} for name, found in differences.items()}
    against = {"index": other.index, "version": other.version, "measures": compared} if other else None
    return {
        **summary.as_json(),
        "index": run.index,
        "version": run.version,
        "fingerprint": run.fingerprint,
        "id": stored,
        "run": str(folder),
        "against": against,
    }


def print_evaluations(rows: Sequence[Row]) -> None:
    """A line a run, with its means."""
    measures = list(dict.fromkeys(name for row in rows for name in row["measures"]))
    print_table(
        "",
        ("run", "suite", "index", "version", "asked", "as", "queries", *measures, "p50 ms", "CPU ms", "MB"),
        [
            (
                run_id(row["id"]),
                row["suite"],
                row["index_name"],
                row["version"],
                moment(row["started_at"]),
                row["principal"],
                row["queries"],
                *(
                    f"{row['measures'][name]['mean']:.3f}" if name in row["measures"] else ""
                    for name in measures
                ),
                f"{row['latency']['p50']:.1f}",
                "" if row["cost"]["cpu_ms"] is None else f"{row['cost']['cpu_ms']:.1f}",
                "" if row["cost"]["bytes"] is None else f"{row['cost']['bytes'] / 1e6:.2f}",
            )
            for row in rows
        ],
        "no run is stored yet; `rag-pipelines eval SUITE` makes one",
    )


def _cost(cost: Cost) -> str:
    parts = [] if cost.cpu_ms is None else [f"{cost.cpu_ms:.0f} ms of processor time"]
    if cost.bytes is not None:
        parts.append(f"{cost.chunks} chunks of {cost.bytes / 1e6:.2f} MB")
    return "".join(f"; {part}" for part in parts)

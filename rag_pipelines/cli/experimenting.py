"""The command that measures settings side by side."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from rag_pipelines import __version__
from rag_pipelines.cli.inspect import Json
from rag_pipelines.cli.output import TerminalProgress, failures, print_json, print_table, say, tell
from rag_pipelines.config.environment import read_environment
from rag_pipelines.config.experiment import ExperimentConfig
from rag_pipelines.core.ports import Progress
from rag_pipelines.evaluation.experiment_report import render_experiment
from rag_pipelines.evaluation.experiments import Row, rows_of
from rag_pipelines.evaluation.grids import read_experiment, variants_of
from rag_pipelines.evaluation.report import write_report
from rag_pipelines.evaluation.runs import write_whole
from rag_pipelines.evaluation.suites import Suite, named_suite
from rag_pipelines.pipeline.progress import Silent
from rag_pipelines.pipeline.workspace import open_workspace

EXAMPLE = (
    "Example: `rag-pipelines experiment configs/experiments/sample.yaml` compares chunks and ways to search."
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        help="Build and ask every combination of settings, and show what each is worth and costs.",
        epilog=EXAMPLE,
    )(experiment)


def experiment(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="YAML or JSON file of the experiment.")],
    report: Annotated[Path | None, typer.Option("--report", help="Write the page here, too.")] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Ask variants anew that were asked before; builds are kept.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")] = False,
    as_json: Json = False,
) -> None:
    """Run an experiment."""
    with failures(as_json):
        if quiet or as_json:
            found, home = _run(file, report, Silent(), again)
        else:
            with TerminalProgress() as progress:
                found, home = _run(file, report, progress, again)
    if as_json:
        print_json(found)
        return
    _print(found)
    say(f"results: {home / 'results.json'}; page: {report or home / 'report.html'}")


def _run(file: Path, report: Path | None, progress: Progress, again: bool) -> tuple[dict[str, Any], Path]:
    from rag_pipelines.pipeline.experiment import laboratory, run_variants

    environment = read_environment()
    with open_workspace(environment) as workspace:
        configuration = workspace.configuration
    read, config = read_experiment(file)
    suite = named_suite(environment.configs, config.suite)
    variants = variants_of(read, config, configuration)
    lab = laboratory(environment, configuration, config.experiment, suite, progress, again)
    corpus, measured = run_variants(lab, variants, _announce)
    rows = rows_of(suite, config, measured)
    facts = {
        "Index": configuration.index_named(config.index).index,
        "Documents": str(corpus.documents),
        "Content of the documents": corpus.hash,
        "Program": f"rag-pipelines {__version__}, embedded engine",
        "Machine": f"{platform.machine()}, {len(os.sched_getaffinity(0))} processors, {platform.system()}",
    }
    page = render_experiment(config, suite, rows, facts)
    write_report(lab.home / "report.html", page)
    if report is not None:
        write_report(report, page)
    found = _results(config, suite, rows, facts)
    write_whole(lab.home / "results.json", (json.dumps(found, indent=2, ensure_ascii=False) + "\n").encode())
    return found, lab.home


def _results(
    config: ExperimentConfig, suite: Suite, rows: Sequence[Row], facts: dict[str, str]
) -> dict[str, Any]:
    return {
        "experiment": config.experiment,
        "settings": config.model_dump(mode="json"),
        "suite": suite.name,
        "suite_hash": suite.content_hash,
        "queries": rows[0].summary.queries,
        "measure": suite.config.measures[0],
        **{name.lower().replace(" ", "_"): value for name, value in facts.items()},
        "variants": [row.as_json() for row in rows],
    }


def _print(found: dict[str, Any]) -> None:
    measures = list(found["variants"][0]["measures"])
    columns = ("variant", *measures, "difference", "p", "p50 ms", "chunks", "MB", "build s", "front")
    print_table(
        f"{found['experiment']}: {found['suite']}, {found['queries']} judged queries",
        columns,
        [
            (
                row["variant"],
                *(f"{row['measures'][name]['mean']:.3f}" for name in measures),
                "baseline" if row["difference"] is None else f"{row['difference']['mean']:+.3f}",
                "" if row["p_holm"] is None else f"{row['p_holm']:.3f}",
                f"{row['latency']['p50']:.1f}",
                row["chunks"],
                f"{(row['vector_bytes'] + row['payload_bytes']) / 1e6:.2f}",
                f"{row['stage_seconds'] + row['embed_seconds']:.1f}",
                "yes" if row["pareto"] else "",
            )
            for row in found["variants"]
        ],
        "",
    )
    costs = ", ".join(cost.replace("_", " ") for cost in found["settings"]["costs"])
    say(
        f"differences and p (Holm) are of {found['measure']} against the first variant; the front is of "
        f"{found['measure']}, {costs}"
    )
    reused = sum(row["reused"] for row in found["variants"])
    if reused:
        say(f"{reused} of {len(found['variants'])} variants were asked before and stand as they were")


def _announce(holder: str) -> None:
    tell(f"this experiment is already running ({holder}); waiting for it to finish")

"""The command that fits when an index says that a question is not answered in it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from rag_pipelines.cli.inspect import AskAs, Index, Json
from rag_pipelines.cli.output import TerminalProgress, failures, print_json, print_table, say, tell
from rag_pipelines.config.calibration import Calibration
from rag_pipelines.config.environment import read_environment
from rag_pipelines.config.load import load_configuration
from rag_pipelines.core.ports import Progress
from rag_pipelines.core.types import OPERATOR
from rag_pipelines.evaluation.calibration import calibrate as fitted
from rag_pipelines.evaluation.suites import named_suite
from rag_pipelines.governance.access import read_principal
from rag_pipelines.pipeline.progress import Silent
from rag_pipelines.retrieval.abstention import Evidence
from rag_pipelines.retrieval.opening import Searchers

STAGE = "calibrate"
EXAMPLE = "Example: `rag-pipelines calibrate sample` writes configs/calibrations/knowledge.json."


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "calibrate",
        help="Fit when an index says that a question is not answered in it, on a suite with such questions.",
        epilog=EXAMPLE,
    )(calibrate)


def calibrate(
    suite: Annotated[str, typer.Argument(metavar="SUITE", help="Name of a suite in configs/eval.")],
    index: Index = None,
    group: Annotated[
        str | None,
        typer.Option("--group", help="Metadata of the questions, such as their article, to halve them by."),
    ] = None,
    version: Annotated[
        int | None, typer.Option("--version", help="Ask this version, not the live one.")
    ] = None,
    principal: AskAs = None,
    as_json: Json = False,
) -> None:
    """Write the calibration of an index."""
    with failures(as_json):
        environment = read_environment()
        configuration = load_configuration(environment.configs)
        found = named_suite(environment.configs, suite)
        config = configuration.index_named(index or found.config.index)
        who = read_principal(principal) if principal is not None else OPERATOR
        abstention = config.retrieval.abstention
        default = environment.configs / "calibrations" / f"{config.index}.json"
        target = configuration.root / abstention.calibration if abstention is not None else default
        with Searchers(environment, configuration) as searchers:
            searcher = searchers.get(config.index)
            number, _, _ = searcher.scroll_reader(version)

            def asked(progress: Progress) -> dict[str, Evidence]:
                progress.start(STAGE, len(found.queries))
                signs = {}
                for query_id, query in found.queries.items():
                    signs[query_id] = searcher.evidence(query.text, who, number)
                    progress.advance(STAGE)
                progress.finish(STAGE)
                return signs

            if as_json:
                signs = asked(Silent())
            else:
                with TerminalProgress() as progress:
                    signs = asked(progress)
        made = fitted(found, config.index, signs, group)
        _write(target, made)
    if as_json:
        print_json({**made.model_dump(mode="json"), "file": str(target)})
        return
    _print(made)
    say(f"written to {target}")
    if abstention is None:
        relative = os.path.relpath(target, configuration.root)
        tell(f"to use it: `retrieval: {{abstention: {{calibration: {relative}}}}}` in the index's YAML")


def _write(path: Path, made: Calibration) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(made.model_dump_json(indent=2) + "\n", encoding="utf-8")


def _print(made: Calibration) -> None:
    rows = [
        (name, f"{sign.weight:.2f}", f"{sign.auroc:.3f}")
        for name, sign in sorted(made.signs.items(), key=lambda item: -item[1].weight)
    ]
    measured = made.held_out
    asked = measured.answerable + measured.unanswerable
    print_table(
        f"{made.suite}: fitted on {made.fitted} questions, measured on {asked} others",
        ("sign", "weight", "AUROC alone"),
        rows,
        "",
    )
    say(
        f"AUROC {measured.auroc:.3f}, {measured.accuracy:.1%} told apart at threshold {made.threshold:.3f}: of "
        f"{measured.unanswerable} without an answer {measured.answered_wrongly} would be answered, of "
        f"{measured.answerable} with one {measured.abstained_wrongly} would not"
    )

"""The commands that measure how well an index answers a suite of judged questions, and list what was measured."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from rag_pipelines.blobs import BlobStore, open_blobs
from rag_pipelines.catalog import evaluations
from rag_pipelines.catalog.store import open_catalog
from rag_pipelines.cli.evaluation_output import print_evaluations, print_summary, summary_json
from rag_pipelines.cli.inspect import AskAs, Index, Json
from rag_pipelines.cli.output import TerminalProgress, failures, print_json, say
from rag_pipelines.config.environment import Environment, read_environment
from rag_pipelines.config.load import load_configuration
from rag_pipelines.core.errors import BlobError, NotFound
from rag_pipelines.core.ports import Progress
from rag_pipelines.core.types import OPERATOR, Principal
from rag_pipelines.evaluation.asking import ask_index, inventory
from rag_pipelines.evaluation.records import (
    FOLDER,
    record_missing,
    run_id,
    run_name,
    run_number,
    store_run,
    stored_run,
)
from rag_pipelines.evaluation.report import render, write_report
from rag_pipelines.evaluation.runs import PassageRef, Run, read_run
from rag_pipelines.evaluation.suites import IndexDocument, Suite, named_suite
from rag_pipelines.evaluation.summary import compare, slices_of, summarise
from rag_pipelines.evaluation.tracking import log_run, open_client
from rag_pipelines.governance.access import read_principal
from rag_pipelines.pipeline.progress import Silent
from rag_pipelines.retrieval.opening import Searchers

EXAMPLE = (
    "Example: `rag-pipelines eval sample --against 3 --report report.html` compares the live version with the "
    "third one."
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "eval", help="Ask an index the questions of a suite, and measure the answers.", epilog=EXAMPLE
    )(evaluate)
    app.command("evals", help="Stored runs of suites, newest first; `eval --against e3` compares with one.")(
        list_runs
    )


def evaluate(
    suite: Annotated[str, typer.Argument(metavar="SUITE", help="Name of a suite in configs/eval.")],
    index: Index = None,
    version: Annotated[
        int | None, typer.Option("--version", help="Measure this version, not the live one.")
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            "--against", help="Compare with this version, or with a stored run (e3, or its folder)."
        ),
    ] = None,
    report: Annotated[
        Path | None, typer.Option("--report", help="Write a page with plots and the questions that lost.")
    ] = None,
    principal: AskAs = None,
    variant: Annotated[
        str | None, typer.Option("--variant", help="Measure this variant of configs/flags.yaml.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")] = False,
    as_json: Json = False,
) -> None:
    """Evaluate an index on a suite."""
    with failures(as_json):
        environment = read_environment()
        configuration = load_configuration(environment.configs)
        found = named_suite(environment.configs, suite)
        name = configuration.index_named(index or found.config.index).index
        if variant is not None:
            configuration = configuration.with_variant(name, variant)
        tracking = environment.mlflow_tracking_uri
        client = open_client(tracking) if tracking is not None else None
        who = read_principal(principal) if principal is not None else OPERATOR
        with Searchers(environment, configuration) as searchers:
            record_missing(searchers.catalog, environment.home)
            asking = _Asking(environment, searchers, found, name, who, quiet or as_json)
            other = asking.stored(against) if against is not None else None
            run, stored, documents = asking.run(version)
            if against is not None and other is None:
                other, _, _ = asking.run(int(against))
        summary = summarise(found, run, slices_of(found, documents))
        differences = compare(run, other) if other is not None else {}
        if report is not None:
            text_of = partial(_text, open_blobs(environment.blobs_url))
            write_report(
                report,
                render(
                    found,
                    run,
                    other,
                    summary=summary,
                    differences=differences if other else None,
                    text_of=text_of,
                ),
            )
        folder = asking.folder / run_name(run)
        logged = log_run(client, stored, run, summary, folder, report) if client is not None else None
    if as_json:
        print_json(summary_json(summary, run, other, differences, stored, folder) | {"mlflow": logged})
        return
    print_summary(summary, run, other, differences)
    say(f"stored as {stored} in {folder}")
    if report is not None:
        say(f"report: {report}")
    if logged is not None:
        say(f"logged to MLflow as run {logged}")


class _Asking:
    """One suite asked of versions of one index."""

    def __init__(
        self,
        environment: Environment,
        searchers: Searchers,
        suite: Suite,
        index: str,
        principal: Principal,
        silent: bool,
    ) -> None:
        self.folder = environment.home / FOLDER
        self._home = environment.home
        self._catalog = searchers.catalog
        self._searcher = searchers.get(index)
        self._suite = suite
        self._index = index
        self._principal = principal
        self._silent = silent

    def run(self, version: int | None) -> tuple[Run, str, tuple[IndexDocument, ...]]:
        """Ask, measure and store; returns what the run is called and the documents of the version as well."""

        def asked(progress: Progress) -> Run:
            return ask_index(self._suite, self._searcher, self._principal, version, progress)

        if self._silent:
            made = asked(Silent())
        else:
            with TerminalProgress() as progress:
                made = asked(progress)
        documents, size = inventory(self._searcher, made.version or 0)
        made = msgspec.structs.replace(made, size=size)
        return made, store_run(self._catalog, self._home, made), documents

    def stored(self, against: str) -> Run | None:
        """The stored run of that number or in that folder; None where a version is meant."""
        if against.isdecimal():
            return None
        number = run_number(against)
        if number is not None:
            return stored_run(self._catalog, self._home, number)
        folder = Path(against)
        if not folder.is_dir():
            raise NotFound(
                f"--against {against}: is neither a version, nor a stored run such as e3, nor the folder of one; "
                "`rag-pipelines versions` lists versions, and `rag-pipelines evals` runs"
            )
        return read_run(folder)


def list_runs(
    suite: Annotated[str | None, typer.Argument(metavar="[SUITE]", help="Only runs of this suite.")] = None,
    index: Index = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many at most.")] = 20,
    as_json: Json = False,
) -> None:
    """List stored runs."""
    with failures(as_json):
        catalog = open_catalog(read_environment().database_url)
        try:
            rows = evaluations.list_evaluations(catalog, suite, index, limit)
        finally:
            catalog.close()
    if as_json:
        print_json({"evaluations": [{**row, "id": run_id(row["id"])} for row in rows]})
    else:
        print_evaluations(rows)


def _text(blobs: BlobStore, passage: PassageRef) -> str | None:
    """What the passage says; None where its document is no longer stored."""
    try:
        return blobs.get_parsed(passage.parsed_hash).text[passage.start : passage.end]
    except BlobError:
        return None

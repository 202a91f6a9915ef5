"""Commands that keep a suite of judged questions sound."""

from __future__ import annotations

import contextlib
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from rag_pipelines.catalog.store import open_catalog
from rag_pipelines.cli.inspect import Index, Json
from rag_pipelines.cli.output import failures, print_json, print_table, say
from rag_pipelines.config.environment import read_environment
from rag_pipelines.config.load import load_configuration
from rag_pipelines.core.errors import ConfigError
from rag_pipelines.evaluation.asked import asked_of
from rag_pipelines.evaluation.asking import inventory
from rag_pipelines.evaluation.candidates import propose, read_asked
from rag_pipelines.evaluation.goldens import freeze, lint
from rag_pipelines.evaluation.suites import find_suite, named_suite
from rag_pipelines.retrieval.opening import Searchers

Name = Annotated[str, typer.Argument(metavar="SUITE", help="Name of a suite in configs/eval.")]


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(
        help="Keep a suite of judged questions sound.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    group.command(
        "lint", help="Find what makes a suite's numbers lie; exits with 1 where there is anything."
    )(lint_suite)
    group.command(
        "freeze", help="Write the hash of the suite's content into its file; other content is refused."
    )(freeze_suite)
    group.command(
        "propose", help="List judgements and questions that logs of searches and feedback suggest."
    )(propose_candidates)
    app.add_typer(group, name="golden")


def lint_suite(suite: Name, index: Index = None, as_json: Json = False) -> None:
    """Look at a suite and at the live version of its index."""
    with failures(as_json):
        environment = read_environment()
        configuration = load_configuration(environment.configs)
        found = named_suite(environment.configs, suite)
        with Searchers(environment, configuration) as searchers:
            searcher = searchers.get(configuration.index_named(index or found.config.index).index)
            number, _, _ = searcher.scroll_reader(None)
            documents, _ = inventory(searcher, number)
        findings = lint(found, documents)
    if as_json:
        print_json(
            {
                "suite": found.name,
                "index": searcher.config.index,
                "version": number,
                "content_hash": found.content_hash,
                "frozen": found.config.content_hash is not None,
                "findings": [asdict(finding) for finding in findings],
            }
        )
    else:
        print_table(
            f"{found.name} on {searcher.config.index} version {number}",
            ("what", "queries", "why"),
            [(one.kind.value, ", ".join(one.query_ids[:10]), one.message) for one in findings],
            f"{found.name}: nothing to find fault with on {searcher.config.index} version {number}",
        )
    if findings:
        raise typer.Exit(1)


def freeze_suite(suite: Name, as_json: Json = False) -> None:
    """Agree on a suite as it is now."""
    with failures(as_json):
        environment = read_environment()
        path = find_suite(environment.configs, suite)
        digest = freeze(path, environment.configs.parent)
    if as_json:
        print_json({"suite": suite, "file": str(path), "content_hash": digest})
    else:
        say(f"{path} now names the content {digest}; with any other, `rag-pipelines eval {suite}` is refused")


def propose_candidates(
    suite: Name,
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="[FILE]...", help="JSON lines, oldest first.")
    ] = None,
    from_catalog: Annotated[
        bool, typer.Option("--catalog", help="Read the service's own log of searches and feedback.")
    ] = False,
    index: Index = None,
    people: Annotated[int, typer.Option("--people", min=1, help="How many must stand behind one.")] = 2,
    frequent: Annotated[
        int, typer.Option("--frequent", min=1, help="How often a question without rating must be asked.")
    ] = 5,
    as_json: Json = False,
) -> None:
    """Propose; nothing is written."""
    with failures(as_json):
        environment = read_environment()
        found = named_suite(environment.configs, suite)
        rows = [row for path in files or [] for row in read_asked(path)]
        if from_catalog:
            configuration = load_configuration(environment.configs)
            name = configuration.index_named(index or found.config.index).index
            with contextlib.closing(open_catalog(environment.database_url)) as catalog:
                rows += asked_of(catalog, name)
        elif not files:
            raise ConfigError("name files of logs, or read the service's own with --catalog")
        candidates = propose(rows, found, people, frequent)
    if as_json:
        print_json(
            {"suite": found.name, "rows": len(rows), "candidates": [asdict(one) for one in candidates]}
        )
        return
    print_table(
        f"{found.name}: from {len(rows)} rows",
        ("question", "query id", "document", "grade", "people", "why"),
        [(one.query, one.query_id, one.document, one.grade, one.people, one.reason) for one in candidates],
        f"{found.name}: the logs ({len(rows)} rows) suggest nothing that the suite lacks",
    )

"""The command line: options and dispatch."""

from __future__ import annotations

import logging
import sys
import warnings
from typing import Annotated

import typer

from rag_pipelines import __version__
from rag_pipelines.cli import (
    answering,
    audit,
    calibrating,
    duplicates,
    evaluating,
    experimenting,
    gates,
    golden,
    injections,
    inspect,
    keys,
    planning,
    query,
    running,
    upkeep,
    versioning,
)
from rag_pipelines.core.errors import RagPipelinesError

app = typer.Typer(
    name="rag-pipelines",
    help="Keep retrieval indexes right: sync sources into versioned indexes and search them.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
running.register(app)
inspect.register(app)
duplicates.register(app)
injections.register(app)
planning.register(app)
versioning.register(app)
gates.register(app)
upkeep.register(app)
query.register(app)
answering.register(app)
evaluating.register(app)
calibrating.register(app)
experimenting.register(app)
golden.register(app)
audit.register(app)
keys.register(app)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Log what happens, on standard error.")
    ] = False,
) -> None:
    if not verbose:
        warnings.simplefilter("ignore")
    logging.basicConfig(
        level=logging.INFO if verbose else logging.ERROR,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
        stream=sys.stderr,
    )


def run() -> None:
    """Run the command line; what a user can act on ends in one sentence and without a traceback."""
    try:
        app()
    except RagPipelinesError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(1)
    except OSError as error:
        where = f" {error.filename}" if error.filename else ""
        sys.stderr.write(f"error: the operating system refused{where}: {error.strerror or error}\n")
        sys.exit(1)

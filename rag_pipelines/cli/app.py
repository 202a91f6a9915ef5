"""The command line: options and dispatch."""

from __future__ import annotations

import logging
import sys
import warnings
from typing import Annotated

import typer

from rag_pipelines import __version__
from rag_pipelines.cli import inspect, query, running
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
query.register(app)


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Log what happens, on standard error.")
    ] = False,
) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit
    if not verbose:
        warnings.simplefilter("ignore")
    logging.basicConfig(
        level=logging.INFO if verbose else logging.ERROR,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
        stream=sys.stderr,
    )


def run() -> None:
    """Run the command line; Ctrl-C exits with 130 and without a traceback."""
    try:
        app()
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; what was committed stays, run the same command to go on\n")
        sys.exit(130)
    except RagPipelinesError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(1)

"""The installed command `rag-pipelines`; thin over the pipeline's verbs."""

from __future__ import annotations


def main() -> None:
    """Entry point of the console script."""
    from rag_pipelines.cli.app import run

    run()

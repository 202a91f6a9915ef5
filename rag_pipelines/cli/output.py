"""What commands print: tables for people, one JSON object for scripts, one sentence for errors."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from rag_pipelines.core.errors import ApprovalRequired, GateFailed, RagPipelinesError

FAILED, HELD = 1, 3
PIPED_WIDTH = 160
out = Console(width=None if sys.stdout.isatty() else PIPED_WIDTH)
err = Console(stderr=True)


def print_json(value: Any) -> None:
    """One JSON object on standard output."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, default=str) + "\n")


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], empty: str) -> None:
    """A table, or the sentence `empty`."""
    if not rows:
        out.print(empty)
        return
    table = Table(title=title, title_justify="left", header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*("" if cell is None else str(cell) for cell in row))
    out.print(table)


@contextlib.contextmanager
def failures(as_json: bool) -> Iterator[None]:
    """Errors of this package become one message and an exit code: 1 failed, 3 held."""
    try:
        yield
    except RagPipelinesError as error:
        code = HELD if isinstance(error, (GateFailed, ApprovalRequired)) else FAILED
        if as_json:
            print_json({"error": str(error)})
        else:
            err.print(f"error: {error}", style="red", markup=False, highlight=False)
        raise typer.Exit(code) from error


class TerminalProgress:
    """One bar a stage on standard error; use it as a context manager."""

    def __init__(self) -> None:
        self._bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description:<6}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=err,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> TerminalProgress:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def start(self, stage: str, total: int | None) -> None:
        """A new bar, or the same stage of the next source added to its bar."""
        if stage in self._tasks:
            task = self._bars.tasks[list(self._tasks).index(stage)]
            if total is not None and task.total is not None:
                self._bars.update(self._tasks[stage], total=task.total + total)
            return
        self._tasks[stage] = self._bars.add_task(stage, total=total)

    def advance(self, stage: str, amount: int = 1) -> None:
        """Move the bar."""
        if stage in self._tasks:
            self._bars.advance(self._tasks[stage], amount)

    def finish(self, stage: str) -> None:
        """A stage without a known amount is complete at what it reached."""
        if stage in self._tasks:
            task = self._bars.tasks[list(self._tasks).index(stage)]
            self._bars.update(self._tasks[stage], total=task.completed)

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
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from rag_pipelines.core.errors import ApprovalRequired, GateFailed, RagPipelinesError

FAILED, HELD, INTERRUPTED = 1, 3, 130
PIPED_WIDTH = 160
LONGEST_UNFOLDED = 24
LEVELS = {"ok": "green", "warning": "yellow", "failed": "red"}
out = Console(width=None if sys.stdout.isatty() else PIPED_WIDTH)
err = Console(stderr=True)


def print_json(value: Any) -> None:
    """One JSON object on standard output."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, default=str) + "\n")


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], empty: str) -> None:
    """A table, or the sentence `empty`; on a narrow terminal with rows and columns exchanged."""
    if not rows:
        say(empty)
        return
    cells = [["" if cell is None else str(cell) for cell in row] for row in rows]
    if not _fits(columns, cells):
        columns, *cells = [list(line) for line in zip(columns, *cells, strict=True)]
    table = Table(title=title, title_justify="left", header_style="bold")
    for column in columns:
        table.add_column(Text(column), overflow="fold")
    for row in cells:
        table.add_row(*map(Text, row))
    out.print(table)


def print_findings(rows: Sequence[tuple[str, str, str, str]]) -> None:
    """Lines of (level, name, detail, advice); the advice stands under what it is for."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for level, name, detail, advice in rows:
        grid.add_row(Text(level, LEVELS[level]), Text(name, "bold"), Text(detail))
        if advice:
            grid.add_row("", "", Text(f"-> {advice}"))
    out.print(grid)


def say(sentence: str, style: str | None = None) -> None:
    """A sentence on standard output, wrapped by the terminal alone so that paths can be copied."""
    out.print(sentence, style=style, markup=False, highlight=False, soft_wrap=True)


def tell(sentence: str, style: str | None = None) -> None:
    """As `say`, on standard error."""
    err.print(sentence, style=style, markup=False, highlight=False, soft_wrap=True)


def moment(stored: str | None) -> str:
    """A stored time for people: to the minute, in UTC."""
    return f"{stored[:10]} {stored[11:16]}" if stored else ""


def _fits(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Whether no heading and no short word would be broken."""
    needed = 1
    for position, column in enumerate(columns):
        words = [word for row in rows for word in row[position].split() if len(word) <= LONGEST_UNFOLDED]
        needed += 3 + max(map(len, (column, *words)))
    return needed <= out.width


@contextlib.contextmanager
def failures(as_json: bool) -> Iterator[None]:
    """Errors of this package become one message and an exit code: 1 failed, 3 held, 130 interrupted."""
    try:
        yield
    except RagPipelinesError as error:
        code = HELD if isinstance(error, (GateFailed, ApprovalRequired)) else FAILED
        if as_json:
            print_json({"error": str(error)})
        else:
            tell(f"error: {error}", "red")
        raise typer.Exit(code) from error
    except KeyboardInterrupt as stop:
        tell("interrupted; what was committed stays, run the same command to go on")
        raise typer.Exit(INTERRUPTED) from stop


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
        return self

    def __exit__(self, *_: object) -> None:
        if self._tasks:
            self._bars.stop()

    def start(self, stage: str, total: int | None) -> None:
        """A new bar; where the stage had one for an earlier source, it grows by this source's amount."""
        if stage not in self._tasks:
            self._bars.start()
            self._tasks[stage] = self._bars.add_task(stage, total=total)
            return
        task = self._task(stage)
        task.total = None if total is None or task.total is None else task.total + total

    def advance(self, stage: str, amount: int = 1) -> None:
        """Move the bar."""
        if stage in self._tasks:
            self._bars.advance(self._tasks[stage], amount)

    def finish(self, stage: str) -> None:
        """The stage is complete at what it reached."""
        if stage in self._tasks:
            self._bars.update(self._tasks[stage], total=self._task(stage).completed)

    def _task(self, stage: str) -> Task:
        return next(task for task in self._bars.tasks if task.id == self._tasks[stage])

"""The command that answers a question, as the service does."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path
from typing import Annotated

import typer
from rich.padding import Padding
from rich.text import Text

from rag_pipelines.answers.answering import Answerer
from rag_pipelines.answers.reading import Reading, reading_of
from rag_pipelines.answers.values import Answered
from rag_pipelines.cli.inspect import Index, Json
from rag_pipelines.cli.output import failures, out, print_json, say, tell
from rag_pipelines.cli.query import FILTER_HELP, VersionOption, _filters
from rag_pipelines.config.environment import read_environment
from rag_pipelines.config.load import load_configuration
from rag_pipelines.core.types import OPERATOR
from rag_pipelines.governance.access import read_principal
from rag_pipelines.retrieval.opening import Searchers
from rag_pipelines.retrieval.result import SearchResult

INDENT = "   "


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(help="Answer a question from an index, with citations, as the operator or as somebody.")(
        answer
    )


def answer(
    question: Annotated[str, typer.Argument(metavar="QUERY", help="The question.")],
    k: Annotated[int, typer.Option("-k", min=1, help="From how many passages.")] = 8,
    index: Index = None,
    version: VersionOption = None,
    filters: Annotated[
        list[str] | None, typer.Option("--filter", metavar="EXPRESSION", help=FILTER_HELP)
    ] = None,
    principal: Annotated[
        Path | None,
        typer.Option("--as", help="JSON file: subject, tenant, groups, clearance. Read only what they may."),
    ] = None,
    mark: Annotated[
        bool, typer.Option("--mark", help="Show unsupported sentences too, marked as such.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Answer a question."""
    if not question.strip():
        raise typer.BadParameter("is empty", param_hint="QUERY")
    wanted = _filters(filters or [])
    environment = read_environment()
    with failures(as_json), Searchers(environment, load_configuration(environment.configs)) as searchers:
        who = read_principal(principal) if principal is not None else OPERATOR
        searcher = searchers.get(index)
        found = searcher.search(question, k, who, wanted, version)
        answerer = Answerer(searchers.configuration.service.answers, searchers.configuration.root)
        whole = asyncio.run(_answered(answerer, question, found, reading_of(searcher), mark))
        if as_json:
            print_json(whole.as_json())
        else:
            _print(whole)


async def _answered(
    answerer: Answerer, question: str, found: SearchResult, reading: Reading, mark: bool
) -> Answered:
    try:
        events = answerer.answer(question, found, reading, unsupported="mark" if mark else None)
        async with aclosing(events) as items:
            *_, whole = [item async for item in items]
    finally:
        await answerer.close()
    if not isinstance(whole, Answered):
        raise TypeError("an answer ends with the whole of it")
    return whole


def _print(whole: Answered) -> None:
    """Sentence by sentence, then what they cite; what it cost goes to standard error."""
    for sentence in whole.sentences:
        numbers = f" [{', '.join(map(str, sentence.citations))}]" if sentence.citations else ""
        doubt = "" if sentence.supported else "  (not supported)"
        out.print(Text(f"{sentence.text}{numbers}{doubt}"))
    for number in whole.cited:
        passage = whole.passages[number - 1]
        at = passage.citation
        page = f", page {at.page}" if at.page is not None else ""
        say(
            f"[{number}] {passage.title}  ({at.source}/{at.uri}{page}, characters {at.start}-{at.end})",
            "cyan",
        )
        out.print(Padding(Text(" ".join(passage.text.split())[:300]), (0, 0, 0, len(INDENT))))
    if whole.reason is not None:
        say(whole.reason if whole.answerable else f"no answer: {whole.reason}")
    usage = whole.written.usage
    if usage.prompt_tokens:
        cost = "" if usage.cost is None else f", {usage.cost:.6f} {usage.currency or ''}".rstrip()
        tell(f"{whole.written.model}: {usage.prompt_tokens} + {usage.completion_tokens} tokens{cost}")

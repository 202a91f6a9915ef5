"""Commands that read an index: search, text, points."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from rag_pipelines.blobs import open_blobs
from rag_pipelines.catalog import documents as document_rows
from rag_pipelines.catalog import points as point_rows
from rag_pipelines.catalog import versions
from rag_pipelines.cli.answers import print_answer, print_context
from rag_pipelines.cli.inspect import Index, Json
from rag_pipelines.cli.output import failures, print_json
from rag_pipelines.config.environment import read_environment
from rag_pipelines.config.load import load_configuration
from rag_pipelines.core.errors import NotFound
from rag_pipelines.core.filters import All
from rag_pipelines.core.types import OPERATOR
from rag_pipelines.governance.access import access_condition, read_principal
from rag_pipelines.retrieval.filters import Untyped, Wanted
from rag_pipelines.retrieval.opening import Searchers
from rag_pipelines.retrieval.options import Options

VersionOption = Annotated[int | None, typer.Option("--version", help="Read this version, not the live one.")]
FILTER_HELP = (
    "field=value (repeated: one of them), field!=value, field>=value (also >, <=, <: numbers, ISO dates), "
    "field? (it has a value), !field (it has none). Repeat for several fields. Quote it for the shell."
)
COMPARED = {"=": "=", "!=": "not", ">=": "gte", ">": "gt", "<=": "lte", "<": "lt"}
POINT_FIELDS = ("chunk_id", "doc_id", "uri", "source", "start", "end", "text_hash")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(help="Search an index as the operator, or as somebody with --as.")(search)
    app.command(help="Print the stored text of a document, to which start and end of citations refer.")(text)
    app.command(help="Print the visible points of a version, one JSON line each, sorted.")(points)


def search(
    question: Annotated[str, typer.Argument(metavar="QUERY", help="The question.")],
    k: Annotated[int, typer.Option("-k", min=1, help="How many passages.")] = 10,
    index: Index = None,
    version: VersionOption = None,
    filters: Annotated[
        list[str] | None, typer.Option("--filter", metavar="EXPRESSION", help=FILTER_HELP)
    ] = None,
    principal: Annotated[
        Path | None,
        typer.Option("--as", help="JSON file: subject, tenant, groups, clearance. See only what they may."),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Say of each passage why it stands where it does.")
    ] = False,
    parents: Annotated[
        bool | None,
        typer.Option("--parents/--no-parents", help="Show the section that a hierarchical chunk belongs to."),
    ] = None,
    neighbours: Annotated[
        int | None,
        typer.Option("--neighbours", min=0, max=20, help="Show so many chunks before and after."),
    ] = None,
    mmr_lambda: Annotated[
        float | None,
        typer.Option("--mmr-lambda", min=0, max=1, help="1: relevance alone; less: unlike passages."),
    ] = None,
    per_document: Annotated[
        int | None, typer.Option("--per-document", min=0, help="Passages of one document at most.")
    ] = None,
    context_tokens: Annotated[
        int | None,
        typer.Option(
            "--context-tokens",
            min=0,
            max=200_000,
            help="Print one text for a prompt, of so many tokens at most.",
        ),
    ] = None,
    passages_when_unanswerable: Annotated[
        bool,
        typer.Option(
            "--passages-when-unanswerable", help="Show the best passages even where they do not answer it."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Search an index."""
    if not question.strip():
        raise typer.BadParameter("is empty", param_hint="QUERY")
    wanted = _filters(filters or [])
    options = Options(parents, neighbours, mmr_lambda, per_document, context_tokens)
    with failures(as_json), _searchers() as searchers:
        who = read_principal(principal) if principal is not None else OPERATOR
        result = searchers.get(index).search(
            question,
            k,
            who,
            wanted,
            version,
            explained=explain,
            options=options,
            passages_when_unanswerable=passages_when_unanswerable,
        )
        if as_json:
            print_json(result.as_json())
            return
        if context_tokens and result.context is not None:
            print_context(result.context)
            return
        print_answer(result)


def text(
    doc_id: Annotated[str, typer.Argument(help="The doc_id of a citation.")],
    version: VersionOption = None,
    index: Index = None,
) -> None:
    """Print a document's stored text."""
    with failures(False), _searchers() as searchers:
        catalog = searchers.catalog
        name = searchers.configuration.index_named(index).index
        live = versions.pointer(catalog, name)
        number = version if version is not None else (live.version if live else None)
        parsed = point_rows.parsed_at(catalog, doc_id, name, number) if number is not None else None
        if parsed is None and version is None:
            row = document_rows.document_row(catalog, doc_id)
            parsed = row["parsed_hash"] if row and row["live"] else None
        if parsed is None:
            where = f"version {number} of index {name!r}" if number is not None else f"index {name!r}"
            raise NotFound(f"there is no document {doc_id} in {where}; `search --json` prints doc_ids")
        document = open_blobs(searchers.environment.blobs_url).get_parsed(parsed)
        sys.stdout.buffer.write(document.text.encode("utf-8"))


def points(
    index: Index = None,
    version: VersionOption = None,
    vectors: Annotated[bool, typer.Option("--vectors", help="Add the dense vector of each point.")] = False,
    jsonl: Annotated[bool, typer.Option("--jsonl", help="One JSON object a line (the only form).")] = True,
) -> None:
    """Print the visible points of a version."""
    del jsonl
    with failures(False), _searchers() as searchers:
        _, reader, shown = searchers.get(index).scroll_reader(version)
        condition = All((shown, access_condition(OPERATOR)))
        lines = []
        for point in reader.scroll(condition, with_vectors=vectors):
            row = {field: point.payload[field] for field in POINT_FIELDS}
            if vectors and point.dense is not None:
                row["vector"] = [float(x) for x in point.dense]
            lines.append(
                (
                    row["source"],
                    row["uri"],
                    row["start"],
                    row["chunk_id"],
                    json.dumps(row, ensure_ascii=False),
                )
            )
        for *_, line in sorted(lines):
            sys.stdout.write(line + "\n")


def _searchers() -> Searchers:
    environment = read_environment()
    return Searchers(environment, load_configuration(environment.configs))


def _filters(expressions: list[str]) -> dict[str, Wanted]:
    """A shell has only text, which the index reads as the type of its field."""
    equal: dict[str, list[Untyped]] = {}
    compared: dict[str, dict[str, Any]] = {}
    for expression in expressions:
        field, operator, text = _split(expression)
        if operator == "=":
            equal.setdefault(field, []).append(Untyped(text))
        elif operator == "not":
            compared.setdefault(field, {}).setdefault("not", []).append(Untyped(text))
        elif operator in compared.setdefault(field, {}):
            raise typer.BadParameter(f"{expression!r} bounds {field} a second time", param_hint="--filter")
        else:
            compared[field][operator] = text == "yes" if operator == "exists" else Untyped(text)
    both = sorted(equal.keys() & compared.keys())
    if both:
        raise typer.BadParameter(
            f"{both[0]!r} is compared both with = and otherwise; one of them is enough", param_hint="--filter"
        )
    return {**equal, **compared}


def _split(expression: str) -> tuple[str, str, str]:
    """(field, operator, value); `field?` and `!field` are the operator exists with yes and no."""
    found = re.fullmatch(r"([^=<>!]+)(!=|>=|<=|=|>|<)(.*)", expression, re.S)
    if found:
        return found[1], COMPARED[found[2]], found[3]
    found = re.fullmatch(r"([^=<>!?]+)\?|!([^=<>!?]+)", expression)
    if found:
        return found[1] or found[2], "exists", "yes" if found[1] else "no"
    raise typer.BadParameter(
        f"{expression!r} is not field=value, field>=value, field? or !field; --help tells more",
        param_hint="--filter",
    )

"""Commands that read an index: search, text, points."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.padding import Padding
from rich.text import Text

from rag_pipelines.blobs import open_blobs
from rag_pipelines.catalog import documents as document_rows
from rag_pipelines.catalog import points as point_rows
from rag_pipelines.catalog import versions
from rag_pipelines.cli.inspect import Index, Json
from rag_pipelines.cli.output import failures, out, print_json, say
from rag_pipelines.config.environment import read_environment
from rag_pipelines.config.load import load_configuration
from rag_pipelines.core.errors import NotFound
from rag_pipelines.core.filters import All
from rag_pipelines.core.types import OPERATOR, Location, Passage
from rag_pipelines.governance.access import access_condition, read_principal
from rag_pipelines.retrieval.filters import Value
from rag_pipelines.retrieval.opening import Searchers

VersionOption = Annotated[int | None, typer.Option("--version", help="Read this version, not the live one.")]
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
        list[str] | None, typer.Option("--filter", help="field=value; repeat for several values or fields.")
    ] = None,
    principal: Annotated[
        Path | None,
        typer.Option("--as", help="JSON file: subject, tenant, groups, clearance. See only what they may."),
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
    with failures(as_json), _searchers() as searchers:
        who = read_principal(principal) if principal is not None else OPERATOR
        result = searchers.get(index).search(
            question, k, who, wanted, version, passages_when_unanswerable=passages_when_unanswerable
        )
        if as_json:
            print_json(result.as_json())
            return
        if result.answerable is False:
            say(f"this is not answered here (confidence {result.confidence:.2f})")
        elif not result.passages:
            say("nothing was found")
        for passage in result.passages:
            _print_passage(passage)


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


def _filters(pairs: list[str]) -> dict[str, list[Value]]:
    """A shell has only text: what reads as a number or a truth value matches as that, too."""
    found: dict[str, list[Value]] = {}
    for pair in pairs:
        field, separator, value = pair.partition("=")
        if not separator or not field:
            raise typer.BadParameter(f"{pair!r} is not field=value", param_hint="--filter")
        values = found.setdefault(field, [])
        values.append(value)
        if re.fullmatch(r"-?\d{1,18}", value):
            values.append(int(value))
        elif value in ("true", "false"):
            values.append(value == "true")
    return found


def _print_passage(passage: Passage) -> None:
    citation = passage.citation
    where = f"{citation.source}/{citation.uri}"
    if citation.page is not None:
        where += f", page {citation.page}"
    say(f"{passage.rank}. {passage.title}  [{passage.score:.3f}]", "bold")
    say(f"   {where}, characters {citation.start}-{citation.end}, version {citation.version}", "cyan")
    if passage.locations:
        say(f"   also in: {', '.join(map(_also, passage.locations))}", "cyan")
    shown = " ".join(passage.text.split())
    excerpt = Text(shown if len(shown) <= 300 else shown[:299] + "…")
    out.print(Padding(excerpt, (0, 0, 0, 3)))


def _also(location: Location) -> str:
    where = f"{location.source}/{location.uri}"
    return where if location.similarity == 1 else f"{where} ({int(100 * location.similarity)}% alike)"

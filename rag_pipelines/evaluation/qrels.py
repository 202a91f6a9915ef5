"""Reads queries and judgements, and lists every mistake with its file and line."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag_pipelines.config.evaluation import UnanswerableConfig
from rag_pipelines.core.errors import ConfigError

SHOWN = 100
_HEADERS = (
    ("query-id", "corpus-id", "score"),
    ("query-id", "corpus-id", "start", "end", "score"),
)
_TREC_COLUMNS = 4
_TREC = ("query-id", "iteration", "corpus-id", "score")


@dataclass(frozen=True, slots=True)
class Query:
    """One question; `answerable` is False where the corpus is known not to answer it."""

    query_id: str
    text: str
    metadata: Mapping[str, Any]
    answerable: bool
    line: int


@dataclass(frozen=True, slots=True)
class Judgement:
    """What people found of one document, or of the characters `start` to `end` of its text.

    A grade above 0 is relevant.
    """

    query_id: str
    document: str
    grade: int
    line: int
    start: int | None = None
    end: int | None = None

    @property
    def unit(self) -> str:
        """`doc`, or `doc:start-end` where a passage is judged."""
        return self.document if self.start is None else f"{self.document}:{self.start}-{self.end}"


def read_queries(path: Path, unanswerable: UnanswerableConfig) -> dict[str, Query]:
    """The queries of a BEIR `queries.jsonl` by id, in its order. Raises ConfigError with every mistake."""
    found: dict[str, Query] = {}
    problems: list[str] = []
    for number, line in _lines(path):
        query = _query(line, number, unanswerable)
        if isinstance(query, str):
            problems.append(f"{path}:{number}: {query}")
        elif query.query_id in found:
            first = found[query.query_id].line
            problems.append(f"{path}:{number}: query {query.query_id} stands on line {first} already")
        else:
            found[query.query_id] = query
    if not found and not problems:
        problems.append(f"{path}: holds no query")
    _refuse(problems)
    return found


def _query(line: str, number: int, unanswerable: UnanswerableConfig) -> Query | str:
    try:
        row = json.loads(line)
    except (json.JSONDecodeError, RecursionError):
        return "is not a line of JSON"
    if not isinstance(row, dict):
        return 'is not a JSON object such as {"_id": "1", "text": "..."}'
    query_id, text, metadata = row.get("_id"), row.get("text"), row.get("metadata")
    if not isinstance(query_id, str) or not query_id.strip():
        return "_id must be a text that is not empty"
    if not isinstance(text, str) or not text.strip():
        return f"the text of query {query_id} is missing or empty"
    if metadata is not None and not isinstance(metadata, dict):
        return f"the metadata of query {query_id} must be an object"
    value = (metadata or {}).get(unanswerable.key)
    refused = type(value) is type(unanswerable.value) and value == unanswerable.value
    return Query(query_id, text, metadata or {}, not refused, number)


def read_judgements(path: Path) -> dict[str, tuple[Judgement, ...]]:
    """The judgements of a file by query, in the file's order; one that is repeated word for word counts once.

    Three layouts: with the header `query-id corpus-id score`, separated by tabs, as BEIR has it; the same
    with `start` and `end` before the score; and, without a header, the four columns of TREC, separated by
    white space. Raises ConfigError with every mistake.
    """
    found: dict[tuple[str, str], Judgement] = {}
    problems: list[str] = []
    columns: Sequence[str] | None = None
    for number, line in _lines(path):
        if columns is None:
            columns = _columns(line)
            if columns is None:
                problems.append(
                    f"{path}:{number}: is neither the header query-id, corpus-id, score separated by tabs "
                    "nor a line of four columns as TREC has them"
                )
                break
            if columns is not _TREC:
                continue
        judgement = _judgement(line, number, columns)
        if isinstance(judgement, str):
            problems.append(f"{path}:{number}: {judgement}")
            continue
        first = found.setdefault((judgement.query_id, judgement.unit), judgement)
        if first.grade != judgement.grade:
            problems.append(
                f"{path}:{number}: query {judgement.query_id} has grade {judgement.grade} for "
                f"{judgement.unit}, but grade {first.grade} on line {first.line}"
            )
    if not found and not problems:
        problems.append(f"{path}: holds no judgement")
    _refuse(problems)
    by_query: dict[str, list[Judgement]] = {}
    for judgement in found.values():
        by_query.setdefault(judgement.query_id, []).append(judgement)
    return {query_id: tuple(rows) for query_id, rows in by_query.items()}


def _columns(line: str) -> Sequence[str] | None:
    header = tuple(part.strip() for part in line.split("\t"))
    if header in _HEADERS:
        return header
    return _TREC if len(line.split()) == _TREC_COLUMNS and "query-id" not in header else None


def _judgement(line: str, number: int, columns: Sequence[str]) -> Judgement | str:
    parts = line.split() if columns is _TREC else [part.strip() for part in line.split("\t")]
    if len(parts) != len(columns):
        return f"has {len(parts)} columns, not {len(columns)} ({', '.join(columns)})"
    row = dict(zip(columns, parts, strict=True))
    if not row["query-id"] or not row["corpus-id"]:
        return "the query or the document is missing"
    numbers: dict[str, int] = {}
    for name in ("score", "start", "end"):
        if name in row:
            try:
                numbers[name] = int(row[name])
            except ValueError:
                return f"{name} {row[name]!r} is not a whole number"
    start, end = numbers.get("start"), numbers.get("end")
    if start is not None and end is not None and not 0 <= start < end:
        return f"{start} to {end} is not a span: start must be 0 or more and less than end"
    return Judgement(row["query-id"], row["corpus-id"], numbers["score"], number, start, end)


def same_question(text: str) -> str:
    """The words of a question, of which C++ is one: wordings that differ in case or marks share them."""
    return " ".join(re.findall(r"[\w+#]+", unicodedata.normalize("NFKC", text).casefold())) or text.strip()


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Lines that are not blank with their numbers; only line feeds end a line, since texts hold U+2028."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield number, line.rstrip("\r")


def listed(problems: list[str]) -> list[str]:
    """The first hundred, and how many more there are."""
    return (
        problems
        if len(problems) <= SHOWN
        else [*problems[:SHOWN], f"and {len(problems) - SHOWN} more mistakes"]
    )


def _refuse(problems: list[str]) -> None:
    if problems:
        raise ConfigError("\n".join(listed(problems)))

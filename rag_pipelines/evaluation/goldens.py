"""Keeps a golden set sound: finds what makes its numbers lie, and freezes what was agreed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Any

from rag_pipelines.config.evaluation import EvaluationConfig
from rag_pipelines.config.files import read_file
from rag_pipelines.config.problems import validate
from rag_pipelines.core.errors import ConfigError
from rag_pipelines.evaluation.measures import judged_units
from rag_pipelines.evaluation.qrels import same_question
from rag_pipelines.evaluation.runs import write_whole
from rag_pipelines.evaluation.suites import IndexDocument, Suite, name_of, read_suite

_LEAKING_WORDS = 3
_LEAKING_NAME = 8
_FIELD = re.compile(r"^content_hash[ \t]*:.*$", re.MULTILINE)


class Kind(StrEnum):
    """What is wrong."""

    MISSING = "missing document"
    AMBIGUOUS = "ambiguous document"
    DUPLICATE = "duplicate query"
    CONFLICT = "judged differently"
    LEAKAGE = "leakage"
    UNJUDGED = "not judged"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a person should look at, in the queries it concerns."""

    kind: Kind
    query_ids: tuple[str, ...]
    message: str


def lint(suite: Suite, documents: Iterable[IndexDocument]) -> tuple[Finding, ...]:
    """What is wrong with the suite, given all documents of the index it is asked of.

    A relevant document that is missing caps every measure; a name that several documents share makes any of
    them count. A question asked twice counts twice, and judged differently it contradicts itself. A question
    that repeats its document's title or name is found by anything.
    """
    by_name: dict[str, list[IndexDocument]] = {}
    for document in documents:
        name = name_of(suite.config, document)
        if name is not None:
            by_name.setdefault(name, []).append(document)
    found = [*_documents(suite, by_name), *_duplicates(suite), *_leaks(suite, by_name)]
    if suite.unjudged:
        found.append(
            Finding(
                Kind.UNJUDGED,
                suite.unjudged,
                f"{len(suite.unjudged)} queries have no judgement and are not asked",
            )
        )
    return tuple(found)


def _relevant(suite: Suite) -> dict[str, dict[str, None]]:
    """The relevant documents of every judged query, in the order of their judgements."""
    return {
        query_id: dict.fromkeys(row.document for row in rows if row.grade > 0)
        for query_id, rows in suite.judgements.items()
    }


def _documents(suite: Suite, by_name: dict[str, list[IndexDocument]]) -> Iterable[Finding]:
    asked_by: dict[str, list[str]] = {}
    for query_id, names in _relevant(suite).items():
        for name in names:
            asked_by.setdefault(name, []).append(query_id)
    for name in sorted(asked_by):
        documents = by_name.get(name, [])
        queries = tuple(asked_by[name])
        if not documents:
            yield Finding(Kind.MISSING, queries, f"{name} is judged relevant, and the index does not hold it")
        elif len(documents) > 1:
            places = ", ".join(sorted(f"{one.source}/{one.uri}" for one in documents)[:5])
            yield Finding(Kind.AMBIGUOUS, queries, f"{name} names {len(documents)} documents: {places}")


def _duplicates(suite: Suite) -> Iterable[Finding]:
    by_text: dict[str, list[str]] = {}
    for query_id, query in suite.queries.items():
        by_text.setdefault(same_question(query.text), []).append(query_id)
    for same in by_text.values():
        if len(same) == 1:
            continue
        queries = tuple(same)
        judged = [(suite.queries[one].answerable, judged_units(suite, one)) for one in queries]
        if all(one == judged[0] for one in judged):
            yield Finding(Kind.DUPLICATE, queries, "the same question counts more than once")
        else:
            yield Finding(Kind.CONFLICT, queries, "the same question is judged differently")


def _leaks(suite: Suite, by_name: dict[str, list[IndexDocument]]) -> Iterable[Finding]:
    for query_id, names in _relevant(suite).items():
        text = suite.queries[query_id].text
        words, lowered = same_question(text), text.casefold()
        for name in names:
            for document in by_name.get(name, ())[:1]:
                title = same_question(document.title or "")
                file = PurePosixPath(document.uri).name
                if len(title.split()) >= _LEAKING_WORDS and title == words:
                    yield Finding(Kind.LEAKAGE, (query_id,), f"the question is the title of {name}")
                elif any(
                    len(part) >= _LEAKING_NAME and part.casefold() in lowered
                    for part in (name, document.uri, file)
                ):
                    yield Finding(
                        Kind.LEAKAGE, (query_id,), f"the question names {name}, its relevant document"
                    )


def freeze(path: Path, root: Path) -> str:
    """Write the hash of the suite's content into its configuration file, and return it.

    From then on a suite whose content is another is refused. Comments and layout of the file stay.
    """
    file = read_file(path)
    config = validate(file, EvaluationConfig)
    digest = read_suite(file, config.model_copy(update={"content_hash": None}), root).content_hash
    text = path.read_text(encoding="utf-8-sig")
    if path.suffix.lower() == ".json":
        changed = json.dumps({**file.data, "content_hash": digest}, indent=2, ensure_ascii=False) + "\n"
    elif _FIELD.search(text):
        changed = _FIELD.sub(f"content_hash: {digest}", text, count=1)
    else:
        changed = f"{text.rstrip()}\ncontent_hash: {digest}\n"
    if _parsed(changed, path) != {**file.data, "content_hash": digest}:
        raise ConfigError(
            f"{path}: cannot be changed without harm; write `content_hash: {digest}` into it yourself"
        )
    write_whole(path, changed.encode())
    return digest


def _parsed(text: str, path: Path) -> Any:
    import yaml

    try:
        return json.loads(text) if path.suffix.lower() == ".json" else yaml.safe_load(text)
    except yaml.YAMLError:
        return None

"""A judged suite: its questions, its judgements, and what the judgements call a document."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rag_pipelines.config.evaluation import EvaluationConfig
from rag_pipelines.config.files import SUFFIXES, ConfigFile, read_file
from rag_pipelines.config.problems import problem_at, suggest, validate
from rag_pipelines.core.errors import ConfigError
from rag_pipelines.core.ids import content_hash
from rag_pipelines.core.types import Passage
from rag_pipelines.evaluation.qrels import Judgement, Query, listed, read_judgements, read_queries

DOCUMENT_SLICES = ("source", "tenant", "language", "media_type")
METADATA = "metadata."


@dataclass(frozen=True, slots=True)
class Suite:
    """What is asked and what is relevant.

    `queries` holds the questions that are asked: judged ones, and those that have no answer. `judgements`
    are those of `judged`. `unjudged` are ids of questions nobody judged: they are not asked.
    """

    config: EvaluationConfig
    queries: Mapping[str, Query]
    judgements: Mapping[str, tuple[Judgement, ...]]
    content_hash: str
    unjudged: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """As its file names it."""
        return self.config.suite

    @property
    def judged(self) -> tuple[str, ...]:
        """Ids of the queries that the measures are means over."""
        return tuple(self.judgements)


@dataclass(frozen=True, slots=True)
class IndexDocument:
    """What has to be known of a document of the index to find it judged and to slice by it."""

    doc_id: str
    source: str
    uri: str
    title: str | None = None
    tenant: str | None = None
    language: str | None = None
    media_type: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


def judged_name(
    config: EvaluationConfig, *, source: str, uri: str, doc_id: str, metadata: Mapping[str, Any]
) -> str | None:
    """What the judgements would call the document; None where they cannot name it."""
    if config.source is not None and source != config.source:
        return None
    if config.judged_id.startswith(METADATA):
        value = metadata.get(config.judged_id.removeprefix(METADATA))
        return None if value is None or value == "" else str(value)
    return {"uri": uri, "source/uri": f"{source}/{uri}", "doc_id": doc_id}[config.judged_id]


def name_of(config: EvaluationConfig, of: Passage | IndexDocument) -> str | None:
    """`judged_name` of a passage's document, or of a document."""
    place = of.citation if isinstance(of, Passage) else of
    return judged_name(config, source=place.source, uri=place.uri, doc_id=place.doc_id, metadata=of.metadata)


def suite_files(configs: Path) -> tuple[Path, ...]:
    """The files of `configs/eval`, sorted; empty where there is no such folder."""
    folder = configs / "eval"
    if not folder.is_dir():
        return ()
    return tuple(path for path in sorted(folder.iterdir()) if path.suffix.lower() in SUFFIXES)


def find_suite(configs: Path, name: str) -> Path:
    """The file that defines the suite. Raises ConfigError with the nearest name, or where two define it.

    A file that cannot be read is passed over where another defines the suite, and reported where none does.
    """
    names: dict[str, list[Path]] = {}
    problems: list[str] = []
    for path in suite_files(configs):
        try:
            names.setdefault(str(read_file(path).data.get("suite", "")).strip(), []).append(path)
        except ConfigError as error:
            problems.append(str(error))
    found = names.get(name, [])
    if len(found) == 1:
        return found[0]
    if found:
        both = " and ".join(path.name for path in found)
        raise ConfigError(f"suite {name!r} is defined in {both} of {found[0].parent}; keep one")
    hint = suggest(name, sorted(filter(None, names))) or f"; define one in {configs / 'eval'}"
    raise ConfigError("\n".join([f"there is no suite {name!r}{hint}", *problems]))


def load_suite(path: Path, root: Path) -> Suite:
    """The suite of a configuration file; paths in it resolve against `root`. Raises ConfigError."""
    file = read_file(path)
    return read_suite(file, validate(file, EvaluationConfig), root)


def named_suite(configs: Path, name: str) -> Suite:
    """The suite of that name below `configs`, whose parent its paths resolve against. Raises ConfigError."""
    return load_suite(find_suite(configs, name), configs.parent)


def read_suite(file: ConfigFile, config: EvaluationConfig, root: Path) -> Suite:
    """The suite that `config`, read from `file`, describes. Raises ConfigError with every mistake."""
    folder = root / (config.path or "")
    queries_path = root / config.queries if config.queries else folder / "queries.jsonl"
    qrels_path = root / config.qrels if config.qrels else folder / "qrels" / "test.tsv"
    problems: list[str] = []
    queries: dict[str, Query] = {}
    judgements: dict[str, tuple[Judgement, ...]] = {}
    try:
        queries = read_queries(queries_path, config.unanswerable)
    except ConfigError as error:
        problems.append(str(error))
    try:
        judgements = read_judgements(qrels_path)
    except ConfigError as error:
        problems.append(str(error))
    if not problems:
        problems = [
            *_contradictions(queries, judgements, queries_path, qrels_path, config.level),
            *_without_relevant(queries, judgements, qrels_path),
            *_unknown_slices(file, config, queries),
        ]
    if problems:
        raise ConfigError("\n".join(problems))
    suite = _assemble(config, queries, judgements)
    if config.content_hash not in (None, suite.content_hash):
        raise problem_at(
            file,
            ("content_hash",),
            f"the suite was frozen, and its content has changed since: it is {suite.content_hash} now; "
            "restore the files, or freeze it again if the change is meant",
        )
    return suite


def _assemble(
    config: EvaluationConfig, queries: Mapping[str, Query], judgements: Mapping[str, tuple[Judgement, ...]]
) -> Suite:
    asked = sorted(
        [query.query_id for query in queries.values() if query.query_id in judgements or not query.answerable]
    )
    kept = {query_id: judgements[query_id] for query_id in asked if queries[query_id].answerable}
    rows = [
        [queries[query_id].text, queries[query_id].answerable, queries[query_id].metadata]
        for query_id in asked
    ]
    judged = sorted([row.query_id, row.unit, row.grade] for rows_of in kept.values() for row in rows_of)
    canonical = json.dumps([asked, rows, judged], sort_keys=True, separators=(",", ":"))
    return Suite(
        config=config,
        queries={query_id: queries[query_id] for query_id in asked},
        judgements=kept,
        content_hash=content_hash(canonical),
        unjudged=tuple(sorted(queries.keys() - set(asked))),
    )


def _contradictions(
    queries: Mapping[str, Query],
    judgements: Mapping[str, tuple[Judgement, ...]],
    queries_path: Path,
    qrels_path: Path,
    level: str,
) -> list[str]:
    problems: list[str] = []
    for query_id, rows in judgements.items():
        where = f"{qrels_path}:{rows[0].line}"
        if query_id not in queries:
            problems.append(f"{where}: judges query {query_id}, which {queries_path} does not hold")
        elif not queries[query_id].answerable and any(row.grade > 0 for row in rows):
            line = queries[query_id].line
            problems.append(
                f"{where}: finds an answer to query {query_id}, which {queries_path}:{line} says has none"
            )
        if level == "passage" and rows[0].start is None:
            problems.append(f"{where}: level is passage, so judgements need the columns start and end")
            break
    return listed(problems)


def _without_relevant(
    queries: Mapping[str, Query], judgements: Mapping[str, tuple[Judgement, ...]], qrels_path: Path
) -> list[str]:
    known = [query_id for query_id in judgements if query_id in queries]
    empty = [
        query_id
        for query_id in known
        if queries[query_id].answerable and all(row.grade <= 0 for row in judgements[query_id])
    ]
    if empty:
        return [
            f"{qrels_path}: nothing is judged relevant to {', '.join(empty)}, so every measure would be 0; "
            "remove these judgements or mark the queries as unanswerable"
        ]
    if not any(queries[query_id].answerable for query_id in known):
        return [f"{qrels_path}: judges none of the queries that have an answer"]
    return []


def _unknown_slices(file: ConfigFile, config: EvaluationConfig, queries: Mapping[str, Query]) -> list[str]:
    keys = {key for query in queries.values() for key in query.metadata}
    return [
        str(
            problem_at(
                file,
                ("slices", position),
                f"no query has metadata {name!r}{suggest(name, [*DOCUMENT_SLICES, *sorted(keys)[:50]])}",
            )
        )
        for position, name in enumerate(config.slices)
        if name not in DOCUMENT_SLICES and name not in keys
    ]

"""Asks every question of a suite and measures what comes back."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rag_pipelines.core.errors import ConfigError, NotPublished
from rag_pipelines.core.ports import Progress
from rag_pipelines.core.types import Passage
from rag_pipelines.evaluation.measures import Ranking, rank, score
from rag_pipelines.evaluation.qrels import Query
from rag_pipelines.evaluation.runs import PassageRef, QueryRun, Run
from rag_pipelines.evaluation.suites import METADATA, Suite, name_of

KEPT = 10
"""How many passages of a query a run remembers; its ranking is stored whole."""

STAGE = "evaluate"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a search that can abstain returns; `confidence` is higher where an answer is likelier."""

    passages: Sequence[Passage]
    confidence: float | None = None
    answerable: bool | None = None


Search = Callable[[str, int], Sequence[Passage] | Answer]
"""The question and how many passages are wanted -> passages, best first."""


@dataclass(frozen=True, slots=True)
class _Asked:
    answer: Answer
    ranking: Ranking
    ms: float
    cpu_ms: float


def run_suite(
    suite: Suite,
    search: Search,
    progress: Progress,
    *,
    index: str,
    version: int | None = None,
    fingerprint: str = "",
    settings: Mapping[str, Any] | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Run:
    """Ask every question once, in the order of their ids, and measure the answers.

    The first question is asked once beforehand, untimed: it would pay for loading the model. Raises
    NotPublished where passages are of another version than `version`, or of several: the index moved
    meanwhile, and no number would belong to any version. Raises ConfigError where the judgements name
    documents by metadata that no passage has.
    """
    started = datetime.now(UTC).isoformat(timespec="milliseconds")
    depth, queries = suite.config.depth, list(suite.queries.values())
    if queries:
        search(queries[0].text, depth)
    asked: dict[str, _Asked] = {}
    versions = set() if version is None else {version}
    progress.start(STAGE, len(queries))
    for query in queries:
        asked[query.query_id] = _ask(suite, query, search, clock)
        versions |= {passage.citation.version for passage in asked[query.query_id].answer.passages}
        if len(versions) > 1:
            raise NotPublished(
                f"passages of {index} came from versions {', '.join(map(str, sorted(versions)))}: the index "
                "moved while it was measured; ask one version by its number"
            )
        progress.advance(STAGE)
    progress.finish(STAGE)
    _check_metadata(suite, asked)
    places = {query_id: one.ranking.places for query_id, one in asked.items() if one.ranking.places}
    measured = score(suite, places)
    return Run(
        suite=suite.name,
        suite_hash=suite.content_hash,
        index=index,
        version=next(iter(versions), None),
        fingerprint=fingerprint,
        started_at=started,
        level=suite.config.level,
        depth=depth,
        measures=suite.config.measures,
        queries={
            query_id: QueryRun(
                ms=one.ms,
                returned=len(one.answer.passages),
                measures=measured.get(query_id, {}),
                passages=_refs(suite, one),
                confidence=one.answer.confidence,
                answerable=one.answer.answerable,
                cpu_ms=one.cpu_ms,
            )
            for query_id, one in asked.items()
        },
        places=places,
        short=_short(suite, asked),
        settings=dict(settings or {}),
    )


def _ask(suite: Suite, query: Query, search: Search, clock: Callable[[], float]) -> _Asked:
    before, worked = clock(), time.process_time()
    found = search(query.text, suite.config.depth)
    ms, cpu_ms = (clock() - before) * 1000, (time.process_time() - worked) * 1000
    answer = found if isinstance(found, Answer) else Answer(found)
    # More than was asked for would make the measures of two searches incomparable.
    passages = tuple(answer.passages[: suite.config.depth])
    stated = [passage.score for passage in passages]
    if answer.confidence is not None:
        stated.append(answer.confidence)
    if not all(math.isfinite(number) for number in stated):
        raise ConfigError(f"the search scored query {query.query_id} with something that is not a number")
    answer = Answer(passages, answer.confidence, answer.answerable)
    return _Asked(answer, rank(suite, query.query_id, passages), ms, cpu_ms)


def _refs(suite: Suite, asked: _Asked) -> tuple[PassageRef, ...]:
    return tuple(
        PassageRef(
            rank=position,
            score=passage.score,
            document=name_of(suite.config, passage) or f"{passage.citation.source}/{passage.citation.uri}",
            source=passage.citation.source,
            uri=passage.citation.uri,
            doc_id=passage.citation.doc_id,
            chunk_id=passage.citation.chunk_id,
            start=passage.citation.start,
            end=passage.citation.end,
            parsed_hash=passage.citation.parsed_hash,
            page=passage.citation.page,
            grade=grade,
        )
        for position, (passage, grade) in enumerate(
            zip(asked.answer.passages[:KEPT], asked.ranking.grades, strict=False), 1
        )
    )


def _short(suite: Suite, asked: Mapping[str, _Asked]) -> tuple[str, ...]:
    return tuple(
        query_id
        for query_id in suite.judged
        if len(asked[query_id].answer.passages) == suite.config.depth
        and len(asked[query_id].ranking.places) < suite.config.deepest
    )


def _check_metadata(suite: Suite, asked: Mapping[str, _Asked]) -> None:
    if not suite.config.judged_id.startswith(METADATA):
        return
    passages = [passage for one in asked.values() for passage in one.answer.passages]
    if passages and all(name_of(suite.config, passage) is None for passage in passages):
        keys = (
            ", ".join(sorted({str(key) for passage in passages for key in passage.metadata}))
            or "no key at all"
        )
        raise ConfigError(
            f"suite {suite.name} finds judged documents by {suite.config.judged_id}, which no passage has; "
            f"passages have {keys}"
        )


def check_run_of(suite: Suite, run: Run) -> None:
    """Raises ConfigError where the run asked another suite, or other content of it."""
    if (run.suite, run.suite_hash) != (suite.name, suite.content_hash):
        raise ConfigError(
            f"the run of {run.label} at {run.started_at} is not of suite {suite.name} as it is now; "
            "run it again"
        )

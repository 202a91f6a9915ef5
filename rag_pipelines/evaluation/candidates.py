"""Proposes judgements from what people asked and how they rated it; a person decides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from rag_pipelines.core.errors import ConfigError
from rag_pipelines.evaluation.qrels import same_question
from rag_pipelines.evaluation.suites import Suite, judged_name

Reason = Literal[
    "rated relevant", "rated not relevant", "ratings disagree", "asked often", "asked often, not answered"
]


@dataclass(frozen=True, slots=True)
class Asked:
    """One row of a search log or of feedback: `person` asked `query`.

    With feedback it names a document and whether it helped. `answerable` is what the search said of the
    question, None where it said nothing.
    """

    query: str
    person: str
    source: str = ""
    uri: str = ""
    doc_id: str = ""
    metadata: tuple[tuple[str, str], ...] = ()
    helpful: bool | None = None
    answerable: bool | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A judgement that might be added: `document` and `grade` are None where only the question is proposed.

    `people` counts who said so; `query_id` is the suite's where it asks the question already.
    """

    query: str
    query_id: str | None
    document: str | None
    grade: int | None
    people: int
    reason: Reason


class _Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A line of a log; `metadata` is the document's."""

    query: str
    person: str
    source: str = ""
    uri: str = ""
    doc_id: str = ""
    metadata: dict[str, str | int | float | bool] = msgspec.field(default_factory=dict)
    helpful: bool | None = None
    answerable: bool | None = None
    at: str | None = None


def read_asked(path: Path) -> tuple[Asked, ...]:
    """The rows of a search log or of feedback as JSON lines, oldest first. Raises ConfigError with the line."""
    rows: list[Asked] = []
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    rows.append(_row(path, number, line))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    return tuple(rows)


def _row(path: Path, number: int, line: bytes) -> Asked:
    problem = ""
    try:
        found = msgspec.json.decode(line, type=_Line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        problem = str(error)
    if problem:
        # Outside the handler: a log holds what people asked.
        raise ConfigError(
            f"{path}:{number}: is not a row of a log: {problem}; it needs at least query and person"
        )
    return Asked(
        query=found.query,
        person=found.person,
        source=found.source,
        uri=found.uri,
        doc_id=found.doc_id,
        metadata=tuple((key, str(value)) for key, value in found.metadata.items()),
        helpful=found.helpful,
        answerable=found.answerable,
    )


def propose(rows: Iterable[Asked], suite: Suite, people: int = 2, frequent: int = 5) -> tuple[Candidate, ...]:
    """Judgements and questions the suite lacks, the ones most people stand behind first.

    A judgement needs `people` different people, so that nobody's private question leaves the log and nobody
    alone decides what is relevant. A question is proposed once it was asked `frequent` times by as many
    people, without a rating. Of one person's ratings of the same document the last counts.
    """
    known = {same_question(query.text): query_id for query_id, query in suite.queries.items()}
    asked: dict[str, list[Asked]] = {}
    for row in rows:
        if row.query.strip():
            asked.setdefault(same_question(row.query), []).append(row)
    found: list[tuple[int, Candidate]] = []
    for same, logged in asked.items():
        query_id = known.get(same)
        text = suite.queries[query_id].text if query_id is not None else _wording(logged)
        judged = {row.document for row in suite.judgements.get(query_id or "", ())}
        rated = [
            Candidate(text, query_id, document, grade, count, reason)
            for document, (grade, count, reason) in _ratings(suite, logged, people).items()
            if document not in judged
        ]
        found += [(len(logged), candidate) for candidate in rated]
        persons = len({row.person for row in logged})
        if query_id is None and not rated and len(logged) >= frequent and persons >= people:
            abstained = sum(row.answerable is False for row in logged) * 2 > len(logged)
            reason: Reason = "asked often, not answered" if abstained else "asked often"
            found.append((len(logged), Candidate(text, None, None, None, persons, reason)))
    found.sort(key=lambda one: (-one[1].people, -one[0], one[1].query, one[1].document or ""))
    return tuple(candidate for _, candidate in found)


def _ratings(suite: Suite, rows: Iterable[Asked], people: int) -> dict[str, tuple[int | None, int, Reason]]:
    """By document: the grade that nobody disputes, how many rated it, and why it is proposed."""
    last: dict[tuple[str, str], bool] = {}
    for row in rows:
        name = judged_name(
            suite.config, source=row.source, uri=row.uri, doc_id=row.doc_id, metadata=dict(row.metadata)
        )
        if row.helpful is not None and name:
            last[name, row.person] = row.helpful
    votes: dict[str, Counter[bool]] = {}
    for (name, _), helpful in last.items():
        votes.setdefault(name, Counter())[helpful] += 1
    ratings: dict[str, tuple[int | None, int, Reason]] = {}
    for name, vote in votes.items():
        if vote.total() < people:
            continue
        if not vote[False]:
            ratings[name] = (1, vote[True], "rated relevant")
        elif not vote[True]:
            ratings[name] = (0, vote[False], "rated not relevant")
        else:
            ratings[name] = (None, vote.total(), "ratings disagree")
    return ratings


def _wording(rows: Iterable[Asked]) -> str:
    """How most people wrote the question; of equally frequent wordings the first."""
    return Counter(" ".join(row.query.split()) for row in rows).most_common(1)[0][0]

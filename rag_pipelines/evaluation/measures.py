"""Turns passages into a ranking of what was judged, and rankings into measures through ir_measures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rag_pipelines.core.types import Citation, Passage
from rag_pipelines.evaluation.qrels import Judgement
from rag_pipelines.evaluation.runs import Place
from rag_pipelines.evaluation.suites import Suite, name_of

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Ranking:
    """The places that the measures see, and the grade of every passage (None: it was not judged).

    A passage keeps its grade where what it holds already stands higher: only its place does not count again.
    """

    places: tuple[Place, ...]
    grades: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class AnswerSpan:
    """Relevant characters of one document, under the highest grade of the spans merged in it."""

    document: str
    start: int
    end: int
    grade: int

    @property
    def unit(self) -> str:
        """`doc:start-end`."""
        return f"{self.document}:{self.start}-{self.end}"


def rank(suite: Suite, query_id: str, passages: Sequence[Passage]) -> Ranking:
    """The ranking of one query's passages, which are in the order of their ranks.

    Judged by document, a document stands where its first passage does, and what follows moves up. Judged by
    passage, a hit overlaps a judged span by at least half of the shorter of the two. A passage that hits
    several spans takes a place for each; one that hits nothing new takes a place and is not relevant there.
    """
    judgements = suite.judgements.get(query_id, ())
    if suite.config.level == "document":
        return _rank_documents(suite, judgements, passages)
    return _rank_spans(suite, judgements, passages)


def _rank_documents(suite: Suite, judgements: Sequence[Judgement], passages: Sequence[Passage]) -> Ranking:
    judged = _grades_of_documents(judgements)
    places: dict[str, Place] = {}
    grades: list[int | None] = []
    for passage in passages:
        name = name_of(suite.config, passage)
        # A document that the judgements cannot name takes its place under its id.
        unit = passage.citation.doc_id if name is None else name
        places.setdefault(unit, Place(unit, passage.score))
        grades.append(None if name is None else judged.get(name))
    return Ranking(tuple(places.values()), tuple(grades))


def _rank_spans(suite: Suite, judgements: Sequence[Judgement], passages: Sequence[Passage]) -> Ranking:
    relevant = answers(judgements)
    places: dict[str, Place] = {}
    grades: list[int | None] = []
    for passage in passages:
        at, name = passage.citation, name_of(suite.config, passage)
        hit = [one for one in relevant if one.document == name and _hits(at, one.start, one.end)]
        refused = any(
            row.document == name
            and row.start is not None
            and row.end is not None
            and _hits(at, row.start, row.end)
            for row in judgements
        )
        grades.append(max((one.grade for one in hit), default=0 if refused else None))
        own = f"{at.doc_id if name is None else name}:{at.start}-{at.end}"
        for unit in [one.unit for one in hit if one.unit not in places] or [_unused(own, places)]:
            places[unit] = Place(unit, passage.score)
    return Ranking(tuple(places.values()), tuple(grades))


def _hits(at: Citation, start: int, end: int) -> bool:
    shared = min(at.end, end) - max(at.start, start)
    return shared > 0 and 2 * shared >= min(at.end - at.start, end - start)


def _unused(unit: str, places: Mapping[str, Place]) -> str:
    """A name that no place has, so that a repeat never counts as the answer itself."""
    candidate, number = unit, 1
    while candidate in places:
        number += 1
        candidate = f"{unit}#{number}"
    return candidate


def answers(judgements: Sequence[Judgement]) -> tuple[AnswerSpan, ...]:
    """The relevant spans, those that overlap merged: people mark one answer more or less widely."""
    merged: list[AnswerSpan] = []
    for row in sorted((row for row in judgements if row.grade > 0), key=_position):
        document, start, end = _position(row)
        last = merged[-1] if merged else None
        if last is not None and last.document == document and start < last.end:
            merged[-1] = AnswerSpan(document, last.start, max(last.end, end), max(last.grade, row.grade))
        else:
            merged.append(AnswerSpan(document, start, end, row.grade))
    return tuple(merged)


def _position(row: Judgement) -> tuple[str, int, int]:
    if row.start is None or row.end is None:
        raise ValueError(f"line {row.line} judges a document and no passage of it")
    return row.document, row.start, row.end


def judged_units(suite: Suite, query_id: str) -> dict[str, int]:
    """The grades of the query's documents, or of its answers, named as their places are."""
    judgements = suite.judgements.get(query_id, ())
    if suite.config.level == "document":
        return _grades_of_documents(judgements)
    return {answer.unit: answer.grade for answer in answers(judgements)}


def _grades_of_documents(judgements: Sequence[Judgement]) -> dict[str, int]:
    """Several judged passages of a document give it the highest of their grades."""
    grades: dict[str, int] = {}
    for row in judgements:
        grades[row.document] = max(row.grade, grades.get(row.document, row.grade))
    return grades


def score(suite: Suite, places: Mapping[str, Sequence[Place]]) -> dict[str, dict[str, float]]:
    """The suite's measures of every judged query; 0 where the query has no place.

    Places count in their order, whatever their scores: trec_eval would break ties by the documents' ids.
    """
    import ir_measures

    names = {ir_measures.parse_measure(name): name for name in suite.config.measures}
    qrels = [
        ir_measures.Qrel(query_id, unit, max(grade, 0))
        for query_id in suite.judged
        for unit, grade in judged_units(suite, query_id).items()
    ]
    run = [
        ir_measures.ScoredDoc(query_id, place.unit, float(-position))
        for query_id in suite.judged
        for position, place in enumerate(places.get(query_id, ()))
    ]
    values = {query_id: dict.fromkeys(suite.config.measures, 0.0) for query_id in suite.judged}
    if run:
        for metric in ir_measures.iter_calc(list(names), qrels, run):
            values[metric.query_id][names[metric.measure]] = float(metric.value)
    return values

"""From what was found to what an answer shows: unlike passages, whole sections, few of each document."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cache

from rag_pipelines.config.models import IndexConfig
from rag_pipelines.config.retrieval import ContextConfig
from rag_pipelines.core.filters import EVERYTHING, All, Condition, HasId, MatchAny, Not
from rag_pipelines.core.ids import content_hash
from rag_pipelines.index.points import DOC_ID, TEXT, TEXT_HASH
from rag_pipelines.retrieval.diversity import diverse
from rag_pipelines.retrieval.expansion import Section, TextOf, expand, folded, plain
from rag_pipelines.retrieval.grouping import Group, grouped
from rag_pipelines.retrieval.locations import Reach

ROUNDS = 5
"""Searches at most; each further one leaves out what was seen and the documents that have their share."""

Find = Callable[[Condition, int], list[Group]]
"""A further condition and a number of groups -> those, best first."""


def select(
    find: Find, k: int, reach: Reach, settings: ContextConfig, config: IndexConfig, text_of: TextOf
) -> list[Section]:
    """At most k sections, of the best `candidates` groups unless those are too few of them.

    The order is that of marginal relevance where `mmr_lambda` is below 1. A section that overlaps a better
    one joins it, one that says the same as a better one (`distinct`) is left out, and so is one whose document
    has its share.
    """
    limit = max(k, config.retrieval.candidates)
    read = cache(text_of)
    seen: list[Group] = []
    sections: list[Section] = []
    condition: Condition = EVERYTHING
    shown: list[Section] = []
    for _ in range(ROUNDS):
        found = _after(find(condition, limit), seen)
        seen += found
        rest = diverse(found, reach.reader, settings.mmr_lambda)
        while rest and len(shown) < k:
            batch, rest = rest[:k], rest[k:]
            if settings.expands:
                sections = folded([*sections, *expand(batch, reach, settings, read)])
            else:
                sections = [*sections, *map(plain, batch)]
            told = _distinct(sections, reach, config) if config.retrieval.distinct else sections
            shown = _shares(told, settings.per_document)
        if len(shown) >= k or len(found) < limit:
            break
        condition = _unseen(seen, shown, settings.per_document, distinct=config.retrieval.distinct)
    return shown[:k]


def _after(found: Sequence[Group], seen: Sequence[Group]) -> list[Group]:
    """Groups of a later round, none scored above the last one before: each round has a scale of its own."""
    if not seen:
        return list(found)
    highest = min(group.best.score for group in seen)
    return [Group(replace(group.best, score=min(group.best.score, highest)), group.others) for group in found]


def _unseen(
    seen: Sequence[Group], shown: Sequence[Section], per_document: int, *, distinct: bool
) -> Condition:
    """What a further round may find: other points, other texts, and documents without their share."""
    hits = [hit for group in seen for hit in (group.best, *(other for other, _ in group.others))]
    conditions: list[Condition] = [Not(HasId(tuple(sorted({hit.point_id for hit in hits}))))]
    if distinct:
        texts = tuple(sorted({hit.payload[TEXT_HASH] for hit in hits}))
        conditions.append(Not(MatchAny(TEXT_HASH, texts)))
    if per_document:
        counts = Counter(section.doc_id for section in shown)
        full = tuple(sorted(doc_id for doc_id, count in counts.items() if count >= per_document))
        conditions.append(Not(MatchAny(DOC_ID, full)))
    return All(tuple(conditions))


def _shares(sections: Iterable[Section], per_document: int) -> list[Section]:
    if not per_document:
        return list(sections)
    counts: Counter[str] = Counter()
    kept = []
    for section in sections:
        counts[section.doc_id] += 1
        if counts[section.doc_id] <= per_document:
            kept.append(section)
    return kept


def _distinct(sections: Sequence[Section], reach: Reach, config: IndexConfig) -> list[Section]:
    """Sections that say the same as a better one join its other places."""
    by_point = {section.group.best.point_id: section for section in sections}
    as_shown = [
        replace(
            section.group.best,
            payload={
                **section.group.best.payload,
                TEXT: section.text,
                TEXT_HASH: content_hash(section.text),
            },
        )
        for section in sections
    ]
    clusters = reach.clusters({section.doc_id for section in sections})
    kept = []
    for group in grouped(as_shown, clusters, config.dedup):
        own = by_point[group.best.point_id]
        others = [(by_point[hit.point_id].group.best, likeness) for hit, likeness in group.others]
        kept.append(replace(own, group=Group(own.group.best, [*own.group.others, *others])))
    return kept

"""Hits that say the same, as one: a text that was copied a hundred times takes one place of an answer."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from rag_pipelines.config.dedup import DedupConfig
from rag_pipelines.core.filters import All, MatchAny, Not
from rag_pipelines.core.ports import SearchRequest
from rag_pipelines.core.types import Hit
from rag_pipelines.dedup import Shingles, jaccard, shingle
from rag_pipelines.index.points import DOC_ID, TEXT, TEXT_HASH

OVERFETCH = 3
"""Hits asked of the engine for each passage wanted."""

FRUITLESS_ROUNDS = 4
"""Rounds without a new group that are put up with; each asks for twice as many hits as the one before."""


@dataclass(slots=True)
class Group:
    """The best hit of those that say the same, and the others, each with its similarity to the best one's text."""

    best: Hit
    others: list[tuple[Hit, float]] = field(default_factory=list)


def distinct(
    ask: Callable[[SearchRequest], list[Hit]],
    request: SearchRequest,
    clusters: Callable[[Collection[str]], Mapping[str, str]],
    settings: DedupConfig,
) -> list[Group]:
    """The `limit` best groups of a request, in one round unless few texts fill the engine's answer.

    Further rounds leave out the texts that were seen. Equal texts alone never make an answer short; of
    near-duplicates that differ from one another, some hundreds are looked through. `clusters` gives the
    clusters of those documents that lie in one, through documents that were found themselves. The engine's
    candidates are never fewer than the hits asked for in the first round, so that fused scores are those of
    a search without groups.
    """
    wanted, limit = request.limit, min(OVERFETCH * request.limit, request.candidates)
    hits: list[Hit] = []
    groups: list[Group] = []
    fruitless = 0
    asked = request
    while fruitless <= FRUITLESS_ROUNDS:
        found = ask(replace(asked, limit=limit))
        hits += capped(found, hits)
        known = clusters({hit.payload[DOC_ID] for hit in hits})
        before, groups = len(groups), grouped(hits, known, settings)
        if len(groups) >= wanted or len(found) < limit:
            break
        if len(groups) == before:
            fruitless, limit = fruitless + 1, 2 * limit
        seen = tuple(sorted({hit.payload[TEXT_HASH] for hit in hits}))
        asked = replace(request, condition=All((request.condition, Not(MatchAny(TEXT_HASH, seen)))))
    return groups[:wanted]


def grouped(hits: Sequence[Hit], clusters: Mapping[str, str], settings: DedupConfig) -> list[Group]:
    """Groups in the order of their best hits.

    Hits say the same where their texts are equal, or near-duplicates in two documents of one cluster: in a
    cluster, since a small difference matters between texts that nobody copied. Nearness is to the group's
    best, so that no chain of small differences joins what has little in common; texts of at most `ngram`
    words are near to nothing.
    """
    groups: list[Group] = []
    by_text: dict[str, tuple[Group, float]] = {}
    by_cluster: dict[str, list[tuple[Group, str]]] = {}
    shingles: dict[str, Shingles] = {}

    def similarity(one: Hit, other: Hit) -> float:
        for hit in (one, other):
            if hit.payload[TEXT_HASH] not in shingles:
                shingles[hit.payload[TEXT_HASH]] = shingle(hit.payload[TEXT], settings.ngram)
        a, b = shingles[one.payload[TEXT_HASH]], shingles[other.payload[TEXT_HASH]]
        return jaccard(a, b) if min(a.size, b.size) > 1 else 0.0

    def nearest(hit: Hit, of_cluster: Sequence[tuple[Group, str]]) -> tuple[Group, float] | None:
        for group, doc_id in of_cluster:
            if doc_id != hit.payload[DOC_ID]:
                found = similarity(group.best, hit)
                if found >= settings.threshold:
                    return group, found
        return None

    for hit in hits:
        text, doc_id = hit.payload[TEXT_HASH], hit.payload[DOC_ID]
        cluster = clusters.get(doc_id)
        of_cluster = by_cluster.setdefault(cluster, []) if cluster is not None else []
        place = by_text.get(text) or nearest(hit, of_cluster)
        if place is None:
            place = (Group(hit), 1.0)
            groups.append(place[0])
        else:
            place[0].others.append((hit, place[1]))
        by_text.setdefault(text, place)
        if text == place[0].best.payload[TEXT_HASH]:
            of_cluster.append((place[0], doc_id))
    return groups


def capped(found: Sequence[Hit], after: Sequence[Hit]) -> list[Hit]:
    """Hits of a later round, none scored above the last one before: each round has scores of its own scale."""
    if not after:
        return list(found)
    highest = after[-1].score
    return [replace(hit, score=min(hit.score, highest)) for hit in found]

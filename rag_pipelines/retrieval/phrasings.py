"""Several phrasings of one question, and one ranking out of theirs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import zip_longest

import numpy as np

from rag_pipelines.config.query import PhrasingsConfig
from rag_pipelines.core.ports import SearchRequest
from rag_pipelines.core.types import Hit
from rag_pipelines.retrieval.fusion import Ask, reciprocal
from rag_pipelines.retrieval.synonyms import WORD, Expansion

Dropped = Callable[[str], bool]


def phrasings(
    question: str,
    expansions: Sequence[Expansion],
    rewritten: Sequence[str],
    dropped: Dropped,
    settings: PhrasingsConfig,
) -> tuple[str, ...]:
    """Other phrasings, none twice and none the question itself; one of each source in turn, in their order."""
    made = {
        "synonyms": with_synonyms(question, expansions),
        "keywords": [keywords(question, dropped)],
        "rewriting": list(rewritten),
    }
    turns = zip_longest(*(made[source] for source in settings.sources))
    found = dict.fromkeys(
        text for turn in turns for text in turn if text and text.strip() != question.strip()
    )
    return tuple(found)[: settings.most]


def with_synonyms(question: str, expansions: Sequence[Expansion]) -> list[str]:
    """The question with the first synonym of every phrase in place, then with the second, and so on."""
    most = max((len(expansion.synonyms) for expansion in expansions), default=0)
    found = []
    for number in range(most):
        text = question
        for expansion in reversed(expansions):
            other = expansion.synonyms[min(number, len(expansion.synonyms) - 1)]
            text = text[: expansion.start] + other + text[expansion.end :]
        found.append(text)
    return found


def keywords(question: str, dropped: Dropped) -> str:
    """The words of the question that are no function words, which `dropped` knows in lower case."""
    return " ".join(
        word for word in question.split() if any(not dropped(w.lower()) for w in WORD.findall(word))
    )


def fusing_phrasings(ask: Ask, others: Sequence[SearchRequest], rrf_k: int) -> Ask:
    """`ask` for the question and the other requests, their rankings fused by reciprocal rank; equal sums by id.

    What the request of a call carries besides its vectors (condition, limit) holds for all of them.
    """
    if not others:
        return ask

    def many(request: SearchRequest) -> list[Hit]:
        depth = max(request.candidates, request.limit)
        total: dict[str, float] = {}
        hits: dict[str, Hit] = {}
        for vectors in (request, *others):
            found = ask(replace(request, dense=vectors.dense, sparse=vectors.sparse, limit=depth))
            for hit, score in zip(found, reciprocal(np.zeros(len(found)), rrf_k), strict=True):
                total[hit.point_id] = total.get(hit.point_id, 0.0) + float(score)
                hits.setdefault(hit.point_id, hit)
        order = sorted(total, key=lambda point_id: (-total[point_id], point_id))
        return [replace(hits[point_id], score=total[point_id]) for point_id in order[: request.limit]]

    return many

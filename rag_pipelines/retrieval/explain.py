"""Why a passage stands where it does: its score and rank in each half of the search, fused, and reranked.

The halves are asked for anew, with the vectors of the answered request, so explaining changes no answer and costs
an ordinary search nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rag_pipelines.config.retrieval import Weights
from rag_pipelines.core.ports import SearchRequest
from rag_pipelines.core.types import Hit
from rag_pipelines.retrieval.fusion import Ask, fused, halves
from rag_pipelines.retrieval.rerank import passage_text

Terms = Callable[[str], Sequence[str]]


@dataclass(frozen=True, slots=True)
class Placed:
    """A score of one ranking and the rank it gave, from 1. Ranks count what grouping joins to one passage apart."""

    score: float
    rank: int


@dataclass(frozen=True, slots=True)
class Explanation:
    """Of one passage; None where a ranking does not hold it within its depth, or was not made.

    `matched` are the analyzed terms that question and passage share, in the question's order.
    """

    dense: Placed | None
    sparse: Placed | None
    fused: Placed | None
    rerank: Placed | None
    matched: tuple[str, ...]


def explain(
    ask: Ask,
    request: SearchRequest,
    weights: Weights,
    query: str,
    final: Sequence[Hit],
    terms: Terms | None,
    *,
    reranked: bool,
) -> list[Explanation]:
    """One explanation for each hit of the final order; `request` is the one that found them, `ask` the engine's.

    A search of one half alone has no fused ranking. `reranked` says that the hits' own scores are a reranker's.
    """
    dense, sparse, both = _rankings(ask, request, weights)
    last = _placed(final) if reranked else {}
    asked = tuple(dict.fromkeys(terms(query))) if terms is not None else ()
    found = []
    for hit in final:
        own = frozenset(terms(passage_text(hit))) if terms is not None else frozenset()
        found.append(
            Explanation(
                dense.get(hit.point_id),
                sparse.get(hit.point_id),
                both.get(hit.point_id),
                last.get(hit.point_id),
                tuple(term for term in asked if term in own),
            )
        )
    return found


def _rankings(
    ask: Ask, request: SearchRequest, weights: Weights
) -> tuple[Mapping[str, Placed], Mapping[str, Placed], Mapping[str, Placed]]:
    if request.dense is not None and request.sparse is not None:
        dense, sparse = halves(ask, request)
        return _placed(dense), _placed(sparse), _placed(fused(dense, sparse, request, weights))
    alone = _placed(ask(request))
    return (alone, {}, {}) if request.dense is not None else ({}, alone, {})


def _placed(hits: Sequence[Hit]) -> dict[str, Placed]:
    return {hit.point_id: Placed(float(hit.score), rank) for rank, hit in enumerate(hits, start=1)}

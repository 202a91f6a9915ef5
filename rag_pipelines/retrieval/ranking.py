"""From a question to groups of passages in their final order; `Searcher` adds who asks and where it stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rag_pipelines.config.models import IndexConfig
from rag_pipelines.core.filters import Condition
from rag_pipelines.core.ports import SearchRequest
from rag_pipelines.core.stages import stage
from rag_pipelines.core.types import FloatArray, Hit
from rag_pipelines.retrieval.encoding import QueryEncoder
from rag_pipelines.retrieval.explain import Explanation, explain
from rag_pipelines.retrieval.feedback import with_feedback
from rag_pipelines.retrieval.fusion import Ask, fusing
from rag_pipelines.retrieval.grouping import Group, distinct
from rag_pipelines.retrieval.locations import Reach
from rag_pipelines.retrieval.phrasings import fusing_phrasings
from rag_pipelines.retrieval.rerank import Reranker, Reranking, rerank
from rag_pipelines.retrieval.synonyms import Expansion
from rag_pipelines.retrieval.understanding import Understanding, expanded


@dataclass(frozen=True, slots=True)
class Ranked:
    """The groups best first, the request that found them, and what the reranker did, where there is one.

    `understanding` is what was asked instead of the question, where that is configured.
    """

    groups: list[Group]
    request: SearchRequest
    reranking: Reranking | None = None
    understanding: Understanding | None = None


def rank(
    reach: Reach,
    encoder: QueryEncoder,
    query: str,
    k: int,
    condition: Condition,
    config: IndexConfig,
    reranker: Reranker | None,
    understood: Understanding | None = None,
) -> Ranked:
    """At most k groups: encode what was understood, draw towards the first finds, fuse, make distinct, rerank."""
    retrieval = config.retrieval
    query = understood.question if understood is not None else query
    plain = fusing(_staged(reach.reader.search), retrieval.weights)

    def drawn(text: str, expansions: Sequence[Expansion] = ()) -> SearchRequest:
        request = to_request(encoder, text, k, condition, config, expansions)
        return with_feedback(plain, reach.reader, request, retrieval.feedback)

    request = drawn(query, understood.expansions if understood else ())
    ask = plain
    if understood is not None and retrieval.query.phrasings is not None:
        others = [drawn(text) for text in understood.phrasings]
        ask = fusing_phrasings(plain, others, retrieval.query.phrasings.rrf_k)
    if reranker is None or retrieval.rerank is None:
        return Ranked(_groups(ask, reach, request, config), request, None, understood)
    wide = replace(request, limit=max(k, retrieval.rerank.top_n))
    found = _groups(ask, reach, wide, config)
    with stage("rerank", {"gen_ai.request.model": retrieval.rerank.model}) as span:
        groups, reranking = rerank(reranker, query, found, retrieval.rerank)
        span.set_attribute("rag.rerank.passages", reranking.passages)
        span.set_attribute("rag.rerank.applied", reranking.applied)
    return Ranked(groups[:k], wide, reranking, understood)


def explanations(
    ranked: Ranked, reach: Reach, encoder: QueryEncoder, query: str, config: IndexConfig
) -> tuple[Explanation, ...]:
    """Where each ranking put the passages of an answer, and which terms they share with the question.

    Of several phrasings it tells of the first, the question's own.
    """
    if ranked.understanding is not None:
        query = ranked.understanding.question
    return tuple(
        explain(
            reach.reader.search,
            ranked.request,
            config.retrieval.weights,
            query,
            [group.best for group in ranked.groups],
            encoder.sparse.terms if encoder.sparse is not None else None,
            reranked=ranked.reranking is not None and ranked.reranking.applied,
        )
    )


def to_request(
    encoder: QueryEncoder,
    query: str,
    k: int,
    condition: Condition,
    config: IndexConfig,
    expansions: Sequence[Expansion] = (),
) -> SearchRequest:
    """The engine's request for a question, in the mode that the index is configured for."""
    retrieval = config.retrieval
    synonyms = retrieval.query.synonyms
    use_dense = retrieval.mode in ("hybrid", "dense")
    sparse = encoder.sparse if retrieval.mode in ("hybrid", "sparse") else None
    terms = sparse.encode_query(query) if sparse is not None else None
    read = query
    if synonyms is not None and expansions:
        if sparse is not None and terms is not None:
            terms = expanded(terms, expansions, sparse, synonyms.weight)
        if synonyms.dense:
            read = " ".join((query, *(other for found in expansions for other in found.synonyms)))
    return SearchRequest(
        limit=k,
        dense=_embedded(encoder, read) if use_dense else None,
        sparse=terms,
        condition=condition,
        fusion=retrieval.fusion,
        candidates=max(retrieval.candidates, k),
        rrf_k=retrieval.rrf_k,
    )


def _embedded(encoder: QueryEncoder, text: str) -> FloatArray:
    with stage("embed", {"gen_ai.operation.name": "embeddings"}) as span:
        embedder = encoder.embedder()
        span.set_attribute("gen_ai.request.model", embedder.description)
        return embedder.embed_query(text)


def _staged(ask: Ask) -> Ask:
    """The engine's search, each call of it a stage."""

    def staged(request: SearchRequest) -> list[Hit]:
        with stage("search", {"db.operation.name": "search", "rag.limit": request.limit}) as span:
            hits = ask(request)
            span.set_attribute("db.response.returned_rows", len(hits))
            return hits

    return staged


def _groups(ask: Ask, reach: Reach, request: SearchRequest, config: IndexConfig) -> list[Group]:
    if config.retrieval.distinct:
        return distinct(ask, request, reach.clusters, config.dedup)
    return [Group(hit) for hit in ask(request)]

"""One search of the service, for every route that searches: limits, the search itself, what is remembered of it."""

from __future__ import annotations

from fastapi import HTTPException
from starlette.datastructures import MutableHeaders

from rag_pipelines.retrieval.result import SearchResult
from rag_pipelines.service.asking import Asker
from rag_pipelines.service.caching import HEADER
from rag_pipelines.service.observing import seen
from rag_pipelines.service.parts import Parts
from rag_pipelines.service.remembering import remember_search
from rag_pipelines.service.schemas import SearchBody
from rag_pipelines.service.tenancy import index_for


def search_index(
    parts: Parts, asker: Asker, index: str, body: SearchBody, headers: MutableHeaders | None = None
) -> SearchResult:
    """What the asker may read of an index; `headers` of the response are told whether it was kept.

    Raises HTTPException and what `Searcher.search` raises.
    """
    noting = seen()
    noting.says(body.query)
    service = parts.configuration.service
    if len(body.query) > service.max_query_chars:
        raise HTTPException(422, f"query: is longer than {service.max_query_chars} characters")
    if body.k > service.max_k:
        raise HTTPException(422, f"k: must be at most {service.max_k}")
    index = index_for(parts, asker.principal, index)
    variant = parts.variants.choose(index, asker.principal, asker.request)
    noting.searches(index, variant.name if variant is not None else None)

    def search() -> SearchResult:
        return parts.searchers.get(index).search(
            body.query,
            body.k,
            asker.principal,
            body.filters,
            body.version,
            explained=body.explain,
            options=body.options(),
            passages_when_unanswerable=body.passages_when_unanswerable,
            variant=variant,
        )

    told = variant.fingerprint if variant is not None else ""
    result, kept = parts.cache.cached(asker.principal, index, body, search, told)
    if headers is not None:
        headers[HEADER] = "hit" if kept else "miss"
    if parts.cache.memory is not None:
        parts.metrics.looked_up("results", hit=kept)
    parts.metrics.searched(result, asker.principal.tenant)
    remember_search(parts, asker, index, body.query, result)
    return result


def documents_of(result: SearchResult) -> list[str]:
    """Ids of the documents whose passages were returned, best first, each once."""
    return list(dict.fromkeys(passage.citation.doc_id for passage in result.passages))

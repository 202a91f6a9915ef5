"""What is remembered of a search."""

from __future__ import annotations

from rag_pipelines.catalog.searches import Search
from rag_pipelines.catalog.store import now
from rag_pipelines.core.events import Event
from rag_pipelines.retrieval.result import SearchResult
from rag_pipelines.service.asking import Asker
from rag_pipelines.service.parts import Parts


def remember_search(parts: Parts, asker: Asker, index: str, query: str, result: SearchResult) -> None:
    """A line of the audit log and a row of the searches, in one transaction.

    Raises CatalogError where that is not possible: what nobody will know of is not answered.
    """
    who = asker.principal
    citations = [(passage.citation, passage.rank) for passage in result.passages]
    documents = dict.fromkeys(citation.doc_id for citation, _ in citations)
    places = dict.fromkeys(place.doc_id for passage in result.passages for place in passage.locations)
    details = {
        "version": result.version,
        "passages": len(citations),
        "documents": list(documents),
        "locations": [doc_id for doc_id in places if doc_id not in documents],
        "answerable": result.answerable,
        "variant": result.variant,
    }
    event = Event("search", asker.actor, index, who.tenant, asker.credential, asker.request, details)
    search = Search(
        asker.request,
        now(),
        index,
        result.version,
        who.tenant,
        who.subject,
        tuple((citation.chunk_id, citation.doc_id, rank) for citation, rank in citations),
        result.variant,
        query,
        answerable=result.answerable,
    )
    parts.memory.searched(event, search)

"""The routes to documents: a list, one with its text, suggestions while typing, and counts by value."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, HTTPException, Path, Query, Request

from rag_pipelines.core.errors import BlobError
from rag_pipelines.core.events import Event
from rag_pipelines.retrieval.documents import list_documents, read_document
from rag_pipelines.retrieval.facets import count_values
from rag_pipelines.retrieval.filters import Wanted
from rag_pipelines.service.asking import Asker, Guarded
from rag_pipelines.service.document_schemas import (
    DocumentBody,
    DocumentList,
    FacetBody,
    FacetsAnswer,
    FacetsBody,
    ListedBody,
    SuggestionBody,
    SuggestionList,
    WithheldBody,
)
from rag_pipelines.service.indexes import PROBLEMS, IndexName, Searching
from rag_pipelines.service.parts import Parts, parts_of
from rag_pipelines.service.problems import described
from rag_pipelines.service.tenancy import index_for

router = APIRouter(route_class=Guarded)
Version = Annotated[
    int | None, Query(ge=1, description="A published version instead of the live one.", examples=[7])
]


@router.get("/v1/indexes/{index}/documents", summary="Documents of an index", responses=PROBLEMS)
def documents(
    index: IndexName,
    request: Request,
    asker: Searching,
    source: Annotated[list[str] | None, Query(description="Only of these sources.")] = None,
    prefix: Annotated[str, Query(max_length=4096, description="Only uris that begin with this.")] = "",
    limit: Annotated[int, Query(ge=1, le=200, description="Documents of a page at most.")] = 50,
    cursor: Annotated[str | None, Query(max_length=100, description="`next` of the page before.")] = None,
    version: Version = None,
) -> DocumentList:
    """The documents that the asker may read, in an order that is the same for every page of a version."""
    parts = parts_of(request)
    index = index_for(parts, asker.principal, index)
    filters: dict[str, Wanted] = {} if source is None else {"source": source}
    searcher = parts.searchers.get(index)
    page = list_documents(searcher, asker.principal, filters, prefix, limit, cursor, version)
    _remember(parts, asker, "list", index, page.version, [listed.doc_id for listed in page.documents])
    return DocumentList(
        index=index,
        version=page.version,
        documents=[ListedBody(**asdict(listed)) for listed in page.documents],
        next=page.next,
    )


@router.get(
    "/v1/indexes/{index}/documents/{doc_id}",
    summary="A document with its text",
    responses={**PROBLEMS, 404: described("No such index, version or document, or not for the asker")},
)
def document(
    index: IndexName,
    doc_id: Annotated[str, Path(description="The doc_id of a citation")],
    request: Request,
    asker: Searching,
    version: Version = None,
) -> DocumentBody:
    """What the document said in the version. One that the asker may not read is not there."""
    parts = parts_of(request)
    index = index_for(parts, asker.principal, index)
    try:
        found = read_document(parts.searchers.get(index), asker.principal, _id(doc_id), version)
    except BlobError as error:
        raise HTTPException(
            503,
            "the stored text of this document cannot be read; `rag-pipelines reconcile` looks for the reason",
        ) from error
    _remember(parts, asker, "read", index, found.version, [doc_id])
    return DocumentBody(
        **asdict(found.listed),
        **found.facts,
        index=index,
        version=found.version,
        metadata=dict(found.metadata),
        text=found.text,
        withheld=[WithheldBody(**asdict(gap)) for gap in found.withheld],
    )


@router.get("/v1/indexes/{index}/suggestions", summary="Complete what is typed", responses=PROBLEMS)
def suggestions(
    index: IndexName,
    request: Request,
    asker: Searching,
    prefix: Annotated[str, Query(min_length=1, max_length=200, description="What was typed so far.")],
    limit: Annotated[int, Query(ge=1, le=100, description="Suggestions at most.")] = 10,
    version: Version = None,
) -> SuggestionList:
    """Titles and headings that begin so, of documents that the asker may read."""
    parts = parts_of(request)
    index = index_for(parts, asker.principal, index)
    searcher = parts.searchers.get(index)
    found = parts.suggestions.find(searcher, asker.principal, prefix, limit, version)
    return SuggestionList(
        index=index,
        version=found.version,
        suggestions=[SuggestionBody(**asdict(one)) for one in found.suggestions],
        complete=found.complete,
    )


@router.post("/v1/indexes/{index}/facets", summary="Count values of fields", responses=PROBLEMS)
def facets(index: IndexName, body: FacetsBody, request: Request, asker: Searching) -> FacetsAnswer:
    """How often each value occurs among what the asker may read and the filters let through."""
    parts = parts_of(request)
    index = index_for(parts, asker.principal, index)
    found = count_values(
        parts.searchers.get(index),
        asker.principal,
        body.fields,
        body.filters,
        body.limit,
        body.version,
        of_documents=body.unit == "documents",
    )
    return FacetsAnswer(
        index=index,
        version=found.version,
        total=found.total,
        unit=body.unit,
        facets={
            name: [FacetBody(value=value, count=count) for value, count in values]
            for name, values in found.fields.items()
        },
        cut=list(found.cut),
    )


def _id(doc_id: str) -> str:
    """As points have it; what is no id of a document stays, and is found nowhere."""
    try:
        return str(UUID(doc_id))
    except ValueError:
        return ascii(doc_id)


def _remember(
    parts: Parts, asker: Asker, action: str, index: str, version: int, documents: list[str]
) -> None:
    details = {"version": version, "documents": documents}
    parts.audit(
        Event(action, asker.actor, index, asker.principal.tenant, asker.credential, asker.request, details)
    )

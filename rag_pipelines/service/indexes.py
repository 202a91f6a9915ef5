"""The routes that product teams call: search, and which indexes there are."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request, Response

from rag_pipelines.catalog import versions
from rag_pipelines.service.asking import Asker, Guarded, needs
from rag_pipelines.service.parts import parts_of
from rag_pipelines.service.problems import described
from rag_pipelines.service.schemas import IndexBody, IndexList, SearchAnswer, SearchBody
from rag_pipelines.service.searching import search_index
from rag_pipelines.service.standing import totals_of
from rag_pipelines.service.tenancy import indexes_for

router = APIRouter(route_class=Guarded)
PROBLEMS: dict[int | str, dict[str, Any]] = {
    400: described("Unknown filter field, or a body that cannot be read"),
    404: described("No such index or version"),
    503: described("Nothing published yet, the engine cannot be reached, or too many requests at once"),
}
IndexName = Annotated[str, Path(description="Name of the index", examples=["knowledge"])]
Searching = Annotated[Asker, Depends(needs("search"))]


@router.post(
    "/v1/indexes/{index}/search",
    responses=PROBLEMS,
    response_model_exclude_unset=True,
    summary="Search an index",
)
def search(
    index: IndexName, body: SearchBody, request: Request, response: Response, asker: Searching
) -> SearchAnswer:
    """The best passages for a query that the principal may read, each with its citation."""
    result = search_index(parts_of(request), asker, index, body, response.headers)
    return SearchAnswer.model_validate(result.as_json())


@router.get("/v1/indexes", summary="List indexes")
def indexes(request: Request, asker: Searching) -> IndexList:
    """Every index that there is for the asker and its live version, with how much of it the asker may read."""
    parts = parts_of(request)
    catalog = parts.searchers.catalog
    found = []
    for name in indexes_for(parts, asker.principal):
        live = versions.pointer(catalog, name)
        rows = {row["number"]: row for row in versions.versions_of(catalog, name)}
        row = rows.get(live.version) if live else None
        totals = totals_of(parts, name, asker.principal) if live else None
        found.append(
            IndexBody(
                index=name,
                description=parts.configuration.indexes[name].description,
                version=live.version if live else None,
                published_at=row["published_at"] if row else None,
                documents=totals.documents if totals else None,
                chunks=totals.chunks if totals else None,
            )
        )
    return IndexList(indexes=found)

"""The pages for those who own sources: how fresh, what was refused, what waits, and to do one again."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from rag_pipelines.catalog.store import Catalog
from rag_pipelines.catalog.troubles import held_documents, refused_documents
from rag_pipelines.core.errors import EngineError, NotPublished
from rag_pipelines.core.types import Principal
from rag_pipelines.governance.access import may_read
from rag_pipelines.service import pages_api
from rag_pipelines.service.asking import Asker, Guarded, needs
from rag_pipelines.service.pages import Form
from rag_pipelines.service.pages_frame import own_form
from rag_pipelines.service.pages_render import age, page
from rag_pipelines.service.parts import parts_of
from rag_pipelines.service.tenancy import indexes_for

router = APIRouter(prefix="/pages/sources", include_in_schema=False, route_class=Guarded)
SHOWN = 50
"""Rows of a list on the page; the rest is counted."""

Watching = Annotated[Asker, Depends(needs("status"))]
Reindexing = Annotated[Asker, Depends(needs("reindex"))]
SourceName = Annotated[str, Path()]


@router.get("")
async def sources_page(request: Request, asker: Watching) -> Response:
    """Every source that the asker may know of, and the versions of every index."""
    parts = parts_of(request)
    found = (await pages_api.call("sources", request, asker))["sources"]
    counts = await _counts(request, asker)
    for source in found:
        source["freshness"] = freshness(source)
        source["documents"] = counts.get(source["source"])
        trouble = await run_in_threadpool(
            _trouble, parts.searchers.catalog, asker.principal, source["source"]
        )
        source.update(trouble)
    versions = [
        await pages_api.call("versions", request, asker, index=name)
        for name in indexes_for(parts, asker.principal)
    ]
    reindexing = pages_api.offers(asker, "reindex")
    return page("sources.html.jinja", asker=asker, sources=found, versions=versions, reindexing=reindexing)


@router.post("/{source}/reindex", dependencies=[Depends(own_form)])
async def reindex_page(request: Request, asker: Reindexing, source: SourceName, form: Form) -> Response:
    """Asks for it, and leads to what becomes of it."""
    body = {"uri_prefix": form.get("uri_prefix", "").strip(), "force": form.get("force") == "yes"}
    made = await pages_api.call("reindex", request, asker, body, source=source)
    return RedirectResponse(f"{request.url.path}/{made['id']}", 303)


@router.get("/{source}/reindex/{number}")
async def reindex_status_page(
    request: Request, asker: Reindexing, source: SourceName, number: int
) -> Response:
    """What became of a request; it looks again by itself for as long as nothing has."""
    found = await pages_api.call("show_reindex", request, asker, source=source, number=number)
    return page("reindex.html.jinja", asker=asker, found=found)


def freshness(source: dict[str, Any]) -> dict[str, Any]:
    """How old the last sync is against what was promised: fresh, late, broken, unknown, or without a promise."""
    warn, fail = source["warn_after_seconds"], source["fail_after_seconds"]
    if source["synced_at"] is None:
        return {"state": "unknown", "words": "never synced", "age": None}
    seconds = age(source["synced_at"])
    if fail is None and warn is None:
        return {"state": "none", "words": "no promise", "age": seconds}
    if fail is not None and seconds > fail:
        return {"state": "broken", "words": "promise broken", "age": seconds}
    if warn is not None and seconds > warn:
        return {"state": "late", "words": "late", "age": seconds}
    return {"state": "fresh", "words": "fresh", "age": seconds}


async def _counts(request: Request, asker: Asker) -> dict[str, int]:
    """Source -> documents that the asker may read in the live versions, where the service counts them."""
    if not pages_api.offers(asker, "facets"):
        return {}
    found: dict[str, int] = {}
    body = {"fields": ["source"], "unit": "documents", "limit": 1000}
    for index in indexes_for(parts_of(request), asker.principal):
        try:
            answer = await pages_api.call("facets", request, asker, body, index=index)
        except (EngineError, NotPublished):
            continue
        for value in answer["facets"]["source"]:
            found[value["value"]] = max(found.get(value["value"], 0), value["count"])
    return found


def _trouble(catalog: Catalog, principal: Principal, source: str) -> dict[str, Any]:
    """Of documents that the principal may read; the others are not counted either."""
    refused = [row for row in refused_documents(catalog, source) if may_read(principal, row.access)]
    held = [row for row in held_documents(catalog, source) if may_read(principal, row.access)]
    return {
        "quarantine": refused[:SHOWN],
        "quarantined": len(refused),
        "held": held[:SHOWN],
        "holding": len(held),
    }

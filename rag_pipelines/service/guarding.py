"""That every route asks for a credential, and what the OpenAPI document says of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from fastapi.responses import HTMLResponse, JSONResponse

from rag_pipelines.config.auth import AuthConfig
from rag_pipelines.config.service import ServiceConfig
from rag_pipelines.service.asking import Asker, Guarded, Needs, needs_credential, needs_of
from rag_pipelines.service.problems import described

OPEN = {"/healthz", "/readyz"}
"""Paths that machines ask without a credential."""

SCHEME = {
    "type": "http",
    "scheme": "bearer",
    "description": "An API key (`rag_...`), or a token of a configured issuer (JWT).",
}
REFUSALS = {
    "401": described("No credential, or one that is not valid"),
    "403": described("The credential lacks the scope, or entitles to nothing"),
}
TOO_OFTEN = {"429": described("Asked too often; `Retry-After` says when to ask again")}

docs_router = APIRouter(route_class=Guarded, include_in_schema=False)
Somebody = Annotated[Asker, Depends(needs_credential)]


def app_options(auth: AuthConfig) -> dict[str, Any]:
    """For FastAPI itself: its own pages ask for no credential, so they are left out where one is needed."""
    if _is_open(auth):
        return {}
    return {"openapi_url": None, "docs_url": None, "redoc_url": None}


def guard(app: FastAPI, routers: Sequence[APIRouter], service: ServiceConfig) -> None:
    """Add the pages about the API, and to these the bearer scheme and what refuses callers, where anything does.

    Raises ValueError for a route that somebody forgot to guard: better no service than an open one.
    """
    forgotten = list(unguarded(routers))
    if forgotten:
        raise ValueError(
            f"routes that ask for no credential: {', '.join(forgotten)}; give them needs(...), and their router "
            "route_class=Guarded"
        )
    if not _is_open(service.auth):
        app.include_router(docs_router)
    authenticated, limits = service.auth.mode != "none", service.limits
    refusals: dict[str, Any] = dict(REFUSALS) if authenticated else {}
    if authenticated or limits.per_credential is not None or limits.per_tenant is not None:
        refusals |= TOO_OFTEN
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            for operation, needed in _guarded(plain(), routers):
                operation["responses"].update(refusals)
                if authenticated:
                    _secure(operation, needed)
            if authenticated:
                plain().setdefault("components", {})["securitySchemes"] = {"bearer": SCHEME}
        return plain()

    app.openapi = openapi  # type: ignore[method-assign]


def unguarded(routers: Sequence[APIRouter]) -> Iterator[str]:
    """The paths that whoever has no credential could use, or could have a body read for."""
    for router in routers:
        for route in router.routes:
            path = str(getattr(route, "path", route))
            if path not in OPEN and not (isinstance(route, Guarded) and needs_of(route.dependant)):
                yield path


@docs_router.get("/openapi.json")
def openapi_document(request: Request, asker: Somebody) -> JSONResponse:
    """What the service can be asked."""
    return JSONResponse(request.app.openapi())


@docs_router.get("/docs")
def swagger_page(request: Request, asker: Somebody) -> HTMLResponse:
    """The same as a page."""
    return get_swagger_ui_html(openapi_url="/openapi.json", title=request.app.title)


@docs_router.get("/redoc")
def redoc_page(request: Request, asker: Somebody) -> HTMLResponse:
    """The same as another page."""
    return get_redoc_html(openapi_url="/openapi.json", title=request.app.title)


def _is_open(auth: AuthConfig) -> bool:
    return auth.mode == "none" or auth.public_docs


def _guarded(
    document: dict[str, Any], routers: Sequence[APIRouter]
) -> Iterator[tuple[dict[str, Any], list[Needs]]]:
    """Operations of the document, and what each needs."""
    for router in routers:
        for route in router.routes:
            if not isinstance(route, Guarded) or not (needed := needs_of(route.dependant)):
                continue
            for method in route.methods or ():
                operation = document["paths"].get(route.path_format, {}).get(method.lower())
                if operation is not None:
                    yield operation, needed


def _secure(operation: dict[str, Any], needed: Sequence[Needs]) -> None:
    scopes = ", ".join(f"`{need.scope}`" for need in needed if need.scope)
    operation["security"] = [{"bearer": []}]
    told = f"{operation.get('description', '')}\n\nNeeds the scope {scopes}."
    operation["description"] = told.strip()

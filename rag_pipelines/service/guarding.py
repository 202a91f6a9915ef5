"""That every route asks for a credential, and what the OpenAPI document says of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.dependencies.models import Dependant
from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.routing import APIRoute

from rag_pipelines.config.auth import AuthConfig
from rag_pipelines.service.asking import Asker, Needs, needs_credential
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

docs_router = APIRouter(include_in_schema=False)
Somebody = Annotated[Asker, Depends(needs_credential)]


def app_options(auth: AuthConfig) -> dict[str, Any]:
    """For FastAPI itself: its own pages ask for no credential, so they are left out where one is needed."""
    if _is_open(auth):
        return {}
    return {"openapi_url": None, "docs_url": None, "redoc_url": None}


def guard(app: FastAPI, routers: Sequence[APIRouter], auth: AuthConfig) -> None:
    """Add the pages about the API, and the bearer scheme where credentials are asked for.

    Raises ValueError for a route that somebody forgot to guard: better no service than an open one.
    """
    forgotten = list(unguarded(routers))
    if forgotten:
        raise ValueError(f"routes that ask for no credential: {', '.join(forgotten)}; give them needs(...)")
    if auth.mode == "none":
        return
    if not _is_open(auth):
        app.include_router(docs_router)
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        document = plain()
        if "securitySchemes" not in document.setdefault("components", {}):
            _secure(document, routers)
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def unguarded(routers: Sequence[APIRouter]) -> Iterator[str]:
    """The paths that whoever has no credential could use."""
    for router in routers:
        for route in router.routes:
            path = str(getattr(route, "path", route))
            if path not in OPEN and not (isinstance(route, APIRoute) and _needs(route.dependant)):
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


def _needs(dependant: Dependant) -> list[Needs]:
    """What a route needs, itself or through what it depends on."""
    own = [dependant.call] if isinstance(dependant.call, Needs) else []
    return own + [found for part in dependant.dependencies for found in _needs(part)]


def _secure(document: dict[str, Any], routers: Sequence[APIRouter]) -> None:
    document["components"]["securitySchemes"] = {"bearer": SCHEME}
    for router in routers:
        for route in router.routes:
            if not isinstance(route, APIRoute) or not (needed := _needs(route.dependant)):
                continue
            scopes = ", ".join(f"`{need.scope}`" for need in needed if need.scope)
            for method in route.methods or ():
                operation = document["paths"].get(route.path_format, {}).get(method.lower())
                if operation is not None:
                    operation["security"] = [{"bearer": []}]
                    operation["responses"].update(REFUSALS)
                    operation["description"] = (
                        f"{operation.get('description', '')}\n\nNeeds the scope {scopes}."
                    ).strip()

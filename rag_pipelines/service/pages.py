"""The pages for people: search and answers, documents at the place that is cited, and signing in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import parse_qsl

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Path, Query, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from rag_pipelines.config.service import ServiceConfig
from rag_pipelines.core.errors import RagPipelinesError
from rag_pipelines.service import pages_api
from rag_pipelines.service.asking import Asker, Guarded, needs
from rag_pipelines.service.hosts import is_local
from rag_pipelines.service.page_filters import filters_of
from rag_pipelines.service.page_text import pieces
from rag_pipelines.service.pages_frame import (
    COOKIE,
    CREDENTIAL,
    PREFIX,
    PageFrame,
    own_form,
    sign_in_page,
)
from rag_pipelines.service.pages_render import STATIC, asset, page
from rag_pipelines.service.parts import Parts, parts_of
from rag_pipelines.service.problems import answered
from rag_pipelines.service.schemas import SearchBody
from rag_pipelines.service.searching import search_index
from rag_pipelines.service.tenancy import index_for, indexes_for

router = APIRouter(prefix="/pages", include_in_schema=False, route_class=Guarded)
open_router = APIRouter(include_in_schema=False)
"""Asked without a credential: how to give one, and files that hold nothing of anybody's."""

Searching = Annotated[Asker, Depends(needs("search"))]
Telling = Annotated[Asker, Depends(needs("feedback"))]


async def form_of(request: Request) -> dict[str, str]:
    """The fields of a form, the last where one is sent twice."""
    try:
        return dict(
            parse_qsl((await request.body()).decode("utf-8"), keep_blank_values=True, max_num_fields=50)
        )
    except ValueError as error:
        raise HTTPException(400, "the form cannot be read") from error


Form = Annotated[dict[str, str], Depends(form_of)]


def install(app: FastAPI, service: ServiceConfig) -> None:
    """What the pages need besides their router. Call it after all other middleware: it must be the first to see."""
    app.add_middleware(PageFrame, signs_in=service.principal is None)
    app.include_router(open_router)


@router.get("/search")
async def search_page(
    request: Request,
    asker: Searching,
    q: str = "",
    index: str | None = None,
    k: Annotated[int, Query(ge=1, le=50)] = 10,
    answer: bool = False,
) -> Response:
    """The form alone, or with what was found; the question stands in the address, so that it can be kept."""
    parts = parts_of(request)
    names = indexes_for(parts, asker.principal)
    chosen = index or (names[0] if names else "")
    shown: dict[str, Any] = {
        "asker": asker,
        "indexes": names,
        "index": chosen,
        "q": q,
        "k": k,
        "answer_wanted": answer or not q,
        "answers": pages_api.offers(asker, "answer"),
        "feedback": pages_api.offers(asker, "feedback"),
        "fields": [],
        "result": None,
        "answer": None,
        "problem": None,
        "sources": await _sources(request, asker),
    }
    status = 200
    try:
        chosen = index_for(parts, asker.principal, chosen)
        filters, shown["fields"] = filters_of(parts.configuration.indexes[chosen], request.query_params)
        if q.strip():
            asked = {"query": q, "k": k, "filters": filters}
            await _found(request, asker, chosen, asked, answer, shown)
    except (RagPipelinesError, HTTPException, ValidationError) as error:
        status, shown["problem"] = told(error)
    return page("search.html.jinja", status, **shown)


async def _found(
    request: Request, asker: Asker, index: str, asked: dict[str, Any], answer: bool, shown: dict[str, Any]
) -> None:
    """The result first: where nobody can write an answer, the passages still help."""
    body = SearchBody.model_validate(asked)
    result = await run_in_threadpool(search_index, parts_of(request), asker, index, body)
    shown["result"] = result.as_json()
    if answer and shown["answers"]:
        try:
            shown["answer"] = await pages_api.call("answer", request, asker, asked, index=index, found=result)
        except (RagPipelinesError, HTTPException) as error:
            shown["problem"] = f"No answer could be written: {told(error)[1]}"


async def _sources(request: Request, asker: Asker) -> list[str]:
    if not pages_api.offers(asker, "sources"):
        return []
    answer = await pages_api.call("sources", request, asker)
    return [source["source"] for source in answer["sources"]]


@router.post("/feedback", dependencies=[Depends(own_form)])
async def feedback_page(request: Request, asker: Telling, form: Form) -> Response:
    """Keeps what somebody says of what they were shown."""
    if not pages_api.offers(asker, "feedback"):
        raise HTTPException(404, "this service keeps no feedback")
    body = {
        "request_id": form.get("request_id", ""),
        "useful": form.get("useful") == "yes",
        "citation": form.get("citation") or None,
        "comment": form.get("comment") or None,
    }
    try:
        kept = await pages_api.call("feedback", request, asker, body, index=form.get("index", ""))
    except ValidationError as error:
        raise HTTPException(422, told(error)[1]) from error
    return page("thanks.html.jinja", 201, asker=asker, kept=kept)


@router.get("/documents/{index}/{doc_id}")
async def document_page(
    request: Request,
    asker: Searching,
    index: Annotated[str, Path()],
    doc_id: Annotated[str, Path()],
    version: Annotated[int | None, Query(ge=1)] = None,
    start: Annotated[int | None, Query(ge=0)] = None,
    end: Annotated[int | None, Query(ge=0)] = None,
) -> Response:
    """The stored text, with the span of a citation marked; one that is hidden is absent."""
    if not pages_api.offers(asker, "document"):
        raise HTTPException(404, "this service shows no documents")
    found = await pages_api.call("document", request, asker, index=index, doc_id=doc_id, version=version)
    text: str = found["text"]
    span = (start, end) if start is not None and end is not None and start < end <= len(text) else (0, 0)
    parted = pieces(text, span, found["withheld"])
    return page(
        "document.html.jinja",
        asker=asker,
        index=index,
        document=found,
        marked=any(piece.marked for piece in parted),
        asked_span=start is not None,
        pieces=parted,
    )


@open_router.get("/", include_in_schema=False)
def front() -> Response:
    """Where people begin."""
    return RedirectResponse(f"{PREFIX}search", 303)


@open_router.get("/pages/static/{name}")
def static_file(name: str) -> Response:
    """Style and script, from the package."""
    if name not in STATIC:
        raise HTTPException(404, f"there is no file {name!r}")
    return Response(asset(name), media_type=STATIC[name], headers={"Cache-Control": "max-age=300"})


@open_router.get("/pages/sign-in")
def sign_in_form(request: Request) -> Response:
    """Asks for a credential."""
    _check_signs_in(parts_of(request))
    return sign_in_page({**request.scope, "path": f"{PREFIX}search", "query_string": b""}, refused=False)


@open_router.post("/pages/sign-in", dependencies=[Depends(own_form)])
def sign_in(request: Request, form: Form) -> Response:
    """Keeps the credential in a cookie of the session that no script reads; the next page judges it."""
    _check_signs_in(parts_of(request))
    secure = request.url.scheme == "https"
    if not secure and not is_local(request.headers.get("host", "")):
        raise HTTPException(403, "sign in over https: a credential must not cross the network in the clear")
    credential = form.get("credential", "").strip()
    if not CREDENTIAL.fullmatch(credential):
        return sign_in_page({**request.scope, "path": f"{PREFIX}search", "query_string": b""}, refused=True)
    following = form.get("following", "")
    response = RedirectResponse(following if following.startswith(PREFIX) else f"{PREFIX}search", 303)
    response.set_cookie(COOKIE, credential, path=PREFIX, httponly=True, samesite="strict", secure=secure)
    return response


@open_router.post("/pages/sign-out", dependencies=[Depends(own_form)])
def sign_out() -> Response:
    """Forgets the credential."""
    response = RedirectResponse(f"{PREFIX}sign-in", 303)
    response.delete_cookie(COOKIE, path=PREFIX, httponly=True, samesite="strict")
    return response


def _check_signs_in(parts: Parts) -> None:
    if parts.configuration.service.principal is not None:
        raise HTTPException(404, "this service asks for no credential")


def told(error: Exception) -> tuple[int, str]:
    """Status and words of an error, as the API would have them."""
    if isinstance(error, HTTPException):
        return error.status_code, str(error.detail)
    if isinstance(error, ValidationError):
        first: Mapping[str, Any] = error.errors()[0]
        return 422, f"{'.'.join(map(str, first['loc'])) or 'form'}: {first['msg']}"
    return answered(error)

"""The routes of the API that the pages call: what a page shows is what the API would answer to the same asker.

Called as functions in the same request, so that they see the same asker and give the same request id.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from typing import Any

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from rag_pipelines.service.answers import answer_from
from rag_pipelines.service.asking import Asker
from rag_pipelines.service.documents import document, facets
from rag_pipelines.service.feedback import give_feedback
from rag_pipelines.service.upkeep import list_sources, list_versions, request_reindex, show_reindex

ROUTES: dict[str, tuple[Callable[..., Any], str]] = {
    "answer": (answer_from, "answer"),
    "feedback": (give_feedback, "feedback"),
    "document": (document, "search"),
    "facets": (facets, "search"),
    "sources": (list_sources, "status"),
    "versions": (list_versions, "status"),
    "reindex": (request_reindex, "reindex"),
    "show_reindex": (show_reindex, "reindex"),
}
"""Name -> the route's function, and the scope that it asks for; a page answers from what it has found."""


def offers(asker: Asker, name: str) -> bool:
    """Whether the asker may use the route."""
    return ROUTES[name][1] in asker.scopes


async def call(
    name: str, request: Request, asker: Asker, body: dict[str, Any] | None = None, **given: Any
) -> Any:
    """What the route answers, as JSON has it. Raises as the route does, and pydantic's ValidationError for the body."""
    function = ROUTES[name][0]
    arguments: dict[str, Any] = {"request": request, "asker": asker, **given}
    if body is not None:
        arguments["body"] = _body_type(function).model_validate(body)
    if inspect.iscoroutinefunction(function):
        answered = await function(**arguments)
    else:
        answered = await run_in_threadpool(function, **arguments)
    return json.loads(answered.body) if hasattr(answered, "body") else answered.model_dump(mode="json")


def _body_type(function: Callable[..., Any]) -> Any:
    annotation = inspect.signature(function, eval_str=True).parameters["body"].annotation
    options = getattr(annotation, "__args__", None)
    return options[0] if options else annotation

"""The routes of the API that the pages call: what a page shows is what the API would answer to the same asker.

Called as functions in the same request, so that they see the same asker and give the same request id.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Awaitable, Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from rag_pipelines.service.asking import Asker

ROUTES: dict[str, tuple[str, str, str]] = {
    "answer": ("answers", "answer", "answer"),
    "feedback": ("feedback", "give_feedback", "feedback"),
    "document": ("documents", "document", "search"),
    "facets": ("documents", "facets", "search"),
    "sources": ("upkeep", "list_sources", "status"),
    "versions": ("upkeep", "list_versions", "status"),
    "reindex": ("upkeep", "request_reindex", "reindex"),
    "show_reindex": ("upkeep", "show_reindex", "reindex"),
}
"""Name -> module of the service, function, and the scope that the route asks for."""


def offers(asker: Asker, name: str) -> bool:
    """Whether this service has the route and the asker may use it."""
    module, _, scope = ROUTES[name]
    return scope in asker.scopes and find_spec(f"rag_pipelines.service.{module}") is not None


async def call(
    name: str, request: Request, asker: Asker, body: dict[str, Any] | None = None, **given: Any
) -> Any:
    """What the route answers, as JSON has it. Raises as the route does, and pydantic's ValidationError for the body."""
    function = _function(name)
    arguments: dict[str, Any] = {"request": request, "asker": asker, **given}
    if body is not None:
        arguments["body"] = _body_type(function).model_validate(body)
    if inspect.iscoroutinefunction(function):
        answer = await function(**arguments)
    else:
        answer = await run_in_threadpool(function, **arguments)
    return json.loads(answer.body) if hasattr(answer, "body") else answer.model_dump(mode="json")


def _function(name: str) -> Callable[..., Awaitable[Any] | Any]:
    module, function, _ = ROUTES[name]
    found: Callable[..., Any] = getattr(import_module(f"rag_pipelines.service.{module}"), function)
    return found


def _body_type(function: Callable[..., Any]) -> Any:
    annotation = inspect.signature(function, eval_str=True).parameters["body"].annotation
    options = getattr(annotation, "__args__", None)
    return options[0] if options else annotation

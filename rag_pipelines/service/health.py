"""Whether the service lives, and whether it can answer. Asked by machines, without a credential."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from rag_pipelines import __version__
from rag_pipelines.core.errors import RagPipelinesError
from rag_pipelines.service.parts import parts_of
from rag_pipelines.service.problems import described, problem, sayable

router = APIRouter()


@router.get("/healthz", summary="Is the process alive")
def healthz() -> dict[str, str]:
    """Alive; says nothing about indexes."""
    return {"status": "ok", "version": __version__}


@router.get("/readyz", summary="Can it answer", responses={503: described("Not yet, and why")})
def readyz(request: Request) -> Any:
    """Ready once every index has a published version that opens and its model is loaded."""
    parts = parts_of(request)
    if parts.gate.draining:
        return problem(503, "the service is about to end", "/readyz")
    waiting = list(parts.follower.faults.values())
    for name in parts.configuration.indexes:
        try:
            parts.searchers.get(name).warm()
        except RagPipelinesError as error:
            waiting.append(sayable(error))
    if waiting:
        return problem(503, "; ".join(dict.fromkeys(waiting)), "/readyz")
    if parts.variants.flags.fault is not None:
        return {"status": "ready", "warnings": ["the new flags are broken, the last good ones are in force"]}
    return {"status": "ready"}

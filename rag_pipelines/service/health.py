"""Whether the service lives, and whether it can answer. Asked by machines, without a credential."""

from __future__ import annotations

import logging
from typing import Any

from fastapi import APIRouter, Request

from rag_pipelines import __version__
from rag_pipelines.core.errors import NotPublished, RagPipelinesError
from rag_pipelines.service.parts import parts_of
from rag_pipelines.service.problems import described, problem, sayable

logger = logging.getLogger(__name__)
router = APIRouter()


@router.get("/healthz", summary="Is the process alive")
def healthz() -> dict[str, str]:
    """Alive; says nothing about indexes."""
    return {"status": "ok", "version": __version__}


@router.get("/readyz", summary="Can it answer", responses={503: described("Not yet, and why")})
def readyz(request: Request) -> Any:
    """Ready once every index has a published version that opens and its model is loaded.

    That of a single tenant need not be published: a new tenant must not take the others' service away.
    """
    parts = parts_of(request)
    if parts.gate.draining:
        return problem(503, "the service is about to end", "/readyz")
    indexes = parts.configuration.indexes
    waiting = [fault for name, fault in parts.follower.faults.items() if indexes[name].tenant is None]
    for name, config in indexes.items():
        try:
            parts.searchers.get(name).warm()
        except RagPipelinesError as error:
            if config.tenant is None:
                waiting.append(sayable(error))
            elif not isinstance(error, NotPublished):
                waiting.append("the index of a tenant cannot be opened; the log says which")
                logger.warning("index=%s is not ready: %s", name, sayable(error))
    if waiting:
        return problem(503, "; ".join(dict.fromkeys(waiting)), "/readyz")
    if parts.variants.flags.fault is not None:
        return {"status": "ready", "warnings": ["the new flags are broken, the last good ones are in force"]}
    return {"status": "ready"}

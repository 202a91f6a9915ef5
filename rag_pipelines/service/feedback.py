"""The route by which people say whether an answer helped them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request
from pydantic import BaseModel, ConfigDict, Field

from rag_pipelines.catalog.feedback import Feedback, NotShown, save_feedback
from rag_pipelines.core.events import Event
from rag_pipelines.service.asking import Asker, Guarded, needs
from rag_pipelines.service.indexes import IndexName
from rag_pipelines.service.parts import parts_of
from rag_pipelines.service.problems import described
from rag_pipelines.service.tenancy import index_for

router = APIRouter(route_class=Guarded)
Telling = Annotated[Asker, Depends(needs("feedback"))]
LONGEST_COMMENT = 2000
NAME = "^[0-9A-Za-z-]{1,64}$"


class FeedbackBody(BaseModel):
    """What somebody says of an answer that they got."""

    model_config = ConfigDict(extra="forbid")

    request_id: str = Field(pattern=NAME, description="The `X-Request-Id` of the search or the answer.")
    useful: bool
    citation: str | None = Field(
        default=None,
        pattern=NAME,
        description="The `chunk_id` that it is about; else it is about all.",
    )
    comment: str | None = Field(default=None, max_length=LONGEST_COMMENT)


class FeedbackGiven(BaseModel):
    """What it was stored with."""

    id: int
    request_id: str
    index: str
    version: int
    variant: str | None


@router.post(
    "/v1/indexes/{index}/feedback",
    status_code=201,
    summary="Say whether an answer was useful",
    responses={
        404: described("No such index, or no request of yours that is still remembered"),
        422: described("A field of the request is invalid, or the citation is none of the request's"),
        503: described("The catalog cannot be written"),
    },
)
def give_feedback(index: IndexName, body: FeedbackBody, request: Request, asker: Telling) -> FeedbackGiven:
    """Once for a request and once for each of its citations; said again, it takes the place of what was said."""
    parts = parts_of(request)
    index = index_for(parts, asker.principal, index)
    who, memory = asker.principal, parts.memory
    given = Feedback(body.request_id, body.useful, body.citation, body.comment or None)
    memory.flush()
    try:
        with memory.catalog.begin() as tx:
            row = save_feedback(tx, index, who.tenant, who.subject, given)
            details = {
                "of": body.request_id,
                "useful": body.useful,
                "citation": body.citation,
                "commented": given.comment is not None,
            }
            event = Event(
                "feedback", asker.actor, index, who.tenant, asker.credential, asker.request, details
            )
            memory.log.append(tx, event)
    except NotShown as error:
        raise HTTPException(422, str(error)) from error
    return FeedbackGiven(
        id=row["id"],
        request_id=row["request"],
        index=row["index_name"],
        version=row["version"],
        variant=row["variant"],
    )

"""The route that answers a question from passages that the asker may read."""

from __future__ import annotations

import asyncio
import json
import logging
import math
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response, StreamingResponse
from starlette.concurrency import run_in_threadpool

from rag_pipelines.answers.answering import Event, Start
from rag_pipelines.answers.failures import AnswerFailed
from rag_pipelines.answers.reading import Reading, reading_of
from rag_pipelines.answers.values import Answered, Attempt, Bill, Sentence, citation_json
from rag_pipelines.core.errors import RagPipelinesError
from rag_pipelines.core.events import Event as Remembered
from rag_pipelines.retrieval.result import SearchResult
from rag_pipelines.service.answer_schemas import AnswerBody, AnswerResponse
from rag_pipelines.service.asking import Asker, Guarded, needs
from rag_pipelines.service.indexes import PROBLEMS, IndexName
from rag_pipelines.service.parts import Parts, parts_of
from rag_pipelines.service.problems import answered, described, problem, sayable
from rag_pipelines.service.searching import documents_of, search_index
from rag_pipelines.service.tenancy import index_for

logger = logging.getLogger(__name__)
router = APIRouter(route_class=Guarded)
EVENTS = "text/event-stream"
GONE = 499
Answering = Annotated[Asker, Depends(needs("answer"))]


@router.post(
    "/v1/indexes/{index}/answer",
    response_model=AnswerResponse,
    responses={
        **PROBLEMS,
        200: {"content": {EVENTS: {"schema": {"type": "object"}}}, "description": "An answer, or its events"},
        502: described("Every provider refused or sent what cannot be read"),
    },
    summary="Answer a question",
)
async def answer(index: IndexName, body: AnswerBody, request: Request, asker: Answering) -> Response:
    """Sentences that cite passages of the index, each checked against what it cites.

    With `stream` the response is a stream of events: `start` (citations), `sentence`, and `end` (all that the
    response without `stream` holds) or `error` (a problem).
    """
    parts = parts_of(request)
    index = index_for(parts, asker.principal, index)
    sought = body.search(parts.configuration.service.max_k)
    found = await run_in_threadpool(search_index, parts, asker, index, sought)
    return await answer_from(index, body, request, asker, found)


async def answer_from(
    index: str, body: AnswerBody, request: Request, asker: Asker, found: SearchResult
) -> Response:
    """The answer from what the request has searched already: one question is searched, and remembered, once."""
    parts = parts_of(request)
    reading = await run_in_threadpool(lambda: reading_of(parts.searchers.get(index)))
    asked = _Asked(parts, asker, index, body, found, reading)
    if body.stream:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(_events(asked, request.url.path), media_type=EVENTS, headers=headers)
    return await _unless_gone(request, lambda: _whole(asked, request.url.path))


@dataclass(frozen=True, slots=True)
class _Asked:
    """One request after its search."""

    parts: Parts
    asker: Asker
    index: str
    body: AnswerBody
    found: SearchResult
    reading: Reading

    def answer(self) -> AsyncGenerator[Event, None]:
        return self.parts.answerer.answer(
            self.body.query,
            self.found,
            self.reading,
            stream=self.body.stream,
            unsupported=self.body.unsupported,
        )

    def shown(self, whole: Answered) -> dict[str, Any]:
        return {"request_id": self.asker.request, **whole.as_json()}

    def remember(self, outcome: str, details: Mapping[str, Any]) -> None:
        """What was shown to whom, and what it cost; never a text."""
        asker = self.asker
        self.parts.audit(
            Remembered(
                "answer",
                asker.actor,
                self.index,
                asker.principal.tenant,
                asker.credential,
                asker.request,
                {
                    "version": self.found.version,
                    "documents": documents_of(self.found),
                    "outcome": outcome,
                    **details,
                },
            )
        )

    def count(self, attempts: Sequence[Attempt], bills: Sequence[Bill]) -> None:
        """For the metrics: who was asked, and what it took."""
        metrics = self.parts.metrics
        for one in attempts:
            metrics.attempted(one.provider, one.outcome)
        for bill in bills:
            tokens = bill.tokens
            metrics.answered(bill.provider, bill.model, tokens.prompt, tokens.completion, bill.cost)

    async def remember_whole(self, whole: Answered) -> None:
        self.count(whole.written.attempts, whole.written.bills)
        cited = dict.fromkeys(whole.passages[number - 1].citation.doc_id for number in whole.cited)
        details = {
            "provider": whole.written.provider,
            "model": whole.written.model,
            "attempts": [(one.provider, one.outcome) for one in whole.written.attempts],
            "usage": asdict(whole.written.usage),
            "cited": list(cited),
            "sentences": len(whole.sentences),
            "dropped": whole.dropped,
        }
        outcome = "answered" if whole.answerable else "abstained"
        await run_in_threadpool(self.remember, outcome, details)

    async def remember_failure(self, error: AnswerFailed) -> None:
        self.count(error.attempts, error.bills)
        attempts = [(one.provider, one.outcome) for one in error.attempts]
        details = {"attempts": attempts, "usage": asdict(error.usage)}
        await run_in_threadpool(self.remember, "failed", details)


async def _whole(asked: _Asked, path: str) -> Response:
    outcome: str | None = "cancelled"
    try:
        async with aclosing(asked.answer()) as events:
            async for event in events:
                if isinstance(event, Answered):
                    outcome = None
                    await asked.remember_whole(event)
                    # ASCII, since what a model wrote may hold characters that UTF-8 cannot carry.
                    return Response(json.dumps(asked.shown(event)), media_type="application/json")
        raise RuntimeError("an answer has no end")
    except AnswerFailed as error:
        outcome = None
        return await _failed(asked, error, path)
    except Exception:
        outcome = outcome and "failed"
        raise
    finally:
        if outcome is not None:
            asked.remember(outcome, {})


async def _events(asked: _Asked, path: str) -> AsyncIterator[str]:
    """Every way in which an answer can end is an event; only a client that went away gets none."""
    outcome: str | None = "cancelled"
    try:
        async with aclosing(asked.answer()) as events:
            async for event in events:
                if isinstance(event, Answered):
                    outcome = None
                    await asked.remember_whole(event)
                yield _event(asked, event)
    except AnswerFailed as error:
        outcome = None
        yield _sent("error", (await _failed(asked, error, path)).body)
    except RagPipelinesError as error:
        outcome = outcome and "failed"
        status, detail = answered(error)
        logger.error("path=%s error=%s", path, sayable(error))
        yield _sent("error", problem(status, detail, path).body)
    except Exception:
        outcome = outcome and "failed"
        logger.exception("path=%s an answer failed", path)
        detail = "something went wrong here; the service's log has the details"
        yield _sent("error", problem(500, detail, path).body)
    finally:
        if outcome is not None:
            asked.remember(outcome, {})


def _event(asked: _Asked, event: Event) -> str:
    if isinstance(event, Sentence):
        return _sent("sentence", json.dumps(event.as_json()).encode())
    if isinstance(event, Start):
        numbered = [citation_json(number, one) for number, one in enumerate(event.passages, 1)]
        start = {
            "request_id": asked.asker.request,
            "index": event.index,
            "version": event.version,
            "citations": numbered,
        }
        return _sent("start", json.dumps(start).encode())
    return _sent("end", json.dumps(asked.shown(event)).encode())


def _sent(name: str, data: bytes | memoryview) -> str:
    """JSON in ASCII has no line break, which would end the field."""
    return f"event: {name}\ndata: {bytes(data).decode('ascii')}\n\n"


async def _failed(asked: _Asked, error: AnswerFailed, path: str) -> Response:
    """503 where asking again may help, else 502."""
    logger.error("path=%s error=%s", path, error)
    await asked.remember_failure(error)
    wait = None if error.retry_after is None else math.ceil(error.retry_after)
    return problem(
        503 if error.passing else 502,
        str(error),
        path,
        {"Retry-After": str(max(wait, 1))} if error.passing and wait is not None else None,
        attempts=[asdict(attempt) for attempt in error.attempts],
        request_id=asked.asker.request,
    )


async def _unless_gone(request: Request, work: Callable[[], Awaitable[Response]]) -> Response:
    """The response, unless the client goes away before: then the work is cancelled, and nobody reads a response."""

    async def done() -> Response:
        return await work()

    async def gone() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    tasks = (asyncio.ensure_future(done()), asyncio.ensure_future(gone()))
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if tasks[0].done():
            return tasks[0].result()
        return Response(status_code=GONE)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

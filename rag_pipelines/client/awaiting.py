"""The client that awaits; see `blocking` for what each method does."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from types import TracebackType
from typing import Any, Literal, TypeVar

import httpx

from rag_pipelines.client import calls, transport
from rag_pipelines.client.calls import Call, Filters
from rag_pipelines.client.document_types import Document, DocumentEntry, DocumentPage, Facets, Suggestions
from rag_pipelines.client.errors import UnexpectedResponse
from rag_pipelines.client.events import AnswerEvents
from rag_pipelines.client.retrying import Retry, Tries
from rag_pipelines.client.types import Answer, AnswerEvent, Feedback, SearchResult
from rag_pipelines.client.upkeep_types import Indexes, Reindex, Sources, Versions

T = TypeVar("T")
AsyncToken = Callable[[], str | Awaitable[str]]


class AsyncClient:
    """As `Client`, awaited. Use it in an `async with` block, in one event loop.

    `credential` may also be a coroutine function. A blocking one holds up the event loop for as long as it takes.
    """

    def __init__(
        self,
        base_url: str,
        credential: str | AsyncToken | None = None,
        *,
        timeout: float = 30.0,
        retry: Retry | None = None,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        self._base = calls.check_base(base_url)
        self._credential = calls.check_credential(credential) if isinstance(credential, str) else credential
        self._timeout = timeout
        self._retry = retry or Retry()
        self._http = http or httpx.AsyncClient()
        self._owned = http is None

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Ends its connections."""
        if self._owned:
            await self._http.aclose()

    async def search(
        self,
        index: str,
        query: str,
        *,
        k: int = 10,
        filters: Filters | None = None,
        version: int | None = None,
        **options: Any,
    ) -> SearchResult:
        """The best passages; `options` are further fields of the request (`explain`, `neighbours`, ...)."""
        return await self._call(calls.search(index, query, k, filters, version, options))

    async def answer(
        self,
        index: str,
        query: str,
        *,
        k: int = 8,
        filters: Filters | None = None,
        version: int | None = None,
        unsupported: Literal["drop", "mark"] | None = None,
    ) -> Answer:
        """An answer in sentences, each with its citations."""
        return await self._call(calls.answer(index, query, k, filters, version, unsupported))

    async def answer_stream(
        self,
        index: str,
        query: str,
        *,
        k: int = 8,
        filters: Filters | None = None,
        version: int | None = None,
        unsupported: Literal["drop", "mark"] | None = None,
    ) -> AsyncIterator[AnswerEvent]:
        """The same as it is written: AnswerStart, each Sentence, and the whole Answer at the end."""
        call = calls.answer(index, query, k, filters, version, unsupported, stream=True)
        async with contextlib.aclosing(await self._send(call, streamed=True)) as response:
            transport.check_stream(response)
            events = AnswerEvents(transport.request_id_of(response))
            try:
                async for piece in response.aiter_bytes():
                    for event in events.feed(piece):
                        yield event
            except httpx.RequestError as error:
                raise transport.unreachable(error, call, self._base) from error
            events.finish()

    async def feedback(
        self,
        index: str,
        request_id: str,
        useful: bool,
        *,
        citation: str | None = None,
        comment: str | None = None,
    ) -> Feedback:
        """Whether the answer to a request of yours was useful; `citation` is the chunk_id that it is about."""
        return await self._call(calls.feedback(index, request_id, useful, citation, comment))

    async def documents(
        self,
        index: str,
        *,
        source: str | None = None,
        prefix: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> DocumentPage:
        """One page of the documents that you may read."""
        return await self._call(calls.documents(index, source, prefix, limit, cursor))

    async def all_documents(
        self, index: str, *, source: str | None = None, prefix: str | None = None, limit: int | None = None
    ) -> AsyncIterator[DocumentEntry]:
        """Every one of them, a page of `limit` at a time."""
        cursor = None
        while True:
            page = await self.documents(index, source=source, prefix=prefix, limit=limit, cursor=cursor)
            for document in page.documents:
                yield document
            if page.next is None:
                return
            cursor = page.next

    async def document(self, index: str, doc_id: str, *, version: int | None = None) -> Document:
        """A document with the text that spans refer to."""
        return await self._call(calls.document(index, doc_id, version))

    async def suggestions(self, index: str, prefix: str, *, limit: int | None = None) -> Suggestions:
        """How what is typed so far may go on."""
        return await self._call(calls.suggestions(index, prefix, limit))

    async def facets(
        self,
        index: str,
        fields: Sequence[str],
        *,
        filters: Filters | None = None,
        version: int | None = None,
    ) -> Facets:
        """The values of fields with their counts, over what you may read."""
        return await self._call(calls.facets(index, fields, filters, version))

    async def indexes(self) -> Indexes:
        """The indexes and their live versions."""
        return await self._call(calls.indexes())

    async def versions(self, index: str) -> Versions:
        """The versions of an index, newest first."""
        return await self._call(calls.versions(index))

    async def sources(self) -> Sources:
        """The sources and how fresh they are."""
        return await self._call(calls.sources())

    async def reindex(self, source: str, *, uri_prefix: str = "", force: bool = False) -> Reindex:
        """Ask for a source, or what of it begins with a prefix, to be done again."""
        return await self._call(calls.reindex(source, uri_prefix, force))

    async def reindex_status(self, source: str, number: int) -> Reindex:
        """What became of such a request, by its id."""
        return await self._call(calls.reindex_status(source, number))

    async def _call(self, call: Call[T]) -> T:
        response = await self._send(call)
        try:
            return call.read(transport.content(response), transport.request_id_of(response))
        except UnexpectedResponse as error:
            error.request_id = transport.request_id_of(response)
            raise

    async def _send(self, call: Call[Any], streamed: bool = False) -> httpx.Response:
        tries = Tries(self._retry, call.repeatable)
        while True:
            tries.begin()
            try:
                response = await self._http.send(await self._request(call, streamed), stream=streamed)
                if response.is_success:
                    return response
                async with contextlib.aclosing(response):
                    await response.aread()
            except httpx.RequestError as error:
                failure = transport.unreachable(error, call, self._base)
                seconds = tries.wait(failure, tries.may_repeat_error(error))
            else:
                seconds = tries.wait(
                    transport.refusal(response), tries.may_repeat_status(response.status_code)
                )
            await asyncio.sleep(seconds)

    async def _request(self, call: Call[Any], streamed: bool) -> httpx.Request:
        credential = self._credential() if callable(self._credential) else self._credential
        if inspect.isawaitable(credential):
            credential = await credential
        return self._http.build_request(
            url=self._base + call.path,
            headers=transport.headers(credential, streamed),
            timeout=self._timeout,
            **transport.arguments(call),
        )

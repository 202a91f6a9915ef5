"""The client that blocks."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any, Literal, TypeVar

import httpx

from rag_pipelines.client import calls, transport
from rag_pipelines.client.calls import Call, Filters, Token
from rag_pipelines.client.document_types import Document, DocumentEntry, DocumentPage, Facets, Suggestions
from rag_pipelines.client.errors import UnexpectedResponse
from rag_pipelines.client.events import AnswerEvents
from rag_pipelines.client.retrying import Retry, Tries
from rag_pipelines.client.types import Answer, AnswerEvent, Feedback, SearchResult
from rag_pipelines.client.upkeep_types import Indexes, Reindex, Sources, Versions

T = TypeVar("T")


class Client:
    """The query service at `base_url`. Close it, or use it in a `with` block; threads may share it.

    `credential` is an API key or a token, or a function that gives one. `timeout` is in seconds, for connecting and
    for each wait for bytes. `http` is a client of yours, with its own proxies and certificates, that stays open.
    """

    def __init__(
        self,
        base_url: str,
        credential: str | Token | None = None,
        *,
        timeout: float = 30.0,
        retry: Retry | None = None,
        http: httpx.Client | None = None,
    ) -> None:
        self._base = calls.check_base(base_url)
        self._credential = calls.check_credential(credential) if isinstance(credential, str) else credential
        self._timeout = timeout
        self._retry = retry or Retry()
        self._http = http or httpx.Client()
        self._owned = http is None

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends its connections."""
        if self._owned:
            self._http.close()

    def search(
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
        return self._call(calls.search(index, query, k, filters, version, options))

    def answer(
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
        return self._call(calls.answer(index, query, k, filters, version, unsupported))

    def answer_stream(
        self,
        index: str,
        query: str,
        *,
        k: int = 8,
        filters: Filters | None = None,
        version: int | None = None,
        unsupported: Literal["drop", "mark"] | None = None,
    ) -> Iterator[AnswerEvent]:
        """The same as it is written: AnswerStart, each Sentence, and the whole Answer at the end."""
        call = calls.answer(index, query, k, filters, version, unsupported, stream=True)
        with contextlib.closing(self._send(call, streamed=True)) as response:
            transport.check_stream(response)
            events = AnswerEvents(transport.request_id_of(response))
            try:
                for piece in response.iter_bytes():
                    yield from events.feed(piece)
            except httpx.RequestError as error:
                raise transport.unreachable(error, call, self._base) from error
            events.finish()

    def feedback(
        self,
        index: str,
        request_id: str,
        useful: bool,
        *,
        citation: str | None = None,
        comment: str | None = None,
    ) -> Feedback:
        """Whether the answer to a request of yours was useful; `citation` is the chunk_id that it is about."""
        return self._call(calls.feedback(index, request_id, useful, citation, comment))

    def documents(
        self,
        index: str,
        *,
        source: str | None = None,
        prefix: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> DocumentPage:
        """One page of the documents that you may read."""
        return self._call(calls.documents(index, source, prefix, limit, cursor))

    def all_documents(
        self, index: str, *, source: str | None = None, prefix: str | None = None, limit: int | None = None
    ) -> Iterator[DocumentEntry]:
        """Every one of them, a page of `limit` at a time."""
        cursor = None
        while True:
            page = self.documents(index, source=source, prefix=prefix, limit=limit, cursor=cursor)
            yield from page.documents
            if page.next is None:
                return
            cursor = page.next

    def document(self, index: str, doc_id: str, *, version: int | None = None) -> Document:
        """A document with the text that spans refer to."""
        return self._call(calls.document(index, doc_id, version))

    def suggestions(self, index: str, prefix: str, *, limit: int | None = None) -> Suggestions:
        """How what is typed so far may go on."""
        return self._call(calls.suggestions(index, prefix, limit))

    def facets(
        self,
        index: str,
        fields: Sequence[str],
        *,
        filters: Filters | None = None,
        version: int | None = None,
    ) -> Facets:
        """The values of fields with their counts, over what you may read."""
        return self._call(calls.facets(index, fields, filters, version))

    def indexes(self) -> Indexes:
        """The indexes and their live versions."""
        return self._call(calls.indexes())

    def versions(self, index: str) -> Versions:
        """The versions of an index, newest first."""
        return self._call(calls.versions(index))

    def sources(self) -> Sources:
        """The sources and how fresh they are."""
        return self._call(calls.sources())

    def reindex(self, source: str, *, uri_prefix: str = "", force: bool = False) -> Reindex:
        """Ask for a source, or what of it begins with a prefix, to be done again."""
        return self._call(calls.reindex(source, uri_prefix, force))

    def reindex_status(self, source: str, number: int) -> Reindex:
        """What became of such a request, by its id."""
        return self._call(calls.reindex_status(source, number))

    def _call(self, call: Call[T]) -> T:
        response = self._send(call)
        try:
            return call.read(transport.content(response), transport.request_id_of(response))
        except UnexpectedResponse as error:
            error.request_id = transport.request_id_of(response)
            raise

    def _send(self, call: Call[Any], streamed: bool = False) -> httpx.Response:
        tries = Tries(self._retry, call.repeatable)
        while True:
            tries.begin()
            try:
                response = self._http.send(self._request(call, streamed), stream=streamed)
                if response.is_success:
                    return response
                with contextlib.closing(response):
                    response.read()
            except httpx.RequestError as error:
                failure = transport.unreachable(error, call, self._base)
                seconds = tries.wait(failure, tries.may_repeat_error(error))
            else:
                seconds = tries.wait(
                    transport.refusal(response), tries.may_repeat_status(response.status_code)
                )
            time.sleep(seconds)

    def _request(self, call: Call[Any], streamed: bool) -> httpx.Request:
        credential = self._credential() if callable(self._credential) else self._credential
        return self._http.build_request(
            url=self._base + call.path,
            headers=transport.headers(credential, streamed),
            timeout=self._timeout,
            **transport.arguments(call),
        )

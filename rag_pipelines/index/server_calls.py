"""Requests to a Qdrant server: what is tried again, and how failures are explained."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import httpx
import tenacity
from qdrant_client import QdrantClient
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.http.exceptions import ApiException, ResponseHandlingException, UnexpectedResponse

from rag_pipelines.core.errors import EngineError

Answer = TypeVar("Answer")


class Calls:
    """Every request goes through here: transient failures are tried again, others explained."""

    def __init__(self, client: QdrantClient, where: str, attempts: int, backoff_seconds: float) -> None:
        self.client = client
        self.where = where
        self._attempts = attempts
        self._backoff = backoff_seconds

    def __call__(self, doing: str, request: Callable[[], Answer]) -> Answer:
        """The answer, after at most so many attempts with exponential backoff and jitter.

        Every write of this module can be repeated, so one that was applied although its answer got lost
        does no harm. Raises EngineError.
        """
        retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(self._attempts),
            wait=tenacity.wait_exponential_jitter(
                initial=self._backoff, max=30 * self._backoff, jitter=self._backoff
            ),
            retry=tenacity.retry_if_exception(is_transient),
            reraise=True,
        )
        try:
            return retrying(request)
        except (ApiException, ResourceExhaustedResponse, httpx.HTTPError, ValueError) as error:
            transient = is_transient(error)
            advice = "is it running and reachable?" if transient else "see its log and its version"
            what = f"Qdrant at {self.where} failed while {doing}"
            raise EngineError(
                f"{what}: {_reason(error)}; {advice}",
                transient=transient,
                bare=f"{what}: {_kind(error)}; {advice}",
            ) from error


def is_transient(error: BaseException) -> bool:
    """Whether the same request may succeed later: no connection, time-out, overload, 5xx."""
    if isinstance(error, UnexpectedResponse):
        return error.status_code in {408, 429} or (error.status_code or 0) >= 500
    if isinstance(error, ResponseHandlingException):
        return isinstance(error.source, httpx.TransportError)
    return isinstance(error, ResourceExhaustedResponse | httpx.TransportError)


def _kind(error: Exception) -> str:
    """Without the server's words, which may quote the filter: groups of whoever asks stand in it."""
    if isinstance(error, UnexpectedResponse):
        return f"HTTP {error.status_code}"
    source = error.source if isinstance(error, ResponseHandlingException) else error
    return type(source).__name__


def _reason(error: Exception) -> str:
    if isinstance(error, ResponseHandlingException):
        return str(error.source) or type(error.source).__name__
    return " ".join(str(error).split())[:300] or type(error).__name__

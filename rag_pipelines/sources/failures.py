"""Which errors of a store are worth another try, and what a person reads about the others."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import TypeVar

from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from rag_pipelines.core.errors import SourceError

T = TypeVar("T")

ATTEMPTS = 4
_TRANSIENT_ERRNO = frozenset(
    {
        errno.EAGAIN,
        errno.EBUSY,
        errno.EINTR,
        errno.EIO,
        errno.ESTALE,
        errno.ETIMEDOUT,
        errno.ECONNRESET,
        errno.ECONNREFUSED,
        errno.ECONNABORTED,
        errno.EPIPE,
        errno.EHOSTUNREACH,
        errno.ENETUNREACH,
        errno.EMFILE,
        errno.ENFILE,
    }
)
_TRANSIENT_NAMES = frozenset(
    {
        "ClientConnectionError",
        "ClientPayloadError",
        "ConnectTimeoutError",
        "ConnectionClosedError",
        "EndpointConnectionError",
        "FSTimeoutError",
        "HTTPClientError",
        "IncompleteRead",
        "IncompleteReadError",
        "ReadTimeoutError",
        "ServerTimeoutError",
        "Timeout",
    }
)
_TRANSIENT_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})


def is_transient(error: BaseException) -> bool:
    """Whether the same call may succeed later: timeouts, 5xx, throttling, lost connections.

    The clients of stores are optional packages with exceptions of their own, so these are known by
    name and by HTTP status.
    """
    if isinstance(error, SourceError):
        return error.transient
    if isinstance(error, (ConnectionError, TimeoutError)):
        return True
    if isinstance(error, OSError) and error.errno in _TRANSIENT_ERRNO:
        return True
    if _status(error) in _TRANSIENT_STATUS:
        return True
    return any(base.__name__ in _TRANSIENT_NAMES for base in type(error).__mro__)


def as_source_error(error: BaseException, what: str) -> SourceError:
    """A SourceError that says what happened to what, and the next step; a SourceError stays itself."""
    if isinstance(error, SourceError):
        return error
    cause = " ".join(str(error).split()) or type(error).__name__
    return SourceError(f"{what}: {cause}; {_next_step(error)}", transient=is_transient(error))


def retry(call: Callable[[], T], attempts: int = ATTEMPTS) -> T:
    """What the call returns, after at most `attempts` tries with backoff; the last error is re-raised as it is."""
    policy = Retrying(
        retry=retry_if_exception(is_transient),
        stop=stop_after_attempt(attempts),
        wait=wait_random_exponential(multiplier=0.25, max=5.0),
        reraise=True,
    )
    return policy(call)


def _status(error: BaseException) -> int | None:
    for name in ("status", "status_code", "code"):
        value = getattr(error, name, None)
        if isinstance(value, int):
            return value
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        return status if isinstance(status, int) else None
    status = getattr(response, "status_code", None)
    return status if isinstance(status, int) else None


def _next_step(error: BaseException) -> str:
    if is_transient(error):
        return "this may pass, the next sync tries again"
    if isinstance(error, FileNotFoundError):
        return "check `url` in the source's configuration"
    if isinstance(error, PermissionError):
        return "give this process the right to read it"
    if isinstance(error, ImportError):
        return "install the package it names into this environment"
    if "redential" in type(error).__name__:
        return "name the variables that hold the credentials in storage_options_env"
    return "check the source's configuration and that the store can be read from this machine"

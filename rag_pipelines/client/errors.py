"""What can go wrong between a program and the query service, each kind an exception of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class RagClientError(Exception):
    """Base of all errors of the client. `request_id` names the request in the service's logs, where it got there."""

    request_id: str = ""


class Unreachable(RagClientError):
    """No answer came: no connection, or none within the timeout, or it broke off."""


class UnexpectedResponse(RagClientError):
    """Something answered that is not this service, or is one of another kind than this client knows."""


class Problem(RagClientError):
    """The service refused, with the fields of its RFC 9457 problem.

    `retry_after` is how many seconds it asks to wait, and `errors` names the fields that are invalid.
    """

    def __init__(
        self,
        status: int,
        title: str,
        detail: str,
        *,
        kind: str = "about:blank",
        instance: str = "",
        request_id: str = "",
        retry_after: float | None = None,
        errors: tuple[Mapping[str, Any], ...] = (),
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(f"{status} {title}: {detail}" if detail else f"{status} {title}")
        self.status = status
        self.title = title
        self.detail = detail
        self.kind = kind
        self.instance = instance
        self.request_id = request_id
        self.retry_after = retry_after
        self.errors = errors
        self.extra = dict(extra or {})


class BadRequest(Problem):
    """400: an unknown filter field, or a body that cannot be read."""


class Unauthorized(Problem):
    """401: no credential, or one that is not valid, or no longer."""


class Forbidden(Problem):
    """403: the credential lacks a scope."""


class NotFound(Problem):
    """404: there is none, or not for this caller; the two are not told apart."""


class TooLarge(Problem):
    """413: the request is larger than the service takes."""


class Invalid(Problem):
    """422: a field of the request is invalid; `errors` has each."""


class RateLimited(Problem):
    """429: too many requests of this key or tenant."""


class ServerError(Problem):
    """500 and above: the service, or something between, failed."""


class Unavailable(ServerError):
    """503: overloaded, nothing published yet, or the engine cannot be reached."""


KINDS: dict[int, type[Problem]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    413: TooLarge,
    422: Invalid,
    429: RateLimited,
    503: Unavailable,
}
FIELDS = {"type", "title", "status", "detail", "instance", "errors"}


def problem_of(
    status: int, data: object, reason: str, request_id: str = "", retry_after: float | None = None
) -> Problem:
    """The exception for a problem; `data` is its body, or anything else where a proxy answered instead."""
    kind = KINDS.get(status, ServerError if status >= 500 else Problem)
    found = data if isinstance(data, Mapping) else {}
    errors = found.get("errors")
    return kind(
        status,
        str(found.get("title") or reason or "refused"),
        str(found.get("detail") or ""),
        kind=str(found.get("type") or "about:blank"),
        instance=str(found.get("instance") or ""),
        request_id=request_id,
        retry_after=retry_after,
        errors=tuple(item for item in errors if isinstance(item, Mapping))
        if isinstance(errors, list)
        else (),
        extra={str(name): value for name, value in found.items() if name not in FIELDS},
    )

"""httpx requests and responses <-> the client's own; shared by the client that blocks and the one that awaits."""

from __future__ import annotations

import json
from typing import Any

import httpx

from rag_pipelines import __version__
from rag_pipelines.client.calls import Call, check_credential
from rag_pipelines.client.errors import Problem, UnexpectedResponse, Unreachable, problem_of
from rag_pipelines.client.retrying import retry_after

REQUEST_ID = "X-Request-Id"
AGENT = f"rag-pipelines-client/{__version__}"


def headers(credential: str | None, streamed: bool) -> dict[str, str]:
    """Of every request."""
    found = {"Accept": "text/event-stream" if streamed else "application/json", "User-Agent": AGENT}
    if credential is not None:
        found["Authorization"] = f"Bearer {check_credential(credential)}"
    return found


def arguments(call: Call[Any]) -> dict[str, Any]:
    """Of `httpx.Client.build_request`, less what belongs to one client."""
    body = {} if call.body is None else {"json": call.body}
    return {"method": call.method, "params": call.params or None, **body}


def request_id_of(response: httpx.Response) -> str:
    """That which the service gave."""
    return str(response.headers.get(REQUEST_ID, ""))


def refusal(response: httpx.Response) -> Problem:
    """The exception for a response that was read and is no success. A body that is no problem is not quoted."""
    try:
        data = response.json()
    except ValueError:
        data = {"detail": "the answer is no problem of this service, but of something in between"}
    waits = retry_after(response.headers.get("Retry-After"))
    return problem_of(response.status_code, data, response.reason_phrase, request_id_of(response), waits)


def content(response: httpx.Response) -> object:
    """The JSON of a response. Raises UnexpectedResponse."""
    try:
        return json.loads(response.content)
    except ValueError:
        raise unexpected(response, "is not JSON") from None


def check_stream(response: httpx.Response) -> None:
    """Raises UnexpectedResponse for a success that is no stream of events."""
    kind = response.headers.get("Content-Type", "")
    if not kind.startswith("text/event-stream"):
        raise unexpected(response, f"is {kind or 'of no type'}, not a stream of events")


def unexpected(response: httpx.Response, what: str) -> UnexpectedResponse:
    """Names the address and the status, never the body."""
    url = response.request.url.copy_with(query=None)
    error = UnexpectedResponse(f"{response.status_code} from {url} {what}; is this the query service?")
    error.request_id = request_id_of(response)
    return error


def unreachable(error: httpx.RequestError, call: Call[Any], base: str) -> Unreachable:
    """What httpx raised, with where it was going."""
    reason = str(error) or type(error).__name__
    return Unreachable(f"{call.method} {base}{call.path}: {reason}")

"""Both clients over real HTTP: what they send, what they read, when they try again, what they raise."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from rag_pipelines.client import (
    Answer,
    AnswerStart,
    AsyncClient,
    BadRequest,
    Client,
    Forbidden,
    Invalid,
    NotFound,
    Problem,
    RagClientError,
    RateLimited,
    Retry,
    Sentence,
    ServerError,
    TooLarge,
    Unauthorized,
    Unavailable,
    UnexpectedResponse,
    Unreachable,
)
from rag_pipelines_tests.client.serving import free_port, listening
from rag_pipelines_tests.client.stub import ANSWER, Stub, application, event, whole_stream

AT_ONCE = Retry(attempts=3, first_wait=0.0)


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[Stub, str]]:
    stub = Stub()
    with listening(application(stub)) as address:
        yield stub, address


@pytest.fixture
def stub(running: tuple[Stub, str]) -> Stub:
    found = running[0]
    found.refusals.clear()
    found.seen.clear()
    found.stream = list(whole_stream())
    return found


class Both:
    """Calls a method of one of the clients by name, so that a test says once what holds for both."""

    def __init__(self, kind: str, address: str, **options: Any) -> None:
        self.kind, self.address, self.options = kind, address, {"retry": AT_ONCE, **options}

    def __call__(self, name: str, *arguments: Any, **named: Any) -> Any:
        if self.kind == "sync":
            with Client(self.address, **self.options) as client:
                found = getattr(client, name)(*arguments, **named)
                return list(found) if isinstance(found, Iterator) else found
        return asyncio.run(self._awaited(name, *arguments, **named))

    async def _awaited(self, name: str, *arguments: Any, **named: Any) -> Any:
        async with AsyncClient(self.address, **self.options) as client:
            found = getattr(client, name)(*arguments, **named)
            return [item async for item in found] if hasattr(found, "__aiter__") else await found


@pytest.fixture(params=["sync", "async"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def ask(kind: str, running: tuple[Stub, str]) -> Both:
    return Both(kind, running[1])


def test_answer_is_typed_and_new_fields_are_passed_over(ask: Both, stub: Stub) -> None:
    answer = ask("answer", "knowledge", "days?", k=3, filters={"source": "docs"}, unsupported="mark")

    assert isinstance(answer, Answer)
    assert (answer.version, answer.confidence, answer.request_id) == (7, 0.75, "body-id")
    assert [(one.citations, one.supported) for one in answer.sentences] == [((1,), True), ((), False)]
    assert answer.citations[0].heading_path == ("Leave",)
    assert answer.provider is not None
    assert [(one.provider, one.outcome, one.seconds) for one in answer.provider.attempts] == [
        ("first", "timeout", 2.5),
        ("local", "ok", 1),
    ]
    assert (answer.usage.prompt_tokens, answer.usage.cost, answer.prompt.hash) == (120, 0.001, "abc")
    ((method, path, _, body),) = stub.seen
    assert (method, path) == ("POST", "/v1/indexes/knowledge/answer")
    assert body == {
        "query": "days?", "k": 3, "stream": False, "filters": {"source": "docs"}, "unsupported": "mark",
    }  # fmt: skip


def test_stream_gives_each_sentence_and_the_whole_at_the_end(ask: Both, stub: Stub) -> None:
    found = ask("answer_stream", "knowledge", "days?")

    assert [type(one) for one in found] == [AnswerStart, Sentence, Sentence, Answer]
    assert found[0].citations[0].chunk_id == "c1"
    assert found[1].text == "Thirty days\u2028a year."
    assert found[3].text == ANSWER["text"]
    assert stub.seen[0][2]["accept"] == "text/event-stream"
    assert stub.seen[0][3]["stream"] is True


def test_stream_raises_its_problem_and_that_it_broke_off(ask: Both, stub: Stub) -> None:
    problem = {"title": "Service Unavailable", "status": 503, "detail": "every provider failed"}
    stub.stream = [*list(whole_stream())[:3], event("error", problem)]
    with pytest.raises(Unavailable, match="every provider failed") as raised:
        ask("answer_stream", "knowledge", "days?")
    assert raised.value.request_id == "id-1"

    stub.stream = list(whole_stream())[:4]
    with pytest.raises(Unreachable, match="broke off"):
        ask("answer_stream", "knowledge", "days?")
    stub.stream = ["event: start\ndata: {]\n\n"]
    with pytest.raises(UnexpectedResponse, match="not JSON"):
        ask("answer_stream", "knowledge", "days?")


def test_other_routes_are_sent_and_read(ask: Both, stub: Stub) -> None:
    kept = ask("feedback", "knowledge", "r-9", False, citation="c1", comment="old")
    page = ask("documents", "knowledge", source="docs", prefix="hr/", limit=2)
    every = ask("all_documents", "knowledge")
    document = ask("document", "knowledge", "d/1", version=6)
    suggestions = ask("suggestions", "knowledge", "lea", limit=5)
    facets = ask("facets", "knowledge", ["source"], filters={"year": {"gte": 2024}})

    assert (kept.id, kept.version, kept.variant, kept.request_id) == (4, 7, "control", "r-9")
    assert ([one.uri for one in page.documents], page.next) == (["1.md", "2.md"], "2")
    assert [one.uri for one in every] == ["1.md", "2.md", "3.md"]
    assert (document.doc_id, document.text) == ("d/1", "Leave")
    assert [(one.text, one.documents) for one in suggestions.suggestions] == [("leave days", 3)]
    assert (facets.total, [(one.value, one.count) for one in facets.facets["source"]]) == (
        3,
        [("docs", 2), (5, 1)],
    )
    sent = [(path.removeprefix("/v1/indexes/knowledge/"), body) for _, path, _, body in stub.seen]
    assert sent == [
        ("feedback", {"request_id": "r-9", "useful": False, "citation": "c1", "comment": "old"}),
        ("documents", {"source": "docs", "prefix": "hr/", "limit": "2"}),
        ("documents", {}),
        ("documents", {"cursor": "2"}),
        ("documents/d%2F1", {"version": "6"}),
        ("suggestions", {"prefix": "lea", "limit": "5"}),
        ("facets", {"fields": ["source"], "filters": {"year": {"gte": 2024}}}),
    ]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, BadRequest),
        (401, Unauthorized),
        (403, Forbidden),
        (404, NotFound),
        (413, TooLarge),
        (418, Problem),
        (422, Invalid),
        (429, RateLimited),
        (500, ServerError),
        (502, ServerError),
        (503, Unavailable),
    ],
)
def test_each_status_is_an_exception_of_its_own(
    ask: Both, stub: Stub, status: int, error: type[Problem]
) -> None:
    stub.refuse(status, status, status, X_Request_Id="r-1", Retry_After="0")
    with pytest.raises(Problem, match=f"{status} Refused: not now") as raised:
        ask("search", "knowledge", "days?")
    assert type(raised.value) is error
    assert (raised.value.status, raised.value.detail, raised.value.request_id) == (status, "not now", "r-1")
    assert raised.value.retry_after == 0.0


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_what_changes_nothing_is_sent_again(ask: Both, stub: Stub, status: int) -> None:
    stub.refuse(status, status, Retry_After="0")
    assert ask("facets", "knowledge", ["source"]).total == 3
    assert len(stub.seen) == 3


@pytest.mark.parametrize(("status", "sent"), [(429, 2), (503, 2), (502, 1), (504, 1), (500, 1), (404, 1)])
def test_what_acts_is_sent_again_only_where_it_was_refused(
    ask: Both, stub: Stub, status: int, sent: int
) -> None:
    stub.refuse(status, Retry_After="0")
    if sent == 1:
        with pytest.raises(Problem):
            ask("feedback", "knowledge", "r-9", True)
    else:
        assert ask("feedback", "knowledge", "r-9", True).id == 4
    assert len(stub.seen) == sent


def test_a_wait_beyond_the_budget_is_not_begun(ask: Both, stub: Stub) -> None:
    stub.refuse(429, Retry_After="3600")
    with pytest.raises(RateLimited) as raised:
        ask("facets", "knowledge", ["source"])
    assert (raised.value.retry_after, len(stub.seen)) == (3600.0, 1)


def test_nobody_listens(kind: str) -> None:
    ask = Both(kind, f"http://127.0.0.1:{free_port()}")
    with pytest.raises(Unreachable, match=r"GET http://127\.0\.0\.1:\d+/v1/sources: "):
        ask("sources")


def test_answers_of_something_else_are_named_and_not_quoted(ask: Both, stub: Stub) -> None:
    with pytest.raises(UnexpectedResponse, match="is not JSON") as raised:
        ask("versions", "knowledge")
    assert "secret" not in str(raised.value)
    assert raised.value.request_id == "id-1"
    with pytest.raises(UnexpectedResponse, match="a str as Indexes"):
        ask("indexes")
    with pytest.raises(UnexpectedResponse, match=r"no Sources\.sources\[0\]\.source") as raised:
        ask("sources")
    assert raised.value.request_id == "id-3"


def test_credential_is_sent_and_asked_for_anew_each_time(
    kind: str, running: tuple[Stub, str], stub: Stub
) -> None:
    given = iter(["one", "two"])

    async def awaited() -> str:
        return next(given)

    provider: Callable[[], Any] = awaited if kind == "async" else lambda: next(given)
    stub.refuse(503, Retry_After="0")
    Both(kind, running[1], credential=provider)("facets", "knowledge", ["source"])
    Both(kind, running[1], credential="key")("facets", "knowledge", ["source"])
    assert [headers["authorization"] for _, _, headers, _ in stub.seen] == [
        "Bearer one",
        "Bearer two",
        "Bearer key",
    ]


@pytest.mark.parametrize("credential", ["", "two words", "hunter2\r\nX-Evil: 1", "schlüssel"])
def test_a_credential_that_no_header_carries_is_refused_unseen(kind: str, credential: str) -> None:
    with pytest.raises(ValueError) as raised:
        Both(kind, "http://127.0.0.1:1", credential=credential)("sources")
    assert credential == "" or credential not in str(raised.value)


@pytest.mark.parametrize("address", ["127.0.0.1:8600", "ftp://x", "http://me:hunter2@example.com"])
def test_an_address_that_cannot_be_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="base_url") as raised:
        Client(address)
    assert "hunter2" not in str(raised.value)


def test_every_error_is_one_kind() -> None:
    assert issubclass(Problem, RagClientError)
    assert {Unreachable.__base__, UnexpectedResponse.__base__} == {RagClientError}


def test_both_clients_have_the_same_methods_with_the_same_parameters() -> None:
    def methods(kind: type) -> dict[str, list[tuple[str, object]]]:
        return {
            name: [(one.name, one.default) for one in inspect.signature(found).parameters.values()]
            for name, found in vars(kind).items()
            if callable(found) and not name.startswith("_") and name not in {"close", "aclose"}
        }

    assert methods(Client) == methods(AsyncClient)
    assert len(methods(Client)) == 14

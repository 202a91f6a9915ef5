"""The route that answers, over a real index, a real chat endpoint and, where a client leaves, a real server."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi.testclient import TestClient
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from rag_pipelines.catalog.audit import head, newest_lines
from rag_pipelines.catalog.store import Row
from rag_pipelines.service.app import create_app
from rag_pipelines_tests.answers.llm_server import ChatEndpoint, Hang, Say, Send, serve
from rag_pipelines_tests.project import Project
from rag_pipelines_tests.service.conftest import HIDDEN, SETTINGS, running
from rag_pipelines_tests.service.otlp_collector import attributes, collecting
from rag_pipelines_tests.service.test_authentication import bearer, made
from rag_pipelines_tests.service.test_flags import WIDE, flagged, of_knowledge
from rag_pipelines_tests.service.test_observing import samples, value
from rag_pipelines_tests.service.test_search_api import assert_problem

PATH = "/v1/indexes/knowledge/answer"
ROUTE = "/v1/indexes/{index}/answer"
QUESTION = "How many days of paid leave are there a year?"
GOOD = "Everyone has thirty days of paid leave a year [1]."


class Log:
    """The lines that the audit log got of searches and answers since it was last cleared, oldest first."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.since = 0
        self.clear()

    def clear(self) -> None:
        """What is there now does not count."""
        with self.project.workspace() as workspace:
            self.since = (head(workspace.catalog) or (0, ""))[0]

    def lines(self, action: str = "answer") -> list[Row]:
        """Those of one action, with their details read."""
        with self.project.workspace() as workspace:
            rows = newest_lines(workspace.catalog, 1000, action)[::-1]
        return [{**row, "details": json.loads(row["details"])} for row in rows if row["seq"] > self.since]

    def outcomes(self) -> list[str]:
        """How answers ended."""
        return [row["details"]["outcome"] for row in self.lines()]


Told = tuple[TestClient, ChatEndpoint, Log]


@pytest.fixture(scope="module")
def endpoint() -> Iterator[ChatEndpoint]:
    """A chat endpoint, scripted by each test."""
    with serve() as opened:
        yield opened


@contextmanager
def asking(project: Project, **answers: Any) -> Iterator[tuple[TestClient, Log]]:
    """The application with these settings, and what it remembers."""
    project.configure("service", {**SETTINGS, "answers": answers})
    with running(project) as client:
        project.configure("service", SETTINGS)
        yield client, Log(project)


def one(endpoint: ChatEndpoint, **values: Any) -> dict[str, Any]:
    """A provider's configuration."""
    return {"name": "chat", "base_url": endpoint.url, "model": "m", **values}


@pytest.fixture(scope="module")
def chatting(project: Project, endpoint: ChatEndpoint) -> Iterator[Told]:
    """With one provider and no retries."""
    prices = {"prompt": 1, "completion": 1}
    with asking(
        project, providers=[one(endpoint, prices=prices)], retries=0, breaker={"failures": 99}
    ) as both:
        yield both[0], endpoint, both[1]


@pytest.fixture
def told(chatting: Told) -> Told:
    """The same with nothing remembered yet, and no provider at rest."""
    chatting[2].clear()
    app: Any = chatting[0].app
    for breaker in app.state.parts.answerer._breakers.values():
        breaker.succeeded()
    return chatting


def events(text: str) -> list[tuple[str, Any]]:
    """Server-sent events: name and data of each."""
    found = []
    for block in text.removesuffix("\n\n").split("\n\n"):
        name, data = block.split("\n")
        found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


def test_an_answer_with_everything_that_was_agreed(told: Told) -> None:
    client, endpoint, kept = told
    endpoint.does(Say(f"{GOOD} The canteen is open [1]."))
    response = client.post(PATH, json={"query": QUESTION, "k": 3})
    answer = response.json()
    assert response.status_code == 200
    assert answer["request_id"] == response.headers["x-request-id"]
    assert (answer["index"], answer["version"], answer["answerable"]) == ("knowledge", 1, True)
    assert answer["text"] == GOOD
    assert answer["sentences"] == [
        {"text": "Everyone has thirty days of paid leave a year.", "citations": [1], "supported": True}
    ]
    (cited,) = answer["citations"]
    assert (cited["number"], cited["uri"], cited["start"]) == (1, "leave.md", 0)
    assert "thirty days" in cited["text"]
    assert answer["provider"]["name"] == "chat"
    assert answer["usage"]["cost"] == pytest.approx(1050 / 1e6)
    assert (answer["dropped"], answer["reason"]) == (1, None)
    marked = client.post(PATH, json={"query": QUESTION, "unsupported": "mark"}).json()
    assert [sentence["supported"] for sentence in marked["sentences"]] == [True, False]

    (search, _), (line, _) = kept.lines("search"), kept.lines()
    for one in (search, line):
        assert (one["target"], one["actor"], one["tenant"], one["credential"], one["request"]) == (
            "knowledge",
            "user:local",
            "acme",
            "none",
            answer["request_id"],
        )
    details = line["details"]
    assert details["outcome"] == "answered"
    assert cited["doc_id"] in details["documents"]
    assert details["documents"] == search["details"]["documents"]
    assert details["cited"] == [cited["doc_id"]]
    assert (details["provider"], details["usage"]["prompt_tokens"]) == ("chat", 1000)
    assert "thirty" not in json.dumps(line)
    assert QUESTION not in json.dumps(line)


def test_events_of_a_stream(told: Told) -> None:
    client, endpoint, kept = told
    endpoint.does(Say(GOOD))
    response = client.post(PATH, json={"query": QUESTION, "stream": True})
    assert response.headers["content-type"].startswith("text/event-stream")
    (first, start), (second, sentence), (third, end) = events(response.text)
    assert (first, second, third) == ("start", "sentence", "end")
    assert start["request_id"] == end["request_id"] == response.headers["x-request-id"]
    assert [cited["number"] for cited in start["citations"]] == list(range(1, len(start["citations"]) + 1))
    assert sentence == end["sentences"][0]
    assert end["citations"] == start["citations"][:1]
    assert endpoint.requests[0]["stream"] is True
    assert kept.outcomes() == ["answered"]
    assert len(kept.lines("search")) == 1


def test_nothing_that_the_asker_may_not_read_is_sent_anywhere(told: Told) -> None:
    client, endpoint, _ = told
    endpoint.does(Say(GOOD))
    for body in ({}, {"filters": {"source": list(HIDDEN)}}):
        client.post(PATH, json={"query": "Leave this paper alone", "k": 50, **body})
    (sent,) = endpoint.requests
    assert "Leave the press closed" in sent["messages"][1]["content"]
    for name in HIDDEN:
        assert f"this {name} paper" not in json.dumps(sent)


@pytest.mark.parametrize("stream", [False, True])
def test_confidential_text_does_not_reach_a_provider_that_must_not_see_it(
    project: Project, endpoint: ChatEndpoint, stream: bool
) -> None:
    endpoint.does(Say("The press is closed [1]."))
    answers = {"providers": [one(endpoint, max_classification="internal")], "retries": 0}
    cleared = {"tenant": "acme", "groups": ["staff"], "clearance": "confidential"}
    project.configure("service", {**SETTINGS, "principal": cleared, "answers": answers})
    with running(project) as client:
        project.configure("service", SETTINGS)
        body = {"query": "Leave this secret paper alone", "k": 50}
        shown = client.post("/v1/indexes/knowledge/search", json=body).json()["passages"]
        response = client.post(PATH, json={**body, "stream": stream, "unsupported": "mark"})
    assert "Leave this secret paper alone" in json.dumps(shown)
    assert "classification" not in shown[0]
    whole = events(response.text)[-1][1] if stream else response.json()
    (sent,) = endpoint.requests
    assert "Leave the press closed" in json.dumps(sent)
    assert "paper alone" not in sent["messages"][1]["content"].rpartition("Question:")[0]
    (attempt,) = whole["provider"]["attempts"]
    assert attempt["detail"] == f"1 of {len(shown)} passages were withheld from it, being above internal"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("behaviour", "status", "wait", "outcome"),
    [
        (Send(b"{}", 429, headers={"Retry-After": "17"}), 503, "17", "rate_limited"),
        (Send(b"{}", 500), 503, "5", "server_error"),
        (Send(b"nothing to see", kind="application/json"), 502, None, "garbage"),
        (Send(b"{}", 401), 502, None, "refused"),
    ],
)
def test_failures_are_problems(
    told: Told, behaviour: Any, status: int, wait: str | None, outcome: str, stream: bool
) -> None:
    client, endpoint, kept = told
    endpoint.does(behaviour)
    response = client.post(PATH, json={"query": QUESTION, "stream": stream})
    if stream:
        assert response.status_code == 200
        (_, start), (name, body) = events(response.text)
        assert (name, body["status"]) == ("error", status)
        assert body["request_id"] == start["request_id"]
    else:
        body = assert_problem(response, status, "chat", outcome)
        assert response.headers.get("retry-after") == wait
    assert [(one["provider"], one["outcome"]) for one in body["attempts"]] == [("chat", outcome)]
    (line,) = kept.lines()
    assert line["details"]["outcome"] == "failed"
    assert line["details"]["attempts"] == [["chat", outcome]]


def test_a_stream_that_breaks_ends_with_an_error(told: Told) -> None:
    client, endpoint, _ = told
    endpoint.does(Say(f"{GOOD} Seven days move into the next year [1].", cut_after=9))
    names = [name for name, _ in events(client.post(PATH, json={"query": QUESTION, "stream": True}).text)]
    assert names == ["start", "sentence", "error"]


@pytest.mark.parametrize("stream", [False, True])
def test_a_fault_inside_tells_nothing(told: Told, monkeypatch: pytest.MonkeyPatch, stream: bool) -> None:
    client, endpoint, kept = told
    endpoint.does(Say(GOOD))

    def broken(*_: object) -> bool:
        raise RuntimeError("a secret of the inside")

    monkeypatch.setattr("rag_pipelines.answers.support.Supporter.check", broken)
    response = client.post(PATH, json={"query": QUESTION, "stream": stream})
    assert "secret" not in response.text
    assert kept.outcomes() == ["failed"]
    if stream:
        assert [name for name, _ in events(response.text)] == ["start", "error"]
        assert events(response.text)[1][1]["status"] == 500
    else:
        assert_problem(response, 500, "log")


def test_text_that_no_encoding_carries_is_answered(told: Told) -> None:
    client, endpoint, _ = told
    odd = json.dumps(
        {"choices": [{"message": {"content": "Thirty days of \ud800 paid leave\u2028 \x00 a year [1]."}}]}
    )
    endpoint.does(Send(odd.encode()))
    for stream in (False, True):
        response = client.post(PATH, json={"query": QUESTION, "stream": stream, "unsupported": "mark"})
        assert response.status_code == 200
        assert "paid leave" in response.text
        assert "\\ud800" not in response.text


def test_the_response_is_what_the_document_says(told: Told) -> None:
    client, endpoint, _ = told
    endpoint.does(Say(GOOD))
    document = client.get("/openapi.json").json()
    operation = document["paths"][ROUTE]["post"]
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    assert "text/event-stream" in operation["responses"]["200"]["content"]
    answer = client.post(PATH, json={"query": QUESTION}).json()
    Draft202012Validator({**schema, "components": document["components"]}).validate(answer)
    defined = document["components"]["schemas"]["AnswerResponse"]["properties"]
    assert set(answer) <= set(defined)


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"query": " "}, 422, ("query",)),
        ({"query": "x" * 201}, 422, ("query", "200 characters")),
        ({"query": "leave", "k": 51}, 422, ("k", "at most 50")),
        ({"query": "leave", "unsupported": "keep"}, 422, ("unsupported",)),
        ({"query": "leave", "stream": "perhaps"}, 422, ("stream",)),
        ({"query": "leave", "explain": True}, 422, ("explain",)),
        ({"query": "leave", "filters": {"produkt": "x"}}, 400, ("'produkt'",)),
        ({"query": "leave", "version": 9}, 404, ("no published version",)),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_request_that_cannot_be_answered_is_a_problem_before_anything_is_sent(
    told: Told, body: dict[str, Any], status: int, words: tuple[str, ...], stream: bool
) -> None:
    client, endpoint, _ = told
    endpoint.does(Say(GOOD))
    assert_problem(client.post(PATH, json={"stream": stream, **body}), status, *words)
    assert endpoint.requests == []


def test_an_index_that_there_is_not(told: Told) -> None:
    unknown = told[0].post("/v1/indexes/knowlege/answer", json={"query": "leave"})
    assert_problem(unknown, 404, "did you mean 'knowledge'?")


def test_the_scope_is_its_own_and_the_log_names_the_key(project: Project) -> None:
    settings = {name: value for name, value in SETTINGS.items() if name != "principal"}
    project.configure("service", {**settings, "auth": {"mode": "authenticated"}})
    answering, searching = made(project, scopes={"answer"}), made(project, scopes={"search"})
    with running(project) as client:
        project.configure("service", SETTINGS)
        kept = Log(project)
        refused = client.post(PATH, json={"query": QUESTION}, headers=bearer(searching.text))
        assert_problem(refused, 403, "'answer'")
        assert_problem(client.post(PATH, json={"query": QUESTION}), 401)
        assert client.post(PATH, json={"query": QUESTION}, headers=bearer(answering.text)).status_code == 200
        search = client.post(
            "/v1/indexes/knowledge/search", json={"query": QUESTION}, headers=bearer(answering.text)
        )
        assert_problem(search, 403, "'search'")
    (line,) = kept.lines()
    assert (line["actor"], line["tenant"], line["credential"]) == (
        "user:ana",
        "acme",
        f"key:{answering.id}",
    )


@pytest.mark.parametrize(
    ("behaviour", "seconds", "outcome"), [(Send(b"{}", 500), 30, "server_error"), (Hang(), 0.2, "timeout")]
)
def test_sentences_are_quoted_where_no_model_answers(
    project: Project, endpoint: ChatEndpoint, behaviour: Any, seconds: float, outcome: str
) -> None:
    endpoint.does(behaviour)
    settings = {"retries": 0, "seconds": seconds, "fallback": "extractive"}
    with asking(project, providers=[one(endpoint, read_seconds=30)], **settings) as (client, kept):
        answer = client.post(PATH, json={"query": QUESTION}).json()
        streamed = events(client.post(PATH, json={"query": QUESTION, "stream": True}).text)
    assert answer["text"] == GOOD
    assert answer["provider"]["name"] == "extractive"
    assert [attempt["outcome"] for attempt in answer["provider"]["attempts"]] == [outcome, "ok"]
    assert answer["reason"].startswith(f"no model answered, so sentences are quoted: chat: {outcome}")
    assert (answer["usage"]["cost"], answer["prompt"]["hash"]) == (0, None)
    assert [name for name, _ in streamed] == ["start", "sentence", "end"]
    assert kept.lines()[-1]["details"]["provider"] == "extractive"


def test_without_providers_answers_are_quoted(client: TestClient) -> None:
    answer = client.post(PATH, json={"query": QUESTION}).json()
    assert answer["text"] == GOOD
    assert (answer["provider"]["name"], answer["usage"]["prompt_tokens"]) == ("extractive", 0)
    nothing = client.post(PATH, json={"query": QUESTION, "filters": {"product": []}}).json()
    assert (nothing["answerable"], nothing["citations"]) == (False, [])
    assert nothing["reason"] == "the search found no passages"


@contextmanager
def listening(project: Project) -> Iterator[str]:
    """The application behind a real server; its base URL."""
    with project.workspace() as workspace:
        app = create_app(project.environment, workspace.configuration)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with httpx.Client(transport=httpx.HTTPTransport(retries=20)) as client:
            client.get(f"{url}/healthz")
        try:
            yield url
        finally:
            server.should_exit = True
            thread.join()


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_goes_away_ends_the_call(
    project: Project, endpoint: ChatEndpoint, stream: bool
) -> None:
    endpoint.does(Say(f"{GOOD} There is more to come, and more.", hang_after=9) if stream else Hang())
    provider = one(endpoint, read_seconds=60, seconds=60)
    project.configure("service", {**SETTINGS, "answers": {"providers": [provider], "seconds": 60}})
    kept = Log(project)
    sent = json.dumps({"query": QUESTION, "stream": stream}).encode()
    with listening(project) as url:
        with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))) as client:
            head = f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            client.sendall(f"{head}Content-Length: {len(sent)}\r\n\r\n".encode() + sent)
            got = b""
            while stream and b"event: sentence" not in got:
                got += client.recv(65536)
            assert endpoint.came.wait(30)
            assert not endpoint.left.is_set()
        assert endpoint.left.wait(30)
    project.configure("service", SETTINGS)
    assert kept.outcomes() == ["cancelled"]


def test_a_provider_that_takes_too_long_is_a_problem(project: Project, endpoint: ChatEndpoint) -> None:
    endpoint.does(Hang())
    with asking(project, providers=[one(endpoint, read_seconds=0.2)], retries=0) as (client, _):
        assert_problem(client.post(PATH, json={"query": QUESTION}), 503, "nothing came for 0.2 s")


def test_a_variant_that_answers_is_named(project: Project, client: TestClient) -> None:
    assert "variant" not in client.post(PATH, json={"query": QUESTION}).json()
    data = of_knowledge(variants={"wide": WIDE}, rules=[{"groups": ["staff"], "variant": "wide"}])
    with flagged(project, data) as varied:
        answer = varied.post(PATH, json={"query": QUESTION})
        (*_, end) = events(varied.post(PATH, json={"query": QUESTION, "stream": True}).text)
    assert answer.json()["variant"] == "wide"
    assert end[1]["variant"] == "wide"
    assert answer.headers["x-retrieval-variant"] == "wide"


def test_what_answers_cost_and_what_was_refused_is_counted(project: Project, endpoint: ChatEndpoint) -> None:
    endpoint.does(Say(GOOD), Send(b"{}", 500), Say(GOOD))
    prices = {"prompt": 1, "completion": 1}
    with asking(project, providers=[one(endpoint, prices=prices)], retries=0) as (client, _):
        for status in (200, 503):
            assert client.post(PATH, json={"query": QUESTION}).status_code == status
        assert client.post(PATH, json={"query": QUESTION, "stream": True}).status_code == 200
        found = samples(client)
    assert value(found, "rag_provider_attempts_total", provider="chat", outcome="ok") == 2
    assert value(found, "rag_provider_attempts_total", provider="chat", outcome="server_error") == 1
    # By the configured name of the model; the endpoint calls it otherwise.
    for kind, tokens in (("prompt", 2000), ("completion", 100)):
        assert value(found, "rag_tokens_total", provider="chat", model="m", kind=kind) == tokens
    assert value(found, "rag_cost_total", provider="chat", model="m") == pytest.approx(2100 / 1e6)
    labels = {"index": "knowledge", "variant": "", "stage": "answer"}
    assert value(found, "rag_stage_seconds_count", **labels) == 3


def test_refusals_and_lookups_of_a_running_application_are_counted(project: Project) -> None:
    limits = {"per_credential": {"per_second": 0.001, "burst": 4}}
    project.configure("service", {**SETTINGS, "limits": limits, "cache": {"result_megabytes": 0}})
    with running(project) as client:
        project.configure("service", SETTINGS)
        app: Any = client.app
        registry = app.state.parts.metrics.registry

        def lookups(outcome: str) -> float:
            labels = {"cache": "embeddings", "outcome": outcome}
            return registry.get_sample_value("rag_cache_lookups_total", labels) or 0.0

        def ask(query: str) -> int:
            answer = client.post("/v1/indexes/knowledge/search", json={"query": query})
            return answer.status_code

        assert ask("What opens models?") == 200
        before = lookups("miss"), lookups("hit")
        assert [ask("leave") for _ in range(4)] == [200, 200, 200, 429]
        assert (lookups("miss") - before[0], lookups("hit") - before[1]) == (1, 2)
        assert registry.get_sample_value("rag_refusals_total", {"limit": "credential"}) == 1


def test_a_request_that_takes_too_long_is_counted(project: Project, endpoint: ChatEndpoint) -> None:
    endpoint.does(Hang())
    answers = {"providers": [one(endpoint, read_seconds=60, seconds=60)], "seconds": 60}
    project.configure("service", {**SETTINGS, "answers": answers, "limits": {"answer_timeout_seconds": 0.5}})
    with running(project) as client:
        project.configure("service", SETTINGS)
        kept = Log(project)
        assert_problem(client.post(PATH, json={"query": QUESTION}), 504)
        assert value(samples(client), "rag_refusals_total", limit="timeout") == 1
    assert kept.outcomes() == ["cancelled"]


def test_an_answer_is_in_the_tree_of_spans_and_its_words_are_not(
    project: Project,
    endpoint: ChatEndpoint,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    endpoint.does(Say(f"{GOOD} Seven days move into the next year [1]."))
    answers = {"providers": [one(endpoint)], "support": {"terms_weight": 1, "threshold": 0.6}}
    searched = {"telemetry": {"traces": True}, "cache": {"result_megabytes": 0}}
    project.configure("service", {**SETTINGS, "answers": answers, **searched})
    with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        with running(project) as client:
            project.configure("service", SETTINGS)
            for stream in (False, True):
                assert client.post(PATH, json={"query": QUESTION, "stream": stream}).status_code == 200
    roots = [span for span in collector.spans if span.name == f"POST {ROUTE}"]
    below = [[one.name for one in collector.spans if one.parent_span_id == root.span_id] for root in roots]
    assert below == [["retrieve", "answer"], ["retrieve", "answer", "answer", "answer"]]
    said = [attributes(span) for span in collector.spans if span.name == "answer"]
    told = {"rag.provider": "chat", "gen_ai.operation.name": "chat", "gen_ai.request.model": "m"}
    assert said == [told] * 4
    exported = b"".join(collector.bodies)
    for hidden in (QUESTION, "paid leave a year", "Seven days"):
        assert hidden.encode() not in exported
    assert "detach" not in caplog.text

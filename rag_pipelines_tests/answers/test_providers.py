"""A real endpoint on loopback that answers well, badly, late or not at all."""

from __future__ import annotations

import asyncio
import hashlib
import json
import socket
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest

from rag_pipelines.answers.answering import Answerer, Start
from rag_pipelines.answers.failures import AnswerFailed
from rag_pipelines.answers.prompting import BUNDLED
from rag_pipelines.answers.values import Answered, Sentence
from rag_pipelines_tests.answers.asking import (
    GOOD,
    QUESTION,
    READING,
    SENTENCES,
    TEXTS,
    answered,
    config,
    events,
    found,
    provider,
)
from rag_pipelines_tests.answers.llm_server import EVENTS, JSON, Behaviour, ChatEndpoint, Hang, Say, Send

PRICES = {"prompt": 2.0, "completion": 10.0, "currency": "EUR"}
both_ways = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


def outcomes(whole: Answered | AnswerFailed) -> list[tuple[str, str]]:
    """Provider and outcome of each attempt."""
    attempts = whole.attempts if isinstance(whole, AnswerFailed) else whole.written.attempts
    return [(one.provider, one.outcome) for one in attempts]


@both_ways
def test_an_answer_with_citations_tokens_cost_and_the_hash_of_its_prompt(
    endpoint: ChatEndpoint, stream: bool
) -> None:
    endpoint.does(Say(GOOD))
    start, *sentences, whole = events(config(provider(endpoint.url, prices=PRICES)), stream=stream)

    assert isinstance(start, Start)
    assert [one.text for one in start.passages] == list(TEXTS)
    assert sentences == [Sentence(SENTENCES[0], (1,), True), Sentence(SENTENCES[1], (2,), True)]
    assert isinstance(whole, Answered)
    shown = whole.as_json()
    assert shown["answerable"] is True
    assert shown["text"] == GOOD
    assert [(one["number"], one["chunk_id"]) for one in shown["citations"]] == [(1, "1"), (2, "2")]
    assert shown["usage"] == {
        "prompt_tokens": 1000,
        "completion_tokens": 50,
        "cost": pytest.approx(0.0025),
        "currency": "EUR",
        "estimated": False,
    }
    template = (BUNDLED / "answer.v1.jinja").read_bytes()
    assert shown["prompt"] == {"template": "answer.v1", "hash": hashlib.sha256(template).hexdigest()}
    assert (shown["provider"]["name"], shown["provider"]["model"]) == ("first", "m-exact")
    assert outcomes(whole) == [("first", "ok")]
    assert shown["reason"] is None
    (sent,) = endpoint.requests
    assert sent.get("stream", False) is stream
    assert (sent["model"], sent["max_tokens"], sent["temperature"]) == ("m", 600, 0)
    system, user = sent["messages"]
    assert "NO ANSWER" in system["content"]
    assert user["content"].endswith(f"Question: {QUESTION}")
    assert all(text in user["content"] and text not in system["content"] for text in TEXTS)


@both_ways
def test_what_citations_do_not_support_is_left_out_or_marked(endpoint: ChatEndpoint, stream: bool) -> None:
    endpoint.does(
        Say(
            "Everyone has thirty days of leave [1]. Everyone has 30 days of leave [1]. The canteen opens at noon [2]. "
            "Seven days move [7]. Seven days move into the next year. Seven days move into the next year [2]."
        )
    )
    dropped = answered(config(provider(endpoint.url)), stream=stream)
    assert dropped.text == "Everyone has thirty days of leave [1]. Seven days move into the next year [2]."
    assert dropped.dropped == 4
    marked = answered(config(provider(endpoint.url)), stream=stream, unsupported="mark")
    assert [(one.citations, one.supported) for one in marked.sentences] == [
        ((1,), True),
        ((1,), False),
        ((2,), False),
        ((), False),
        ((), False),
        ((2,), True),
    ]
    assert answered(config(provider(endpoint.url), unsupported="mark")).dropped == 0


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("NO ANSWER", "the model found no answer"),
        ("**No answer.**", "the model found no answer"),
        ("The canteen opens at noon [1].", "no sentence was left"),
        ("Everyone has thirty days of paid leave.", "no sentence was left"),
    ],
)
@both_ways
def test_without_a_supported_sentence_there_is_no_answer(
    endpoint: ChatEndpoint, said: str, reason: str, stream: bool
) -> None:
    endpoint.does(Say(said))
    whole = answered(config(provider(endpoint.url)), stream=stream)
    assert (whole.answerable, whole.text, whole.as_json()["citations"]) == (False, "", [])
    assert whole.reason is not None
    assert whole.reason.startswith(reason)
    assert outcomes(whole) == [("first", "ok")]


def test_where_the_search_abstains_nobody_is_asked(endpoint: ChatEndpoint) -> None:
    endpoint.does(Say(GOOD))
    settings = config(provider(endpoint.url))
    unanswerable = answered(settings, found(*TEXTS, answerable=False))
    nothing = answered(settings, replace(found(), passages=()))
    assert endpoint.requests == []
    for whole, words in ((unanswerable, "does not answer"), (nothing, "no passages")):
        assert whole.answerable is False
        assert words in str(whole.reason)
        assert whole.as_json()["provider"] == {"name": None, "model": None, "attempts": []}
        assert whole.as_json()["usage"]["cost"] == 0


BAD_BODIES: dict[str, tuple[Behaviour, str]] = {
    "not json": (Send(b"<html>busy</html>"), "garbage"),
    "nothing": (Send(b""), "garbage"),
    "a list": (Send(b"[]"), "garbage"),
    "no choices": (Send(b'{"choices": []}'), "garbage"),
    "choices of another shape": (Send(b'{"choices": {"0": 1}}'), "garbage"),
    "a message of another shape": (Send(b'{"choices": [{"message": "hello"}]}'), "garbage"),
    "content of another shape": (Send(b'{"choices": [{"message": {"content": 7}}]}'), "garbage"),
    "no content": (Send(b'{"choices": [{"message": {"content": null}}]}'), "empty"),
    "white space": (Send(b'{"choices": [{"message": {"content": " \\n"}}]}'), "empty"),
    "truncated": (Send(b'{"choices": [{"message": {"content": "Every'), "garbage"),
    "latin-1": (Send('{"choices": [{"message": {"content": "Grüße"}}]}'.encode("latin-1")), "garbage"),
    "deep": (Send(b"[" * 100_000), "garbage"),
    "not gzip": (Send(b"plain", headers={"Content-Encoding": "gzip"}), "garbage"),
    "an error with status 200": (Send(b'{"error": {"code": "overloaded"}}'), "server_error"),
    "a refusal": (Send(b'{"choices": [{"message": {"refusal": "I will not"}}]}'), "refused"),
    "a filter": (Say("Everyone", finish="content_filter"), "refused"),
    "too long": (Say("word " * 200), "too_long"),
    "too many bytes": (Send(b" " * 300_000), "too_long"),
    "shorter than announced": (Send(b'{"choices"', headers={"Content-Length": "5000"}), "cut"),
}
BAD_STREAMS: dict[str, tuple[Behaviour, str]] = {
    "cut at once": (Say("Nobody knows of this. And more.", cut_after=0), "cut"),
    "cut": (Say("Nobody knows of this. And more.", cut_after=4), "cut"),
    "not json": (Send(b"data: hello\n\n", kind=EVENTS), "garbage"),
    "latin-1": (Send("data: Grüße\n\n".encode("latin-1"), kind=EVENTS), "garbage"),
    "no end of line": (Send(b"data: " + b"x" * 1_200_000, kind=EVENTS), "too_long"),
    "an error in between": (
        Send(b'data: {"error": {"type": "server_error"}}\n\n', kind=EVENTS),
        "server_error",
    ),
    "a delta of another shape": (Send(b'data: {"choices": [{"delta": [1]}]}\n\n', kind=EVENTS), "garbage"),
    "the end alone": (Send(b"data: [DONE]\n\n", kind=EVENTS), "empty"),
    "hanging": (Say("Nobody knows of this. And more.", hang_after=3), "timeout"),
    "too long": (Say("word " * 200), "too_long"),
    "a page": (Send(b"<html>busy</html>", kind="text/html"), "cut"),
}
BAD: dict[str, tuple[bool | None, Behaviour, str]] = {
    "silent": (None, Hang(), "timeout"),
    "500": (None, Send(b"oops", 500), "server_error"),
    "503": (None, Send(b"{}", 503), "server_error"),
    "429": (None, Send(b"{}", 429, headers={"Retry-After": "30"}), "rate_limited"),
    "401": (None, Send(b'{"error": {"code": "invalid_api_key"}}', 401), "refused"),
    "400": (None, Send(b'{"error": {"type": "context_length_exceeded"}}', 400), "refused"),
    "404": (None, Send(b"", 404), "refused"),
    "301": (None, Send(b"", 301, headers={"Location": "http://127.0.0.1:9/"}), "refused"),
    **{f"body: {name}": (False, *case) for name, case in BAD_BODIES.items()},
    **{f"stream: {name}": (True, *case) for name, case in BAD_STREAMS.items()},
}
CASES = [
    pytest.param(stream, behaviour, outcome, id=f"{name}, {'streamed' if stream else 'whole'}")
    for name, (only, behaviour, outcome) in BAD.items()
    for stream in ((False, True) if only is None else (only,))
]


@pytest.mark.parametrize(("stream", "behaviour", "outcome"), CASES)
def test_whatever_a_provider_does_the_next_one_answers(
    endpoint: ChatEndpoint, other: ChatEndpoint, stream: bool, behaviour: Behaviour, outcome: str
) -> None:
    endpoint.does(behaviour)
    other.does(Say(GOOD))
    first = provider(endpoint.url, read_seconds=0.2 if outcome == "timeout" else 20)
    settings = config(first, provider(other.url, name="second", prices=PRICES), max_answer_chars=500)
    whole = answered(settings, stream=stream)
    assert outcomes(whole) == [("first", outcome), ("second", "ok")]
    assert whole.text == GOOD
    assert whole.dropped == 0
    assert whole.written.attempts[0].detail
    assert len(endpoint.requests) == len(other.requests) == 1

    alone = config(first, max_answer_chars=500)
    with pytest.raises(AnswerFailed) as failed:
        answered(alone, stream=stream)
    assert outcomes(failed.value) == [("first", outcome)]
    passing = {"timeout", "server_error", "rate_limited", "cut"}
    assert failed.value.passing is (outcome in passing)
    assert failed.value.retry_after == (30 if outcome == "rate_limited" else None)
    assert not failed.value.begun


def test_a_dead_provider_and_one_without_its_key(
    endpoint: ChatEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        endpoint.does(Say(GOOD))
        settings = config(
            provider(dead, name="dead"),
            provider(endpoint.url, name="keyless", api_key_env="NO_SUCH_KEY"),
            provider(endpoint.url, name="third"),
        )
        whole = answered(settings)
    assert outcomes(whole) == [("dead", "unreachable"), ("keyless", "no_key"), ("third", "ok")]
    assert "NO_SUCH_KEY is not set" in str(whole.written.attempts[1].detail)
    assert len(endpoint.requests) == 1


def test_a_stream_that_breaks_after_a_sentence_was_given_out_is_not_begun_anew(
    endpoint: ChatEndpoint, other: ChatEndpoint
) -> None:
    other.does(Say(GOOD))
    settings = config(provider(endpoint.url), provider(other.url, name="second"), retries=3)
    endpoint.does(Say(GOOD, cut_after=9))
    with pytest.raises(AnswerFailed, match="broke off") as failed:
        answered(settings, stream=True)
    assert failed.value.begun
    assert failed.value.usage.estimated
    assert failed.value.usage.completion_tokens == len(GOOD[:63].split())
    assert other.requests == []
    endpoint.does(Say(f"Nobody knows this. {GOOD}", cut_after=4))
    whole = answered(config(provider(endpoint.url), provider(other.url, name="second")), stream=True)
    assert (whole.text, whole.dropped) == (GOOD, 0)


def test_one_that_never_ends_is_ended(endpoint: ChatEndpoint) -> None:
    endpoint.does(Say(GOOD, hang_after=2))
    settings = config(provider(endpoint.url, read_seconds=30, seconds=1))
    with pytest.raises(AnswerFailed, match="too long as a whole"):
        answered(settings, stream=True)
    assert endpoint.left.wait(10)
    with pytest.raises(AnswerFailed) as failed:
        answered(config(provider(endpoint.url, read_seconds=30), seconds=0.2), stream=True)
    assert outcomes(failed.value) == [("first", "timeout")]


def test_closing_the_answer_ends_the_call(endpoint: ChatEndpoint) -> None:
    endpoint.does(Say(GOOD, hang_after=9))

    async def leaves() -> list[object]:
        answerer = Answerer(config(provider(endpoint.url, read_seconds=30, seconds=30)), Path())
        seen: list[object] = []
        async with aclosing(answerer.answer(QUESTION, found(), READING, stream=True)) as items:
            async for item in items:
                seen.append(item)
                if isinstance(item, Sentence):
                    break
        await answerer.close()
        return seen

    assert len(asyncio.run(leaves())) == 2
    assert endpoint.left.wait(10)


def test_limits_usage_and_streams_that_end_without_a_word(endpoint: ChatEndpoint) -> None:
    settings = config(provider(endpoint.url, prices=PRICES))
    endpoint.does(Say(GOOD[:70], finish="length"))
    for stream in (False, True):
        whole = answered(settings, stream=stream)
        assert whole.text == "Everyone has thirty days of paid leave [1]."
        assert "limit of tokens" in str(whole.reason)
    endpoint.does(Say(GOOD, usage=None))
    usage = answered(settings).written.usage
    prompt = endpoint.requests[0]["messages"]
    sent = sum(len(message["content"].split()) for message in prompt)
    assert (usage.prompt_tokens, usage.completion_tokens, usage.estimated) == (sent, len(GOOD.split()), True)
    assert usage.cost == pytest.approx((sent * 2 + len(GOOD.split()) * 10) / 1e6)
    assert answered(config(provider(endpoint.url))).written.usage.cost is None
    endpoint.does(Say(GOOD, done=False))
    assert answered(settings, stream=True).text == GOOD
    whole_body = {"choices": [{"message": {"content": GOOD}}]}
    endpoint.does(Send(json.dumps(whole_body).encode(), kind=JSON))
    assert answered(settings, stream=True).text == GOOD


def test_how_keys_travel(endpoint: ChatEndpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", "s3cret")
    endpoint.does(Say(GOOD))
    answered(config(provider(endpoint.url, api_key_env="SOME_KEY")))
    assert endpoint.headers[0]["authorization"] == "Bearer s3cret"
    assert endpoint.paths == ["/v1/chat/completions"]
    azure = {"api": "azure", "api_version": "2024-10-21", "limit_field": "max_completion_tokens"}
    answered(config(provider(endpoint.url, api_key_env="SOME_KEY", temperature=None, **azure)))
    assert endpoint.headers[1]["api-key"] == "s3cret"
    assert "authorization" not in endpoint.headers[1]
    assert endpoint.paths[1] == "/v1/chat/completions?api-version=2024-10-21"
    assert endpoint.requests[1]["max_completion_tokens"] == 600
    assert endpoint.requests[1].keys() & {"max_tokens", "temperature"} == set()
    endpoint.does(Send(b'{"error": {"message": "wrong key s3cret", "code": "s3cret !"}}', 401))
    with pytest.raises(AnswerFailed) as failed:
        answered(config(provider(endpoint.url, api_key_env="SOME_KEY")))
    assert "s3cret" not in str(failed.value)
    monkeypatch.setenv("SOME_KEY", "schlüssel")
    with pytest.raises(AnswerFailed, match="no header can have"):
        answered(config(provider(endpoint.url, api_key_env="SOME_KEY")))

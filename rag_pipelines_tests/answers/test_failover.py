"""Retries, waits and rests, on a clock that the test moves."""

from __future__ import annotations

import asyncio
import contextlib

import httpx
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from rag_pipelines.answers.breaker import LONGEST_REST, Breaker
from rag_pipelines.answers.chat import ChatProvider
from rag_pipelines.answers.costs import Meter
from rag_pipelines.answers.failover import Failover, Progress
from rag_pipelines.answers.failures import AnswerFailed
from rag_pipelines.answers.values import Prompt, Task, Tokens
from rag_pipelines.config.answers import AnswersConfig, BreakerConfig
from rag_pipelines.core.stages import Watch, watched
from rag_pipelines_tests.answers.asking import GOOD, QUESTION, answered, config, events, found, provider
from rag_pipelines_tests.answers.llm_server import ChatEndpoint, Hang, Say, Send

TASK = Task(QUESTION, found().passages, Prompt("t", "h", "system", "user"))
BUSY = Send(b"{}", 429, headers={"Retry-After": "1"})
DOWN = Send(b"{}", 503)


class Clock:
    """Moves only where somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def attempts(settings: AnswersConfig, clock: Clock, breakers: dict[str, Breaker] | None = None) -> list[str]:
    """The outcomes of one request, `name: outcome` each."""

    async def asked() -> list[str]:
        progress = Progress(Meter(lambda text: len(text.split())))
        async with httpx.AsyncClient() as client:
            chain = [ChatProvider(one, client, 10_000) for one in settings.providers]
            failover = Failover(
                chain, breakers or {}, settings, clock=clock, sleep=clock.sleep, jitter=lambda: 1.0
            )
            with contextlib.suppress(AnswerFailed):
                async for _ in failover.answer(TASK, progress):
                    pass
        return [f"{one.provider}: {one.outcome}" for one in progress.attempts]

    return asyncio.run(asked())


def test_retries_wait_longer_each_time_and_are_shared(endpoint: ChatEndpoint, other: ChatEndpoint) -> None:
    endpoint.does(DOWN)
    other.does(DOWN, Say(GOOD))
    clock = Clock()
    settings = config(provider(endpoint.url), provider(other.url, name="second"), retries=3)
    assert attempts(settings, clock) == ["first: server_error"] * 4 + ["second: server_error"]
    assert clock.slept == [0.2, 0.4, 0.8]
    endpoint.does(DOWN, DOWN, Say(GOOD))
    assert attempts(settings, Clock()) == ["first: server_error", "first: server_error", "first: ok"]


def test_a_wait_that_is_asked_for_is_kept_where_it_is_short_and_nobody_else_is_there(
    endpoint: ChatEndpoint, other: ChatEndpoint
) -> None:
    endpoint.does(BUSY, Say(GOOD))
    clock = Clock()
    assert attempts(config(provider(endpoint.url), retries=1), clock) == ["first: rate_limited", "first: ok"]
    assert clock.slept == [1.0]
    endpoint.does(Send(b"{}", 429, headers={"Retry-After": "3"}), Say(GOOD))
    clock = Clock()
    assert attempts(config(provider(endpoint.url), retries=1), clock) == ["first: rate_limited"]
    assert clock.slept == []
    endpoint.does(BUSY)
    other.does(Say(GOOD))
    two = config(provider(endpoint.url), provider(other.url, name="second"), retries=1)
    assert attempts(two, clock) == ["first: rate_limited", "second: ok"]
    assert clock.slept == []


def test_no_retry_where_it_would_help_nothing_or_the_time_is_up(endpoint: ChatEndpoint) -> None:
    for behaviour, outcome in ((Hang(), "timeout"), (Send(b"{}", 401), "refused")):
        endpoint.does(behaviour)
        clock = Clock()
        settings = config(provider(endpoint.url, read_seconds=0.2 if outcome == "timeout" else 20), retries=5)
        assert attempts(settings, clock) == [f"first: {outcome}"]
    endpoint.does(DOWN)
    clock = Clock()
    settings = config(provider(endpoint.url), retries=5, seconds=0.5)
    assert attempts(settings, clock) == ["first: server_error"] * 2
    assert clock.slept == [0.2]


def test_a_provider_that_keeps_failing_rests_and_is_tried_again_once(
    endpoint: ChatEndpoint, other: ChatEndpoint
) -> None:
    endpoint.does(DOWN)
    other.does(Say(GOOD))
    clock = Clock()
    breakers = {"first": Breaker(BreakerConfig(failures=2, seconds=20), clock)}
    settings = config(provider(endpoint.url), provider(other.url, name="second"))
    asked = ["first: server_error", "second: ok"]
    rested = ["first: passed_over", "second: ok"]
    assert [attempts(settings, clock, breakers) for _ in range(3)] == [asked, asked, rested]
    clock.now += 20
    assert [attempts(settings, clock, breakers) for _ in range(2)] == [asked, rested]
    clock.now += 20
    endpoint.does(Say(GOOD), DOWN)
    assert attempts(settings, clock, breakers) == ["first: ok"]
    assert attempts(settings, clock, breakers) == asked
    assert attempts(settings, clock, breakers) == asked
    assert attempts(settings, clock, breakers) == rested


def test_what_rests_a_provider_and_what_does_not() -> None:
    clock = Clock()
    breaker = Breaker(BreakerConfig(failures=1, seconds=20), clock)
    for outcome in ("refused", "no_key", "empty", "too_long"):
        breaker.failed(outcome, None)
        assert breaker.rests() == 0
    breaker.failed("rate_limited", 7)
    assert breaker.rests() == 7
    clock.now += 7
    assert breaker.rests() == 0
    assert breaker.rests() == 20
    breaker.succeeded()
    assert breaker.rests() == 0
    breaker.failed("rate_limited", 10_000)
    assert breaker.rests() == LONGEST_REST


@pytest.mark.parametrize(
    ("value", "wait"),
    [("5", 5.0), ("0", 0.0), ("-3", 0.0), ("1e9", 86400.0), ("inf", 86400.0), ("nan", None), ("soon", None)],
)
def test_forms_of_retry_after(value: str, wait: float | None) -> None:
    from rag_pipelines.answers.completions import refusal

    assert refusal(httpx.Response(429, headers={"Retry-After": value}), b"").retry_after == wait


@pytest.mark.parametrize("stream", [False, True])
def test_a_stage_lasts_while_a_provider_is_waited_for(
    endpoint: ChatEndpoint, other: ChatEndpoint, stream: bool
) -> None:
    endpoint.does(DOWN)
    other.does(Say(GOOD))
    settings = config(provider(endpoint.url), provider(other.url, name="second", model="large"))
    exporter = InMemorySpanExporter()
    tracing = TracerProvider()
    tracing.add_span_processor(SimpleSpanProcessor(exporter))
    with watched(Watch(tracing.get_tracer("test"))) as watch:
        events(settings, stream=stream)
    spans = exporter.get_finished_spans()
    first, *seconds = [dict(span.attributes or {}) for span in spans]
    assert {span.name for span in spans} == {"answer"}
    assert first == {
        "rag.provider": "first",
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "m",
        "error.type": "ProviderFailed",
    }
    # Streamed, each of the two sentences is waited for, and the end.
    told = {"rag.provider": "second", "gen_ai.operation.name": "chat", "gen_ai.request.model": "large"}
    assert seconds == [told] * (3 if stream else 1)
    assert set(watch.spent) == {"answer"}


def test_each_call_has_its_own_bill(endpoint: ChatEndpoint, other: ChatEndpoint) -> None:
    endpoint.does(Say(GOOD, finish="content_filter"))
    other.does(Say(GOOD))
    prices = {"prompt": 2, "completion": 10}
    first, second = answered(
        config(provider(endpoint.url), provider(other.url, name="second", model="large", prices=prices))
    ).written.bills
    assert (first.provider, first.model, first.tokens.estimated, first.cost) == ("first", "m", True, None)
    assert (second.provider, second.model, second.tokens) == ("second", "large", Tokens(1000, 50))
    assert second.cost == pytest.approx(0.0025)
    other.does(DOWN)
    with pytest.raises(AnswerFailed) as failed:
        answered(config(provider(endpoint.url), provider(other.url, name="second")))
    assert [bill.provider for bill in failed.value.bills] == ["first"]

"""Waits, Retry-After, and events cut anywhere, with literal values."""

from __future__ import annotations

from datetime import UTC, datetime

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipelines.client.errors import RateLimited, UnexpectedResponse, Unreachable
from rag_pipelines.client.events import MAX_EVENT, AnswerEvents
from rag_pipelines.client.retrying import Retry, Tries, retry_after
from rag_pipelines.client.types import AnswerEvent
from rag_pipelines_tests.client.stub import whole_stream

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def refused(seconds: float | None = None) -> RateLimited:
    return RateLimited(429, "Too Many Requests", "", retry_after=seconds)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("0", 0.0),
        ("120", 120.0),
        ("Mon, 02 Mar 2026 12:00:30 GMT", 30.0),
        ("Mon, 02 Mar 2026 11:00:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("nan", None),
    ],
)
def test_retry_after_in_both_forms(value: str | None, seconds: float | None) -> None:
    assert retry_after(value, lambda: NOON) == seconds


def test_waits_double_up_to_the_longest_and_take_a_random_part() -> None:
    tries = Tries(Retry(attempts=6, first_wait=1.0, longest_wait=5.0), True, lambda: 0.0, lambda: 0.5)
    waits = []
    for _ in range(5):
        tries.begin()
        waits.append(tries.wait(refused(), True))
    assert waits == [0.5, 1.0, 2.0, 2.5, 2.5]
    tries.begin()
    with pytest.raises(RateLimited):
        tries.wait(refused(), True)


def test_budget_counts_from_the_first_sending() -> None:
    times = iter([100.0, 104.0, 108.0])
    tries = Tries(Retry(budget=10.0), True, lambda: next(times), lambda: 1.0)
    tries.begin()
    assert tries.wait(refused(6.0), True) == 6.0
    tries.begin()
    with pytest.raises(RateLimited):
        tries.wait(refused(2.5), True)


def test_which_errors_may_be_repeated() -> None:
    reading, acting = Tries(Retry(), True), Tries(Retry(), False)
    for error in (httpx.ConnectError(""), httpx.ConnectTimeout(""), httpx.PoolTimeout("")):
        assert reading.may_repeat_error(error)
        assert acting.may_repeat_error(error)
    for broken in (httpx.ReadError(""), httpx.RemoteProtocolError("")):
        assert reading.may_repeat_error(broken)
        assert not acting.may_repeat_error(broken)
    assert not reading.may_repeat_error(httpx.ReadTimeout(""))


@given(st.lists(st.integers(0, 3000), max_size=20), st.sampled_from([b"\n", b"\r\n", b"\r"]))
def test_events_are_the_same_however_they_are_cut_and_whatever_ends_a_line(
    cuts: list[int], end: bytes
) -> None:
    data = "".join(whole_stream()).encode().replace(b"\n", end) + end
    expected = list(AnswerEvents("x").feed("".join(whole_stream()).encode()))
    events, last = AnswerEvents("x"), 0
    found: list[AnswerEvent] = []
    for cut in [*sorted(cuts), len(data)]:
        found += events.feed(data[last:cut])
        last = max(last, cut)
    found += events.feed(b"\n")
    assert len(expected) == 4
    assert found == expected
    events.finish()


def test_an_endless_event_is_refused() -> None:
    with pytest.raises(UnexpectedResponse, match="bytes"):
        list(AnswerEvents("x").feed(b"data: " + b"x" * MAX_EVENT))
    with pytest.raises(Unreachable):
        AnswerEvents("x").finish()


@pytest.mark.parametrize("values", [{"attempts": 0}, {"budget": -1.0}, {"first_wait": -0.1}])
def test_impossible_retries_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="Retry"):
        Retry(**values)  # type: ignore[arg-type]

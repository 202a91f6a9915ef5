"""Token buckets and the limits made of them, with a clock of the test's own."""

from __future__ import annotations

import pytest
from fastapi import HTTPException

from rag_pipelines.config.limits import LimitsConfig, RateConfig
from rag_pipelines.service.buckets import TokenBuckets, retry_after
from rag_pipelines.service.limits import Limits


class Clock:
    """Moves when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def refused(
    limits: Limits, tenant: str = "acme", subject: str = "ana", credential: str = "key:1"
) -> str | None:
    """The seconds to wait, None for an admitted request."""
    try:
        limits.admit(tenant, subject, credential)
    except HTTPException as error:
        return (error.headers or {})["Retry-After"] if error.status_code == 429 else str(error)
    return None


def failing(limits: Limits, address: str | None, status: int = 401) -> int:
    """The status that a failed attempt ends with."""
    with pytest.raises(HTTPException) as raised, limits.attempt(address):
        raise HTTPException(status)
    return raised.value.status_code


def test_a_bucket_gives_its_burst_and_then_what_flows_in() -> None:
    clock = Clock()
    buckets = TokenBuckets(RateConfig(per_second=2, burst=3), 10, clock)
    assert [buckets.take("a") for _ in range(5)] == [0, 0, 0, 0.5, 0.5]
    assert buckets.take("b") == 0
    clock.now += 0.25
    assert buckets.take("a") == 0.25
    clock.now += 0.25
    assert [buckets.take("a"), buckets.take("a")] == [0, 0.5]
    clock.now += 1000
    assert [buckets.take("a") for _ in range(4)] == [0, 0, 0, 0.5]


def test_the_bucket_not_heard_of_for_longest_is_forgotten() -> None:
    buckets = TokenBuckets(RateConfig(per_second=1, burst=1), 2, Clock())
    assert buckets.take("a") == 0
    assert buckets.take("b") == 0
    assert buckets.take("a") == 1
    assert buckets.take("c") == 0
    assert len(buckets) == 2
    assert buckets.take("a") == 1
    assert buckets.take("b") == 0


def test_seconds_are_rounded_up_for_the_header() -> None:
    assert [retry_after(seconds) for seconds in (0.01, 1, 1.2, 59.9)] == ["1", "1", "2", "60"]


def test_every_credential_has_its_own_limit_and_the_tenant_one_for_all() -> None:
    clock = Clock()
    limits = Limits(
        LimitsConfig(
            per_credential=RateConfig(per_second=0.5, burst=2), per_tenant=RateConfig(per_second=1, burst=3)
        ),
        clock,
    )
    assert [refused(limits) for _ in range(3)] == [None, None, "2"]
    assert refused(limits, credential="key:2") is None
    assert refused(limits, subject="bo") == "1"  # the tenant's third is gone
    assert refused(limits, tenant="globex") is None
    clock.now += 1
    assert refused(limits, subject="bo") is None
    # Refused by the tenant, "bo" kept the token of the credential, and has its second one still.
    clock.now += 1
    assert refused(limits, subject="bo") is None


def test_without_limits_nobody_is_refused() -> None:
    limits = Limits(LimitsConfig(), Clock())
    assert {refused(limits) for _ in range(1000)} == {None}


def test_failed_attempts_are_limited_for_an_address_and_good_ones_never() -> None:
    clock = Clock()
    limits = Limits(LimitsConfig(failed_attempts=RateConfig(per_second=0.1, burst=2)), clock)
    assert [failing(limits, "10.0.0.1") for _ in range(3)] == [401, 401, 429]
    with limits.attempt("10.0.0.1"):
        pass
    assert failing(limits, "10.0.0.1", 403) == 403
    assert failing(limits, "10.0.0.2") == 401
    assert failing(limits, "::ffff:10.0.0.1") == 429
    clock.now += 10
    assert [failing(limits, "10.0.0.1") for _ in range(2)] == [401, 429]


def test_addresses_of_one_ipv6_network_count_together() -> None:
    limits = Limits(LimitsConfig(failed_attempts=RateConfig(per_second=0.1, burst=1)), Clock())
    assert failing(limits, "2001:db8::1") == 401
    assert failing(limits, "2001:db8::ffff:2") == 429
    assert failing(limits, "2001:db8:0:1::1") == 401
    assert [failing(limits, None), failing(limits, "no address")] == [401, 429]


def test_which_limit_refused_is_told_each_time() -> None:
    told: list[str] = []
    config = LimitsConfig(
        per_credential=RateConfig(per_second=1, burst=1),
        per_tenant=RateConfig(per_second=1, burst=2),
        failed_attempts=RateConfig(per_second=1, burst=1),
    )
    limits = Limits(config, Clock(), refused=told.append)
    for subject in ("ana", "ana", "bo", "cy"):
        refused(limits, subject=subject)
    for _ in range(3):
        failing(limits, "10.0.0.1")
    assert told == ["credential", "tenant", "address", "address"]

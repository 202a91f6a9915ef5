"""When a request is sent again, and after how long."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

from rag_pipelines.client.errors import Problem, RagClientError

REFUSED = {429, 503}
"""The service did nothing with the request, so that any may be sent again."""
BROKEN = {502, 504}
"""Something between failed, perhaps after the service had acted."""


@dataclass(frozen=True, slots=True)
class Retry:
    """At most `attempts` sendings within `budget` seconds; without `Retry-After` a random part of a growing wait.

    A `Retry-After` beyond the budget ends the trying at once, since coming back earlier would be refused again.
    """

    attempts: int = 4
    budget: float = 30.0
    first_wait: float = 0.25
    longest_wait: float = 8.0

    def __post_init__(self) -> None:
        if self.attempts < 1 or min(self.budget, self.first_wait, self.longest_wait) < 0:
            raise ValueError("Retry: attempts must be at least 1, and no time below 0")


@dataclass(slots=True)
class Tries:
    """The sendings of one request. `repeatable` ones change nothing and cost nothing to do twice."""

    retry: Retry
    repeatable: bool
    clock: Callable[[], float] = time.monotonic
    chance: Callable[[], float] = random.random
    sent: int = 0
    began: float = field(default=math.nan)

    def begin(self) -> None:
        """Count one sending."""
        self.sent += 1
        if self.sent == 1:
            self.began = self.clock()

    def wait(self, failure: RagClientError, may_repeat: bool) -> float:
        """Seconds until the next sending. Raises the failure where there is none."""
        grown = min(self.retry.longest_wait, self.retry.first_wait * 2.0 ** (self.sent - 1))
        asked = failure.retry_after if isinstance(failure, Problem) else None
        seconds = grown * self.chance() if asked is None else asked
        late = self.clock() - self.began + seconds > self.retry.budget
        if not may_repeat or late or self.sent >= self.retry.attempts:
            raise failure
        return seconds

    def may_repeat_status(self, status: int) -> bool:
        """Whether a response of this status leaves it open to send again."""
        return status in REFUSED or (self.repeatable and status in BROKEN)

    def may_repeat_error(self, error: httpx.RequestError) -> bool:
        """Whether it never got there, or may get there twice. A slow answer is not asked for again."""
        if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)):
            return True
        broke_off = isinstance(error, (httpx.NetworkError, httpx.RemoteProtocolError))
        return self.repeatable and broke_off


def retry_after(value: str | None, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> float | None:
    """Seconds that a `Retry-After` header asks for, in either of its forms; None for none or nonsense."""
    if value is None:
        return None
    try:
        seconds = float(value) if value.strip().isdecimal() else _until(value, now())
    except (ValueError, TypeError, OverflowError):
        return None
    return max(0.0, seconds)


def _until(value: str, now: datetime) -> float:
    moment = parsedate_to_datetime(value)
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now).total_seconds()

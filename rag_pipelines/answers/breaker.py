"""Passes over a provider that keeps failing, so that requests do not wait for it one after the other."""

from __future__ import annotations

import time
from collections.abc import Callable

from rag_pipelines.answers.failures import HARMFUL, RATE_LIMITED
from rag_pipelines.config.answers import BreakerConfig

LONGEST_REST = 300.0
"""However long a provider asks to be left alone, it is tried after so many seconds."""


class Breaker:
    """Of one provider, for all requests of a process. Used in one event loop only, so it needs no lock."""

    def __init__(self, config: BreakerConfig, clock: Callable[[], float] = time.monotonic) -> None:
        self._config = config
        self._clock = clock
        self._failures = 0
        self._until: float | None = None

    def rests(self) -> float:
        """Seconds for which the provider is still left alone; 0 where it may be asked.

        After a rest one request is let through. The others wait as long again, or until that one succeeds.
        """
        now = self._clock()
        if self._until is None:
            return 0.0
        if now < self._until:
            return self._until - now
        self._until = now + self._config.seconds
        return 0.0

    def succeeded(self) -> None:
        """It answered."""
        self._failures, self._until = 0, None

    def failed(self, outcome: str, retry_after: float | None) -> None:
        """It did not. A refused request says nothing of the provider; a limit of its rate opens at once."""
        if outcome == RATE_LIMITED and retry_after is not None:
            self._until = self._clock() + min(retry_after, LONGEST_REST)
        elif outcome in HARMFUL:
            self._failures += 1
            if self._failures >= self._config.failures:
                self._until = self._clock() + self._config.seconds

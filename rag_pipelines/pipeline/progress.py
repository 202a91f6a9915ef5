"""Progress reporters that need no terminal."""

from __future__ import annotations

import logging
import time

logger = logging.getLogger(__name__)


class Silent:
    """Reports nothing."""

    def start(self, stage: str, total: int | None) -> None:
        """Nothing."""

    def advance(self, stage: str, amount: int = 1) -> None:
        """Nothing."""

    def finish(self, stage: str) -> None:
        """Nothing."""


class LogProgress:
    """A log line when a stage starts and ends, and every `seconds` in between."""

    def __init__(self, log: logging.Logger | None = None, seconds: float = 10.0) -> None:
        self._log = log or logger
        self._seconds = seconds
        self._state: dict[str, tuple[int, int | None, float, float]] = {}

    def start(self, stage: str, total: int | None) -> None:
        """Remember the stage and its size."""
        moment = time.monotonic()
        self._state[stage] = (0, total, moment, moment)
        if total:
            self._log.info("stage=%s total=%s started", stage, total)

    def advance(self, stage: str, amount: int = 1) -> None:
        """Log at most once every `seconds`."""
        if stage not in self._state:
            return
        done, total, began, told = self._state[stage]
        done += amount
        moment = time.monotonic()
        if moment - told >= self._seconds:
            rate = done / max(moment - began, 1e-9)
            self._log.info("stage=%s done=%s total=%s per_second=%.1f", stage, done, total, rate)
            told = moment
        self._state[stage] = (done, total, began, told)

    def finish(self, stage: str) -> None:
        """Log the result of a stage that did something."""
        done, _, began, _ = self._state.pop(stage, (0, None, 0.0, 0.0))
        if done:
            self._log.info("stage=%s done=%s seconds=%.2f", stage, done, time.monotonic() - began)


def elapsed_ms(began: float) -> int:
    """Milliseconds since `time.monotonic()` said `began`, as stages keep them with their counts."""
    return round((time.monotonic() - began) * 1000)

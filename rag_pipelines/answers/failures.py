"""How providers fail, and what is said where all of them did."""

from __future__ import annotations

from collections.abc import Sequence

from rag_pipelines.answers.values import Attempt, Bill, Usage
from rag_pipelines.core.errors import RagPipelinesError

UNREACHABLE, TIMEOUT, RATE_LIMITED, SERVER_ERROR = "unreachable", "timeout", "rate_limited", "server_error"
REFUSED, GARBAGE, EMPTY, CUT, TOO_LONG = "refused", "garbage", "empty", "cut", "too_long"
NO_KEY, OPEN, NO_TIME, WITHHELD, OK = "no_key", "passed_over", "no_time", "withheld", "ok"
PASSING = frozenset({UNREACHABLE, TIMEOUT, RATE_LIMITED, SERVER_ERROR, OPEN, NO_TIME, CUT})
"""Outcomes of which a later request may find nothing."""

RETRIED = frozenset({UNREACHABLE, RATE_LIMITED, SERVER_ERROR, CUT, GARBAGE, EMPTY})
"""Outcomes after which the same provider is asked again; one that was slow would be slow again."""

HARMFUL = frozenset({UNREACHABLE, TIMEOUT, SERVER_ERROR, GARBAGE, CUT})
"""Outcomes that say something of the provider and not of the question, for the breaker."""


class ProviderFailed(Exception):
    """One call that came to nothing; the message holds no text of anybody.

    `written` is what had come, to estimate its tokens; `retry_after` are the seconds that the endpoint asked to wait.
    """

    def __init__(
        self, outcome: str, detail: str, *, retry_after: float | None = None, written: str = ""
    ) -> None:
        super().__init__(detail)
        self.outcome = outcome
        self.detail = detail
        self.retry_after = retry_after
        self.written = written


class AnswerFailed(RagPipelinesError):
    """No provider answered. `passing` where asking again may help, after `retry_after` seconds.

    `begun` where sentences had been given out before; `bills` are of the calls that `usage` sums up.
    """

    def __init__(
        self,
        attempts: Sequence[Attempt],
        usage: Usage,
        *,
        retry_after: float | None = None,
        begun: bool = False,
        bills: Sequence[Bill] = (),
    ) -> None:
        self.attempts = tuple(attempts)
        self.usage = usage
        self.retry_after = retry_after
        self.passing = any(one.outcome in PASSING for one in attempts)
        self.begun = begun
        self.bills = tuple(bills)
        what = "the answer broke off" if begun else "no provider answered"
        advice = "try again later, or search instead" if self.passing else "see `answers.providers`"
        super().__init__(f"{what}: {told(attempts)}; {advice}")


def told(attempts: Sequence[Attempt]) -> str:
    """Attempts that failed, in words."""
    return "; ".join(f"{one.provider}: {one.outcome} ({one.detail})" for one in attempts if one.outcome != OK)

"""One provider after the other, with retries and a time that all of them share."""

from __future__ import annotations

import asyncio
import logging
import math
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from rag_pipelines.answers.breaker import Breaker
from rag_pipelines.answers.costs import Meter
from rag_pipelines.answers.failures import (
    NO_TIME,
    OK,
    OPEN,
    RATE_LIMITED,
    RETRIED,
    TIMEOUT,
    WITHHELD,
    AnswerFailed,
    ProviderFailed,
)
from rag_pipelines.answers.providers import Provider
from rag_pipelines.answers.values import Attempt, Draft, Finish, Task
from rag_pipelines.config.answers import AnswersConfig
from rag_pipelines.core.stages import stage

logger = logging.getLogger(__name__)
FIRST_DELAY = 0.2


@dataclass(frozen=True, slots=True)
class Begun:
    """A provider begins; what another one wrote before does not count."""

    provider: Provider


@dataclass(slots=True)
class Progress:
    """Of one request. `given` is set by whoever passes sentences on: from then on no other provider can begin."""

    meter: Meter
    attempts: list[Attempt] = field(default_factory=list)
    given: bool = False
    waits: list[float] = field(default_factory=list)


class Failover:
    """The providers of one request, in order. Breakers outlive it; clock, sleep and jitter are replaced in tests."""

    def __init__(
        self,
        providers: Sequence[Provider],
        breakers: Mapping[str, Breaker],
        config: AnswersConfig,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._providers = providers
        self._breakers = breakers
        self._config = config
        self._clock = clock
        self._sleep = sleep
        self._jitter = jitter

    async def answer(self, task: Task, progress: Progress) -> AsyncGenerator[Begun | Draft | Finish, None]:
        """Of the first provider that ends well; where the task is not streamed, of no other. Raises AnswerFailed."""
        deadline = self._clock() + self._config.seconds
        retries = self._config.retries
        for place, provider in enumerate(self._providers):
            last = place == len(self._providers) - 1
            tries = 0
            while True:
                failure = None
                async with aclosing(self._tried(provider, task, progress, deadline)) as items:
                    async for item in items:
                        if isinstance(item, ProviderFailed):
                            failure = item
                        else:
                            yield item
                if failure is None:
                    return
                if progress.given:
                    raise self._failed(progress, failure.retry_after, begun=True)
                delay = self._delay(failure, tries, last)
                tries += 1
                if delay is None or not retries or self._clock() + delay >= deadline:
                    break
                retries -= 1
                await self._sleep(delay)
        raise self._failed(progress, min(progress.waits, default=None))

    def _failed(self, progress: Progress, wait: float | None, *, begun: bool = False) -> AnswerFailed:
        meter = progress.meter
        return AnswerFailed(progress.attempts, meter.usage, retry_after=wait, begun=begun, bills=meter.bills)

    def _delay(self, failure: ProviderFailed, tries: int, last: bool) -> float | None:
        """Seconds until the same provider is asked again; None where the next one is asked instead."""
        if failure.outcome not in RETRIED or (failure.outcome == RATE_LIMITED and not last):
            return None
        backoff = FIRST_DELAY * 2.0**tries * (0.5 + self._jitter() / 2)
        delay = max(failure.retry_after, backoff) if failure.retry_after is not None else backoff
        return delay if delay <= self._config.longest_wait_seconds else None

    async def _tried(
        self, provider: Provider, task: Task, progress: Progress, deadline: float
    ) -> AsyncGenerator[Begun | Draft | Finish | ProviderFailed, None]:
        """One attempt, recorded. The last item is a Finish, or why there is none."""
        began = self._clock()
        task = task.within(provider.ceiling)
        withheld = _withheld(task, provider)
        breaker = self._breakers.get(provider.name)
        kept: list[Draft | Finish] = []
        came: list[str] = []
        if math.isinf(provider.seconds):
            deadline = math.inf  # one that calls nobody is still there when the time for calls is used up
        try:
            if task.withheld and len(task.withheld) == len(task.passages):
                raise ProviderFailed(WITHHELD, "there was nothing else to read")
            self._check(began, deadline, breaker)
            yield Begun(provider)
            until = min(deadline, began + provider.seconds)
            async with aclosing(self._items(provider, task, until, came)) as items:
                async for item in items:
                    if isinstance(item, Finish):
                        await progress.meter.finished(provider, task, item)
                    if task.stream:
                        yield item
                    else:
                        kept.append(item)
        except ProviderFailed as error:
            detail = "; ".join(filter(None, (error.detail, withheld)))
            self._record(progress, provider, error.outcome, began, detail)
            if error.retry_after is not None:
                progress.waits.append(error.retry_after)
            if breaker is not None and error.outcome not in (OPEN, NO_TIME, WITHHELD):
                breaker.failed(error.outcome, error.retry_after)
            await progress.meter.failed(provider, task, error.written or " ".join(came))
            yield error
            return
        if breaker is not None:
            breaker.succeeded()
        self._record(progress, provider, OK, began, withheld)
        for item in kept:
            yield item

    def _check(self, now: float, deadline: float, breaker: Breaker | None) -> None:
        if now >= deadline:
            raise ProviderFailed(NO_TIME, f"the request's {self._config.seconds:g} s were used up")
        rest = breaker.rests() if breaker is not None else 0.0
        if rest:
            raise ProviderFailed(OPEN, "it failed before and is left alone for now", retry_after=rest)

    async def _items(
        self, provider: Provider, task: Task, until: float, came: list[str]
    ) -> AsyncGenerator[Draft | Finish, None]:
        """All at once, or each as it comes where the task is streamed; `came` is told of the texts in any case.

        A stage lasts while the provider is waited for, and not while somebody reads what it wrote.
        """
        ended = False
        async with aclosing(provider.answer(task)) as items:
            while not ended:
                batch: list[Draft | Finish] = []
                left = until - self._clock()
                with stage("answer", _about(provider)):
                    try:
                        async with asyncio.timeout(None if math.isinf(left) else left):
                            async for item in items:
                                batch.append(item)
                                if isinstance(item, Draft):
                                    came.append(item.text)
                                if task.stream:
                                    break
                    except TimeoutError as error:
                        raise ProviderFailed(TIMEOUT, "the answer took too long as a whole") from error
                for item in batch:
                    yield item
                ended = not batch or isinstance(batch[-1], Finish)

    def _record(
        self, progress: Progress, provider: Provider, outcome: str, began: float, detail: str | None
    ) -> None:
        seconds = round(self._clock() - began, 3)
        progress.attempts.append(Attempt(provider.name, outcome, seconds, detail))
        if outcome != OK:
            logger.warning("provider=%s outcome=%s seconds=%s %s", provider.name, outcome, seconds, detail)


def _withheld(task: Task, provider: Provider) -> str | None:
    """What is told of passages that the provider did not get."""
    if not task.withheld or provider.ceiling is None:
        return None
    return (
        f"{len(task.withheld)} of {len(task.passages)} passages were withheld from it, being above "
        f"{provider.ceiling.value}"
    )


def _about(provider: Provider) -> dict[str, str]:
    """Of a span: who is asked, by the names of the configuration."""
    if provider.model is None:
        return {"rag.provider": provider.name}
    return {
        "rag.provider": provider.name,
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": provider.model,
    }

"""Tokens and their price, over all calls of a request."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from rag_pipelines.answers.providers import Provider
from rag_pipelines.answers.values import Bill, Finish, Task, Tokens, Usage

MILLION = 1_000_000


class Meter:
    """Counts as endpoints say, else with the index's tokenizer. A call that broke off is billed for what came."""

    def __init__(self, count: Callable[[str], int]) -> None:
        self._count = count
        self._usage = Usage()
        self._bills: list[Bill] = []

    @property
    def usage(self) -> Usage:
        """So far."""
        return self._usage

    @property
    def bills(self) -> tuple[Bill, ...]:
        """Of the calls so far that took tokens, in order."""
        return tuple(self._bills)

    async def finished(self, provider: Provider, task: Task, finish: Finish) -> None:
        """A call that ended well."""
        self._add(provider, finish.tokens or await self._estimated(task, finish.written))

    async def failed(self, provider: Provider, task: Task, written: str) -> None:
        """A call that did not; where nothing had come, nothing is counted."""
        if written:
            self._add(provider, await self._estimated(task, written))

    async def _estimated(self, task: Task, written: str) -> Tokens:
        sent = f"{task.prompt.system}\n{task.prompt.user}" if task.prompt is not None else ""
        prompt, completion = await asyncio.to_thread(lambda: (self._count(sent), self._count(written)))
        return Tokens(prompt, completion, estimated=True)

    def _add(self, provider: Provider, tokens: Tokens) -> None:
        before, prices = self._usage, provider.prices
        billed = tokens.prompt + tokens.completion > 0
        spent = None
        if prices is not None:
            spent = (tokens.prompt * prices.prompt + tokens.completion * prices.completion) / MILLION
        if billed:
            self._bills.append(Bill(provider.name, provider.model or "", tokens, spent))
        cost, currency = before.cost, before.currency
        if prices is None or spent is None:
            cost = None if billed else cost
        elif billed and cost is not None:
            # Sums of two currencies mean nothing.
            same = currency in (None, prices.currency)
            cost, currency = (cost + spent, prices.currency) if same else (None, None)
        self._usage = Usage(
            before.prompt_tokens + tokens.prompt,
            before.completion_tokens + tokens.completion,
            cost,
            currency if cost is not None else None,
            before.estimated or tokens.estimated,
        )

"""What writes answers: the port."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Protocol

from rag_pipelines.answers.values import Draft, Finish, Task
from rag_pipelines.config.answers import PricesConfig
from rag_pipelines.core.types import Classification


class Provider(Protocol):
    """Writes an answer from passages. One is shared by all requests."""

    @property
    def name(self) -> str:
        """As configured."""

    @property
    def model(self) -> str | None:
        """The configured one; None where there is none."""

    @property
    def seconds(self) -> float:
        """That one call may take; infinite where nobody is called."""

    @property
    def prices(self) -> PricesConfig | None:
        """None where they are not known."""

    @property
    def ceiling(self) -> Classification | None:
        """The highest classification of what it may read; None where it may read everything."""

    def answer(self, task: Task) -> AsyncGenerator[Draft | Finish, None]:
        """Sentences as they become whole, then one Finish. Closing the iterator ends the call.

        Raises ProviderFailed.
        """

"""What is remembered of what people did and asked, and for how long."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from rag_pipelines.config.base import Model
from rag_pipelines.config.models import Duration

Variable = Annotated[str, Field(pattern=r"^[A-Z_][A-Z0-9_]*$")]


class AuditConfig(Model):
    """The chain of who did what; `strict` answers a request once its line is on the disk, `fast` before."""

    mode: Literal["strict", "fast"] = "strict"
    queue: int = Field(
        default=10_000,
        ge=1,
        le=1_000_000,
        description="lines that wait to be written at most; then requests wait",
    )
    key_env: Variable | None = Field(
        default=None, description="variable with the key that lines are signed with, 32 characters at least"
    )
    old_key_envs: tuple[Variable, ...] = Field(
        default=(), description="variables with earlier keys, oldest first, to verify what they signed"
    )
    keep: Literal["forever"] | Duration = Field(default="forever", description="older lines are trimmed")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.old_key_envs and self.key_env is None:
            raise ValueError("old_key_envs needs key_env: a chain that was signed goes on being signed")
        return self


class QueriesConfig(Model):
    """How long is kept what people asked, which passages they got, and what they said of them."""

    keep: Literal["none", "forever"] | Duration = Field(
        default="30d", validate_default=True, description="the text of a query; `none` never stores it"
    )
    keep_searches: Literal["forever"] | Duration = Field(
        default="365d",
        validate_default=True,
        description="who searched when, and which passages were returned",
    )
    keep_feedback: Literal["forever"] | Duration = "forever"

    @property
    def stores_text(self) -> bool:
        """Whether the text of a query is written down at all."""
        return self.keep != "none"


def span(keep: str | timedelta) -> timedelta | None:
    """How long, None for ever."""
    return keep if isinstance(keep, timedelta) else None

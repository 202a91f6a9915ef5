"""`configs/service.yaml`: where the query service listens, whom it serves, and what a request may cost."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from rag_pipelines.config.answers import AnswersConfig
from rag_pipelines.config.base import Model
from rag_pipelines.config.models import Tenant
from rag_pipelines.core.types import Classification


class PrincipalConfig(Model):
    """Who asks, until callers authenticate."""

    subject: str = Field(default="local", min_length=1)
    tenant: Tenant
    groups: tuple[str, ...] = ()
    clearance: Classification = Classification.INTERNAL


class ServiceConfig(Model):
    """`configs/service.yaml`. Without authentication only loopback addresses are accepted."""

    host: Literal["127.0.0.1", "::1", "localhost"] = "127.0.0.1"
    port: int = Field(default=8600, ge=1, le=65535)
    dagster_port: int = Field(default=3000, ge=1, le=65535)
    principal: PrincipalConfig
    default_index: str | None = None
    max_request_bytes: int = Field(default=65536, ge=256)
    max_query_chars: int = Field(default=4000, ge=1)
    max_k: int = Field(default=100, ge=1, le=1000)
    poll_seconds: float = Field(default=0.5, gt=0, le=60, description="how often a new version is looked for")
    answers: AnswersConfig = Field(default_factory=AnswersConfig)

"""`configs/service.yaml`: where the query service listens, whom it serves, and what a request may cost."""

from __future__ import annotations

import ipaddress
import re

from pydantic import Field, ValidationInfo, field_validator

from rag_pipelines.config.answers import AnswersConfig
from rag_pipelines.config.auth import AuthConfig, is_loopback
from rag_pipelines.config.base import Model
from rag_pipelines.config.flags import FlagsConfig
from rag_pipelines.config.isolation import Tenant
from rag_pipelines.config.limits import CacheConfig, LimitsConfig
from rag_pipelines.config.telemetry import TelemetryConfig
from rag_pipelines.core.types import Classification

EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""Addresses that stand for all of a machine -> where it reaches itself."""

_HOST_NAME = re.compile(
    r"[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*"
)


class PrincipalConfig(Model):
    """Who asks, where callers do not authenticate."""

    subject: str = Field(default="local", min_length=1)
    tenant: Tenant
    groups: tuple[str, ...] = ()
    clearance: Classification = Classification.INTERNAL


class ServiceConfig(Model):
    """`configs/service.yaml`. Without authentication only loopback addresses are accepted."""

    auth: AuthConfig = AuthConfig()
    host: str = Field(default="127.0.0.1", min_length=1)
    port: int = Field(default=8600, ge=1, le=65535)
    allowed_hosts: tuple[str, ...] = Field(default=(), description="names by which callers may ask for it")
    dagster_port: int = Field(default=3000, ge=1, le=65535)
    principal: PrincipalConfig | None = Field(default=None, validate_default=True)
    default_index: str | None = None
    max_request_bytes: int = Field(default=65536, ge=256)
    max_query_chars: int = Field(default=4000, ge=1)
    max_k: int = Field(default=100, ge=1, le=1000)
    poll_seconds: float = Field(default=0.5, gt=0, le=60, description="how often a new version is looked for")
    telemetry: TelemetryConfig = Field(default=TelemetryConfig(), description="traces, metrics and logs")
    flags: FlagsConfig = Field(default=FlagsConfig(), description="where variants of retrieval are chosen")
    limits: LimitsConfig = LimitsConfig()
    cache: CacheConfig = CacheConfig()
    answers: AnswersConfig = Field(default_factory=AnswersConfig)

    @field_validator("host")
    @classmethod
    def _check_host(cls, value: str, info: ValidationInfo) -> str:
        auth = info.data.get("auth")
        if auth is not None and auth.mode == "none" and not is_loopback(value):
            raise ValueError(
                f"{value!r} can be reached from other machines, and auth.mode is none: write 127.0.0.1, or have "
                "callers authenticate with auth: {mode: authenticated}"
            )
        return value

    @field_validator("allowed_hosts")
    @classmethod
    def _check_names(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        for value in values:
            if not (_is_address(value) or _HOST_NAME.fullmatch(value)):
                raise ValueError(
                    f"{value!r} is not a name or address: write it without scheme, port and brackets"
                )
        return values

    @field_validator("principal")
    @classmethod
    def _check_principal(cls, value: PrincipalConfig | None, info: ValidationInfo) -> PrincipalConfig | None:
        auth = info.data.get("auth")
        if auth is not None and auth.mode == "none" and value is None:
            raise ValueError("is required and missing: it says who asks, since auth.mode is none")
        if auth is not None and auth.mode == "authenticated" and value is not None:
            raise ValueError("is for auth.mode none; remove it, since every caller says who they are")
        return value

    @property
    def local_host(self) -> str:
        """Where this machine reaches the service."""
        return EVERYWHERE.get(self.host, self.host)

    @property
    def dagster_host(self) -> str:
        """Never another machine's to reach: Dagster's UI has no authentication."""
        return self.host if is_loopback(self.host) else "127.0.0.1"


def _is_address(value: str) -> bool:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True

"""`telemetry` of `service.yaml`: what the query service tells of itself, never of questions or documents."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from rag_pipelines.config.base import Model


class TelemetryConfig(Model):
    """Traces, metrics and logs; where traces go is said by the standard OTEL_* variables."""

    traces: bool = Field(default=False, description="export spans by OTLP over HTTP")
    logs: Literal["json", "text"] = Field(default="json", description="lines of `rag-pipelines serve`")
    metrics: bool = Field(default=True, description="count, and answer GET /metrics")
    metrics_port: int | None = Field(
        default=None, ge=1, le=65535, description="answer it there instead, without a credential"
    )
    metrics_host: str = Field(default="127.0.0.1", min_length=1, description="of that port")
    tenant_label: bool = Field(default=False, description="count searches by tenant too, a series for each")
    freshness_seconds: float = Field(
        default=15.0, gt=0, le=3600, description="how old figures out of the catalog may be in an answer"
    )

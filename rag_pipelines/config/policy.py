"""`configs/policy.yaml`: what the organisation demands of every source and index."""

from __future__ import annotations

from pydantic import Field

from rag_pipelines.config.base import Model
from rag_pipelines.config.injection import InjectionConfig
from rag_pipelines.config.memory import AuditConfig, QueriesConfig


class PolicyConfig(Model):
    """Without the file every rule has its default."""

    audit: AuditConfig = AuditConfig()
    queries: QueriesConfig = QueriesConfig()
    injection: InjectionConfig = Field(default_factory=InjectionConfig)

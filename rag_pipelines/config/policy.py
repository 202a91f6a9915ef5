"""`configs/policy.yaml`: what the organisation demands of every source and index."""

from __future__ import annotations

from rag_pipelines.config.base import Model
from rag_pipelines.config.memory import AuditConfig, QueriesConfig


class PolicyConfig(Model):
    """Without the file every rule has its default."""

    audit: AuditConfig = AuditConfig()
    queries: QueriesConfig = QueriesConfig()

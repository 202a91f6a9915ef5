"""`configs/policy.yaml`: what the organisation demands of every source and index."""

from __future__ import annotations

from rag_pipelines.config.base import Model


class PolicyConfig(Model):
    """Without the file every rule has its default."""

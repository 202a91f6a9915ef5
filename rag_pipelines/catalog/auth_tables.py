"""Tables of who may ask: API keys, and who belongs to which group."""

from __future__ import annotations

import sqlalchemy as sa

from rag_pipelines.catalog.gate_tables import metadata
from rag_pipelines.catalog.tables import SMALL
from rag_pipelines.catalog.values import CleanJson, CleanText

__all__ = ["api_keys", "memberships", "metadata"]

api_keys = sa.Table(
    "api_keys",
    metadata,
    sa.Column("id", sa.String(16), primary_key=True),
    sa.Column("secret_hash", sa.String(64), nullable=False),
    sa.Column("description", CleanText, nullable=False),
    sa.Column("subject", SMALL, nullable=False),
    sa.Column("tenant", SMALL, nullable=False),
    sa.Column("groups", CleanJson, nullable=False),
    sa.Column("clearance", sa.String(20), nullable=False),
    sa.Column("scopes", CleanJson, nullable=False),
    sa.Column("created_at", sa.String(40), nullable=False),
    sa.Column("created_by", CleanText, nullable=False),
    sa.Column("expires_at", sa.String(40)),
    sa.Column("last_used_at", sa.String(40)),
    sa.Column("revoked_at", sa.String(40)),
    sa.Column("revoked_by", CleanText),
    sa.Column("rotated_from", sa.String(16)),
)

memberships = sa.Table(
    "memberships",
    metadata,
    sa.Column("tenant", SMALL, primary_key=True),
    sa.Column("member", SMALL, primary_key=True),
    sa.Column("group_name", SMALL, primary_key=True),
)

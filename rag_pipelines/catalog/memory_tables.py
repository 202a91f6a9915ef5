"""Tables of what people did, asked and thought of the answers.

`person` is a hash of tenant and subject: it has one length, whatever names an identity provider gives out.
"""

from __future__ import annotations

import sqlalchemy as sa

from rag_pipelines.catalog.gate_tables import metadata
from rag_pipelines.catalog.tables import SMALL
from rag_pipelines.catalog.values import CleanJson, CleanText

__all__ = ["audit_head", "audit_lines", "feedback", "metadata", "searches"]

NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")

audit_lines = sa.Table(
    "audit_lines",
    metadata,
    sa.Column("seq", NUMBER, primary_key=True, autoincrement=False),
    sa.Column("at", sa.String(40), nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("tenant", sa.Text),
    sa.Column("credential", sa.Text),
    sa.Column("target", sa.Text, nullable=False),
    sa.Column("request", sa.Text),
    sa.Column("details", sa.Text, nullable=False),
    sa.Column("previous", sa.String(64), nullable=False),
    sa.Column("hash", sa.String(64), nullable=False),
    sa.Index("ix_audit_lines_at", "at"),
)

audit_head = sa.Table(
    "audit_head",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("seq", NUMBER, nullable=False),
    sa.Column("hash", sa.String(64), nullable=False),
    sa.Column("first", NUMBER, nullable=False),
)

searches = sa.Table(
    "searches",
    metadata,
    sa.Column("id", NUMBER, primary_key=True, autoincrement=True),
    sa.Column("request", sa.String(64), nullable=False),
    sa.Column("at", sa.String(40), nullable=False),
    sa.Column("index_name", SMALL, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("variant", CleanText),
    sa.Column("tenant", CleanText, nullable=False),
    sa.Column("subject", CleanText, nullable=False),
    sa.Column("person", sa.String(64), nullable=False),
    sa.Column("query", CleanText),
    sa.Column("query_key", sa.String(64)),
    sa.Column("passages", CleanJson, nullable=False),
    sa.Column("answerable", sa.Boolean),
    sa.Index("ix_searches_request", "request"),
    sa.Index("ix_searches_at", "at"),
    sa.Index("ix_searches_person", "person"),
)

feedback = sa.Table(
    "feedback",
    metadata,
    sa.Column("id", NUMBER, primary_key=True, autoincrement=True),
    sa.Column("request", sa.String(64), nullable=False),
    sa.Column("citation", sa.String(64), nullable=False),
    sa.Column("at", sa.String(40), nullable=False),
    sa.Column("index_name", SMALL, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("variant", CleanText),
    sa.Column("tenant", CleanText, nullable=False),
    sa.Column("subject", CleanText, nullable=False),
    sa.Column("person", sa.String(64), nullable=False),
    sa.Column("useful", sa.Boolean, nullable=False),
    sa.Column("comment", CleanText),
    sa.Column("passages", CleanJson, nullable=False),
    sa.Index("ix_feedback_request_citation", "request", "citation", unique=True),
    sa.Index("ix_feedback_at", "at"),
    sa.Index("ix_feedback_person", "person"),
)

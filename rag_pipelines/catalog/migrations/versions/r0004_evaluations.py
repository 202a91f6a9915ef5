"""Runs of suites, and what they measured."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Bring the schema to this revision."""
    op.create_table(
        "evaluations",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("run", sa.String(length=255), nullable=False),
        sa.Column("suite", sa.String(length=255), nullable=False),
        sa.Column("suite_hash", sa.String(length=64), nullable=False),
        sa.Column("index_name", sa.String(length=255), nullable=False),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("started_at", sa.String(length=40), nullable=False),
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("queries", sa.Integer(), nullable=False),
        sa.Column("measures", sa.JSON(), nullable=False),
        sa.Column("latency", sa.JSON(), nullable=False),
        sa.Column("cost", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_evaluations")),
    )
    with op.batch_alter_table("evaluations", schema=None) as batch_op:
        batch_op.create_index("ix_evaluations_run", ["run"], unique=True)
        batch_op.create_index("ix_evaluations_suite_index_name", ["suite", "index_name"], unique=False)


def downgrade() -> None:
    """Take it back."""
    op.drop_table("evaluations")

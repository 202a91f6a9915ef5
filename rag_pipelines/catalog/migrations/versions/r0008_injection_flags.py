"""The score of passages that may hold instructions for a machine."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Bring the schema to this revision."""
    with op.batch_alter_table("points", schema=None) as batch_op:
        batch_op.add_column(sa.Column("injection", sa.Float(), nullable=True))
        batch_op.create_index(
            "ix_points_injection",
            ["collection", "injection"],
            unique=False,
            sqlite_where=sa.text("injection IS NOT NULL"),
            postgresql_where=sa.text("injection IS NOT NULL"),
        )


def downgrade() -> None:
    """Take it back."""
    with op.batch_alter_table("points", schema=None) as batch_op:
        batch_op.drop_index("ix_points_injection")
        batch_op.drop_column("injection")

"""The audit chain, the log of searches, and feedback."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
SQLITE = (
    """CREATE TRIGGER audit_lines_stay BEFORE UPDATE ON audit_lines
    BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END""",
    """CREATE TRIGGER audit_lines_last BEFORE DELETE ON audit_lines
    WHEN OLD.seq >= (SELECT first FROM audit_head WHERE id = 1)
    BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END""",
    """CREATE TRIGGER audit_head_forward BEFORE UPDATE ON audit_head
    WHEN NEW.seq < OLD.seq OR NEW.first < OLD.first OR NEW.first > NEW.seq
    BEGIN SELECT RAISE(ABORT, 'the head of the audit log only moves forward'); END""",
    """CREATE TRIGGER audit_head_stays BEFORE DELETE ON audit_head
    BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END""",
)
POSTGRES = (
    """CREATE FUNCTION audit_log_refuses() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'the audit log is append-only'; END $$""",
    """CREATE FUNCTION audit_lines_last() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF OLD.seq >= (SELECT first FROM audit_head WHERE id = 1) THEN
        RAISE EXCEPTION 'the audit log is append-only';
      END IF;
      RETURN OLD;
    END $$""",
    """CREATE TRIGGER audit_lines_stay BEFORE UPDATE ON audit_lines
    FOR EACH ROW EXECUTE FUNCTION audit_log_refuses()""",
    """CREATE TRIGGER audit_lines_last BEFORE DELETE ON audit_lines
    FOR EACH ROW EXECUTE FUNCTION audit_lines_last()""",
    """CREATE TRIGGER audit_lines_whole BEFORE TRUNCATE ON audit_lines
    FOR EACH STATEMENT EXECUTE FUNCTION audit_log_refuses()""",
    """CREATE TRIGGER audit_head_forward BEFORE UPDATE ON audit_head FOR EACH ROW
    WHEN (NEW.seq < OLD.seq OR NEW.first < OLD.first OR NEW.first > NEW.seq)
    EXECUTE FUNCTION audit_log_refuses()""",
    """CREATE TRIGGER audit_head_stays BEFORE DELETE ON audit_head
    FOR EACH ROW EXECUTE FUNCTION audit_log_refuses()""",
)


def upgrade() -> None:
    """Bring the schema to this revision."""
    op.create_table(
        "audit_lines",
        sa.Column("seq", NUMBER, autoincrement=False, nullable=False),
        sa.Column("at", sa.String(length=40), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=True),
        sa.Column("credential", sa.Text(), nullable=True),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("request", sa.Text(), nullable=True),
        sa.Column("details", sa.Text(), nullable=False),
        sa.Column("previous", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_audit_lines")),
    )
    op.create_index("ix_audit_lines_at", "audit_lines", ["at"], unique=False)
    op.create_table(
        "audit_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("seq", NUMBER, nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("first", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_head")),
    )
    op.create_table(
        "searches",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("request", sa.String(length=64), nullable=False),
        sa.Column("at", sa.String(length=40), nullable=False),
        sa.Column("index_name", sa.String(length=255), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("variant", sa.Text(), nullable=True),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("person", sa.String(length=64), nullable=False),
        sa.Column("query", sa.Text(), nullable=True),
        sa.Column("query_key", sa.String(length=64), nullable=True),
        sa.Column("passages", sa.JSON(), nullable=False),
        sa.Column("answerable", sa.Boolean(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_searches")),
    )
    for name in ("request", "at", "person"):
        op.create_index(f"ix_searches_{name}", "searches", [name], unique=False)
    op.create_table(
        "feedback",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("request", sa.String(length=64), nullable=False),
        sa.Column("citation", sa.String(length=64), nullable=False),
        sa.Column("at", sa.String(length=40), nullable=False),
        sa.Column("index_name", sa.String(length=255), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("variant", sa.Text(), nullable=True),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("person", sa.String(length=64), nullable=False),
        sa.Column("useful", sa.Boolean(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=True),
        sa.Column("passages", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_feedback")),
    )
    op.create_index("ix_feedback_request_citation", "feedback", ["request", "citation"], unique=True)
    op.create_index("ix_feedback_at", "feedback", ["at"], unique=False)
    op.create_index("ix_feedback_person", "feedback", ["person"], unique=False)
    for statement in SQLITE if op.get_bind().dialect.name == "sqlite" else POSTGRES:
        op.execute(statement)


def downgrade() -> None:
    """Take it back."""
    for table in ("feedback", "searches", "audit_lines", "audit_head"):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION audit_log_refuses()")
        op.execute("DROP FUNCTION audit_lines_last()")

"""Alembic runs this with the connection that `open_catalog` has locked."""

from __future__ import annotations

from alembic import context

from rag_pipelines.catalog import auth_tables, memory_tables

TABLES = (auth_tables, memory_tables)
"""The last of the modules that add tables to the one metadata."""

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=TABLES[-1].metadata,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()

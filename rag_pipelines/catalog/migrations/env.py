"""Alembic runs this with the connection that `open_catalog` has locked."""

from __future__ import annotations

from alembic import context

from rag_pipelines.catalog.auth_tables import metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True
)
with context.begin_transaction():
    context.run_migrations()

"""Where commands that change who may do what tell it to the audit log."""

from __future__ import annotations

from collections.abc import Callable

from rag_pipelines.catalog.store import Catalog
from rag_pipelines.core.events import Event


def audit_of(catalog: Catalog) -> Callable[[Event], None]:
    """Keeps an event for good; for now nothing does."""
    return lambda event: None

"""Where commands that change who may do what tell it to the audit log."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from rag_pipelines.catalog.audit import open_log, record
from rag_pipelines.catalog.store import Catalog
from rag_pipelines.config.load import Configuration
from rag_pipelines.core.events import Event


def audit_of(catalog: Catalog, configuration: Configuration) -> Callable[[Event], None]:
    """Keeps an event for good. Raises ConfigError where the log is signed and the key is not set."""
    return partial(record, catalog, open_log(configuration.policy.audit))

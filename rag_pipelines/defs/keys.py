"""Names that several definitions share."""

from __future__ import annotations

import re
from collections.abc import Sequence

import dagster as dg

from rag_pipelines.config.load import Configuration

CONTINUE = "rag/continue_without_unreachable_sources"
DOCUMENTS = dg.AssetKey("documents")
EMAIL = r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,7}"
PARSED = dg.AssetKey("parsed_documents")
QUEUE_TAG = {"rag/sync": "catalog"}
REINDEX, REDO = "reindex", "redo_documents"
STEPS = ("duplicates", "chunks", "embeddings", "staged", "published")
SYNC_ALL = "sync_all"


def source_key(source: str) -> dg.AssetKey:
    """`sources/<source>`."""
    return dg.AssetKey(["sources", source])


def sync_job_name(source: str) -> str:
    """`sync_<source>`."""
    return f"sync_{source}"


def synced_assets(configuration: Configuration, sources: Sequence[str]) -> dg.AssetSelection:
    """Everything that a sync of the sources brings up to date."""
    keys = [source_key(name) for name in sources] + [PARSED]
    for index, config in configuration.indexes.items():
        if any(config.covers(name) for name in sources):
            keys += [dg.AssetKey([index, step]) for step in STEPS]
    return dg.AssetSelection.assets(*keys)


def owners_of(owner: str | None) -> list[str] | None:
    """Dagster takes e-mail addresses of public domains, and calls everybody else a team."""
    if not owner:
        return None
    return [owner if re.fullmatch(EMAIL, owner) else f"team:{owner}"]


def tag_value(value: str) -> str:
    """The nearest string that Dagster accepts as the value of a tag."""
    return "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in value)[:63]

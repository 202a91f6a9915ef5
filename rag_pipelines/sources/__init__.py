"""Connectors: how documents are found and fetched, one file each, all behind `core.ports.Source`."""

from __future__ import annotations

import difflib
from typing import Any

from rag_pipelines.core.errors import ConfigError
from rag_pipelines.sources.connector import Connector, OpenContext
from rag_pipelines.sources.filesystem import FilesystemParams, FilesystemSource
from rag_pipelines.sources.git import GitParams, GitSource
from rag_pipelines.sources.records import RecordsParams, RecordsSource

CONNECTORS: dict[str, Connector[Any]] = {
    "filesystem": Connector(
        "filesystem",
        FilesystemParams,
        FilesystemSource,
        "files of a folder, bucket or archive (any fsspec URL)",
    ),
    "git": Connector("git", GitParams, GitSource, "files of one branch or tag of a git repository"),
    "records": Connector("records", RecordsParams, RecordsSource, "rows of JSONL, CSV or Parquet files"),
}


def find_connector(name: str) -> Connector[Any]:
    """The connector of that name; raises ConfigError that suggests the nearest one."""
    if name in CONNECTORS:
        return CONNECTORS[name]
    near = difflib.get_close_matches(name, CONNECTORS, n=1)
    hint = f"; did you mean {near[0]}?" if near else ";"
    raise ConfigError(f"there is no connector {name!r}{hint} known: {', '.join(sorted(CONNECTORS))}")


__all__ = ["CONNECTORS", "Connector", "OpenContext", "find_connector"]

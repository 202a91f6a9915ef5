"""Vector engines behind `core.ports.VectorEngine`: embedded (Qdrant Edge) and a Qdrant server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rag_pipelines.core.ports import VectorEngine


def open_engine(engine_dir: Path, qdrant_url: str | None = None, api_key: str | None = None) -> VectorEngine:
    """The server where a URL is given, else the embedded engine below `engine_dir`.

    Only the engine that is used is imported. Nothing is connected to or created yet.
    """
    if qdrant_url is not None:
        from rag_pipelines.index.server import ServerEngine

        return ServerEngine(qdrant_url, api_key)
    from rag_pipelines.index.edge import EdgeEngine

    return EdgeEngine(engine_dir)

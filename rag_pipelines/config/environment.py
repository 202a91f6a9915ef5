"""The environment variables that this package reads, and nothing else reads them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rag_pipelines.core.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Environment:
    """Where state lives. Paths are absolute; unset URLs mean the embedded default under `home`."""

    home: Path
    configs: Path
    database_url: str
    blobs_url: str
    qdrant_url: str | None
    qdrant_api_key: str | None
    service_url: str | None
    dagster_home: Path
    mlflow_tracking_uri: str | None = None

    @property
    def engine_dir(self) -> Path:
        """Where the embedded vector engine keeps collections."""
        return self.home / "engine"

    @property
    def models_dir(self) -> Path:
        """Where converted embedding models are cached."""
        return self.home / "models"


def read_environment(variables: Mapping[str, str] | None = None) -> Environment:
    """Read `RAG_*`, `DAGSTER_HOME` and `MLFLOW_TRACKING_URI`; nothing is created on disk. Raises ConfigError."""
    env = os.environ if variables is None else variables
    home = Path(env.get("RAG_HOME") or ".rag").expanduser().absolute()
    if "?" in str(home):
        raise ConfigError(f"RAG_HOME {home} contains a question mark, which ends the path in a URL; move it")
    return Environment(
        home=home,
        configs=Path(env.get("RAG_CONFIGS") or "configs").expanduser().absolute(),
        database_url=env.get("RAG_DATABASE_URL") or f"sqlite:///{home / 'catalog.sqlite'}",
        blobs_url=env.get("RAG_BLOBS_URL") or (home / "blobs").as_uri(),
        qdrant_url=env.get("RAG_QDRANT_URL") or None,
        qdrant_api_key=env.get("RAG_QDRANT_API_KEY") or None,
        service_url=env.get("RAG_SERVICE_URL") or None,
        mlflow_tracking_uri=env.get("MLFLOW_TRACKING_URI") or None,
        dagster_home=Path(env.get("DAGSTER_HOME") or home / "dagster").expanduser().absolute(),
    )


def read_secret(name: str, variables: Mapping[str, str] | None = None) -> str | None:
    """The value of a variable that a configuration names; None where it is not set."""
    env = os.environ if variables is None else variables
    return env.get(name) or None

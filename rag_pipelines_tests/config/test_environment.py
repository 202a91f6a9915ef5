"""Defaults lie under RAG_HOME; an empty variable means the same as none."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag_pipelines.config.environment import read_environment, read_secret
from rag_pipelines.core.errors import ConfigError


def test_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    env = read_environment({"RAG_HOME": "", "RAG_QDRANT_URL": ""})
    assert env.home == tmp_path / ".rag"
    assert env.configs == tmp_path / "configs"
    assert env.database_url == f"sqlite:///{tmp_path}/.rag/catalog.sqlite"
    assert env.blobs_url == f"file://{tmp_path}/.rag/blobs"
    assert env.qdrant_url is None
    assert env.dagster_home == tmp_path / ".rag" / "dagster"
    assert env.engine_dir == tmp_path / ".rag" / "engine"
    assert list(tmp_path.iterdir()) == []


def test_variables_win() -> None:
    env = read_environment(
        {
            "RAG_HOME": "/data/rag",
            "RAG_CONFIGS": "/etc/rag",
            "RAG_DATABASE_URL": "postgresql://db/rag",
            "RAG_BLOBS_URL": "s3://bucket/blobs",
            "RAG_QDRANT_URL": "http://qdrant:6333",
            "RAG_QDRANT_API_KEY": "key",
            "RAG_SERVICE_URL": "http://service",
            "DAGSTER_HOME": "/data/dagster",
        }
    )
    assert (env.home, env.configs, env.dagster_home) == (
        Path("/data/rag"),
        Path("/etc/rag"),
        Path("/data/dagster"),
    )
    assert env.database_url == "postgresql://db/rag"
    assert env.blobs_url == "s3://bucket/blobs"
    assert (env.qdrant_url, env.qdrant_api_key) == ("http://qdrant:6333", "key")
    assert env.service_url == "http://service"


def test_a_home_that_no_url_can_hold_is_refused() -> None:
    with pytest.raises(ConfigError, match="contains a question mark"):
        read_environment({"RAG_HOME": "/data/what?"})


def test_secrets_are_read_by_name() -> None:
    assert read_secret("KEY", {"KEY": "value"}) == "value"
    assert read_secret("KEY", {"KEY": ""}) is None
    assert read_secret("KEY", {}) is None

"""Fixtures of the connectors' tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rag_pipelines.sources import OpenContext
from rag_pipelines_tests.s3_server import s3_server
from rag_pipelines_tests.sources.git_repo import GitRepo

pytest.register_assert_rewrite("rag_pipelines_tests.sources.conformance")


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """URL of one S3 server for the session; each test takes a bucket of its own."""
    with s3_server() as endpoint:
        yield endpoint


@pytest.fixture
def context(tmp_path: Path) -> OpenContext:
    """A source named docs; relative paths are below `base`, which exists."""
    (tmp_path / "base").mkdir()
    return OpenContext("docs", tmp_path / "work", tmp_path / "base")


@pytest.fixture
def repo(context: OpenContext) -> GitRepo:
    """An empty repository at `repo`."""
    return GitRepo(context.base_dir / "repo")

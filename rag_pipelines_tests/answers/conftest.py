"""Two endpoints on loopback."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rag_pipelines_tests.answers.llm_server import ChatEndpoint, serve


@pytest.fixture(scope="session")
def _endpoints() -> Iterator[tuple[ChatEndpoint, ChatEndpoint]]:
    with serve() as first, serve() as second:
        yield first, second


@pytest.fixture
def endpoint(_endpoints: tuple[ChatEndpoint, ChatEndpoint]) -> ChatEndpoint:
    """Script it in the test."""
    _endpoints[0].does()
    return _endpoints[0]


@pytest.fixture
def other(_endpoints: tuple[ChatEndpoint, ChatEndpoint]) -> ChatEndpoint:
    """The one to fail over to."""
    _endpoints[1].does()
    return _endpoints[1]

"""The conformance suites against each engine."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from rag_pipelines.core.ports import VectorEngine
from rag_pipelines.index.edge import EdgeEngine
from rag_pipelines.index.server import ServerEngine
from rag_pipelines_tests.index.conformance_reading import ReadingConformance
from rag_pipelines_tests.index.conformance_writing import WritingConformance


class TestEdge(ReadingConformance, WritingConformance):
    @pytest.fixture(scope="class")
    def engine(self, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VectorEngine]:
        engine = EdgeEngine(tmp_path_factory.mktemp("engine"))
        yield engine
        engine.close()


@pytest.mark.filterwarnings("ignore:Local mode", "ignore:Payload indexes")
class TestLocal(ReadingConformance, WritingConformance):
    @pytest.fixture(scope="class")
    def engine(self) -> Iterator[VectorEngine]:
        engine = ServerEngine(None, location=":memory:")
        yield engine
        engine.close()


@pytest.mark.skipif(
    not os.environ.get("RAG_QDRANT_URL"),
    reason="no Qdrant server to test against (set RAG_QDRANT_URL to run this suite on one)",
)
class TestServer(ReadingConformance, WritingConformance):
    @pytest.fixture(scope="class")
    def engine(self) -> Iterator[VectorEngine]:
        engine = ServerEngine(os.environ["RAG_QDRANT_URL"], os.environ.get("RAG_QDRANT_API_KEY"))
        yield engine
        engine.close()

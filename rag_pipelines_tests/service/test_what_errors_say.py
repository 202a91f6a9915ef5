"""What a model, an engine or a database says of a question stays out of responses, readiness and the log."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from qdrant_client import QdrantClient
from qdrant_client.http.exceptions import UnexpectedResponse

from rag_pipelines.core.errors import EmbeddingError, EngineError
from rag_pipelines.index.edge_shard import explained
from rag_pipelines.index.server_calls import Calls
from rag_pipelines.service.logs import TextLines
from rag_pipelines.service.problems import answered, sayable
from rag_pipelines_tests.embedding.embedding_server import DIMENSION, Answer, EmbeddingServer, serve
from rag_pipelines_tests.project import Project
from rag_pipelines_tests.service.conftest import LEAVE, SETTINGS, running
from rag_pipelines_tests.service.test_observing import written

PATH = "/v1/indexes/knowledge/search"
QUERY = "severance of Ana Lopez"
WORDS = "the-endpoint-says"
ECHO = json.dumps({"error": {"message": f"{WORDS}: bad input '{QUERY.replace(' ', '_')}'"}}).encode()
TOLD = "the model house-model failed; ask again later, or have the service's log read"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[EmbeddingServer]:
    """The model of the index."""
    with serve() as opened:
        yield opened


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory, endpoint: EmbeddingServer) -> Iterator[TestClient]:
    """An index whose model is behind the endpoint, asked once for each question."""
    made = Project(tmp_path_factory.mktemp("embedded"))
    made.configure("service", SETTINGS)
    openai = {"base_url": endpoint.url, "dimension": DIMENSION, "max_attempts": 2}
    made.index("knowledge", embedding={"provider": "openai", "model": "house-model", "openai": openai})
    made.write("leave.md", LEAVE)
    made.sync()
    with running(made) as opened:
        yield opened


@pytest.mark.parametrize("status", [400, 500], ids=["refused", "tried again"])
@pytest.mark.parametrize("path", [PATH, "/v1/indexes/knowledge/answer", "/pages/search"])
def test_a_model_that_quotes_the_question_is_not_quoted(
    client: TestClient, endpoint: EmbeddingServer, status: int, path: str
) -> None:
    endpoint.script = [Answer(status, {"Retry-After": "0"}, ECHO)] * 2
    with written(TextLines) as stream:
        if path.startswith("/pages/"):
            answer = client.get(path, params={"q": QUERY})
            assert TOLD.replace("'", "&#39;") in answer.text
        else:
            answer = client.post(path, json={"query": QUERY})
            assert answer.json()["detail"] == TOLD
    endpoint.script = []
    assert answer.status_code == 503
    logged = stream.getvalue()
    assert f"HTTP {status}" in logged or path.startswith("/pages/")
    for hidden in (WORDS, "severance", "Lopez"):
        assert hidden not in logged
        assert path.startswith("/pages/") or hidden not in answer.text
    assert WORDS not in answer.text


def test_the_command_line_keeps_the_detail(endpoint: EmbeddingServer) -> None:
    error = EmbeddingError(f"refused: HTTP 400: {WORDS}; check", model="m", bare="refused: HTTP 400; check")
    assert WORDS in str(error)
    assert sayable(error) == "refused: HTTP 400; check"
    assert answered(error)[0] == 503


def test_an_engine_is_not_quoted() -> None:
    def refuse() -> None:
        raise UnexpectedResponse(400, "Bad Request", f"{WORDS}: group:board".encode(), httpx.Headers())

    calls = Calls(QdrantClient(":memory:"), "http://qdrant", 1, 0.0)
    with pytest.raises(EngineError, match=WORDS) as caught:
        calls("searching it", refuse)
    assert answered(caught.value) == (
        503,
        "Qdrant at http://qdrant failed while searching it: HTTP 400; see its log and its version",
    )
    with pytest.raises(EngineError, match=WORDS) as caught, explained("searching"):
        raise RuntimeError(WORDS)
    assert answered(caught.value)[1] == "the embedded vector engine failed while searching (RuntimeError)"


def test_errors_that_are_not_ours_tell_their_class_alone() -> None:
    assert sayable(RuntimeError(WORDS)) == "RuntimeError"
    assert sayable(OSError("the disk is gone")) == "the disk is gone"


def test_the_catalog_does_not_show_what_was_written(small: Project) -> None:
    said = sa.text("INSERT INTO nowhere (query) VALUES (:query)")
    with (
        small.workspace() as workspace,
        pytest.raises(sa.exc.SQLAlchemyError) as caught,
        workspace.catalog.begin() as tx,
    ):
        tx.execute(said, {"query": QUERY})
    assert QUERY not in str(caught.value)

"""Over HTTP an answer explains itself where it is asked to, and says what a reranker did where there is one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient

from rag_pipelines_tests.cross_encoder import made_cross_encoder
from rag_pipelines_tests.project import Project
from rag_pipelines_tests.service.conftest import running
from rag_pipelines_tests.service.test_search_api import LOCAL, PATH


def ask(client: TestClient, **body: Any) -> dict[str, Any]:
    """The answer to a question about leave, which must succeed."""
    answer = client.post(PATH, json={"query": "days of leave", "k": 2, **body})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_passages_are_explained_where_the_request_says_so(client: TestClient, project: Project) -> None:
    plain, told = ask(client), ask(client, explain=True)

    assert "reranking" not in plain
    assert all("explanation" not in passage for passage in plain["passages"])
    assert told == project.search("days of leave", k=2, principal=LOCAL, explained=True).as_json()
    first = told["passages"][0]["explanation"]
    assert first["fused"]["rank"] == 1
    assert first["rerank"] is None
    assert first["matched"] == ["day", "leav"]


def test_an_answer_says_what_the_reranker_did(small: Project, tmp_path: Path) -> None:
    small.sync()
    model = str(made_cross_encoder(tmp_path / "model"))
    small.index("knowledge", retrieval={"rerank": {"model": model, "seconds": 60}})
    with running(small) as client:
        told = ask(client, explain=True)
    assert told["reranking"] == {"model": model, "passages": 1, "applied": True}
    assert told["passages"][0]["explanation"]["rerank"]["rank"] == 1

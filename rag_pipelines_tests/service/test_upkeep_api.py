"""Versions, freshness and reindex requests over HTTP, on the real application."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from rag_pipelines.catalog import requests as request_rows
from rag_pipelines.pipeline.rollback import rollback
from rag_pipelines_tests.project import Project
from rag_pipelines_tests.service.conftest import HIDDEN, LEAVE, SETTINGS, running


@pytest.fixture(scope="module")
def synced(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Two versions, an edit and a deletion between them, and sources that the principal may not know of."""
    root: Path = tmp_path_factory.mktemp("upkeep")
    project = Project(root / "project")
    project.source(
        "docs",
        owner="docs@acme.example",
        description="Handbook",
        freshness={"warn_after": "1h", "fail_after": "6h"},
    )
    for name, values in HIDDEN.items():
        project.source(name, **values)
    project.configure("service", SETTINGS)
    project.write("leave.md", LEAVE)
    project.write("old.md", "# Old\n\nA page that goes.\n")
    project.sync()
    project.write("leave.md", LEAVE.replace("Seven", "Nine"))
    (project.root / "docs/old.md").unlink()
    project.sync()
    return project


@pytest.fixture(scope="module")
def client(synced: Project) -> Iterator[TestClient]:
    with running(synced) as found:
        yield found


def test_versions_are_listed_with_the_live_one(client: TestClient) -> None:
    answer = client.get("/v1/indexes/knowledge/versions").json()
    assert answer["index"] == "knowledge"
    assert (answer["version"], answer["pinned"]) == (2, None)
    assert [(row["number"], row["status"], row["live"]) for row in answer["versions"]] == [
        (2, "published", True),
        (1, "superseded", False),
    ]
    assert [row["documents"] for row in answer["versions"]] == [1, 2]
    assert answer["versions"][0]["parent"] == 1


def test_versions_of_an_unknown_index_name_the_nearest(client: TestClient) -> None:
    answer = client.get("/v1/indexes/knowlege/versions")
    assert answer.status_code == 404
    assert "knowledge" in answer.json()["detail"]


def test_sources_show_their_promise_and_how_long_changes_took(client: TestClient) -> None:
    sources = {row["source"]: row for row in client.get("/v1/sources").json()["sources"]}
    docs = sources["docs"]
    assert (docs["owner"], docs["description"]) == ("docs@acme.example", "Handbook")
    assert (docs["warn_after_seconds"], docs["fail_after_seconds"]) == (3600.0, 21600.0)
    assert docs["synced_at"] is not None
    assert docs["latency"]["edit_to_searchable"]["count"] == 1
    assert docs["latency"]["delete_to_invisible"]["count"] == 1
    assert docs["latency"]["edit_to_searchable"]["p95"] > 0


def test_sources_of_other_tenants_and_higher_tiers_are_not_there(client: TestClient) -> None:
    sources = {row["source"] for row in client.get("/v1/sources").json()["sources"]}
    assert "docs" in sources
    assert not sources & {"foreign", "secret"}
    for hidden in ("foreign", "secret", "nonsense"):
        assert client.post(f"/v1/sources/{hidden}/reindex", json={}).status_code == 404


def test_reindex_is_asked_for_once_and_can_be_followed(client: TestClient, synced: Project) -> None:
    first = client.post("/v1/sources/docs/reindex", json={"uri_prefix": "hr/", "force": True})
    assert first.status_code == 202
    body = first.json()
    assert (body["source"], body["uri_prefix"], body["force"], body["status"]) == (
        "docs", "hr/", True, "pending",
    )  # fmt: skip
    assert client.post("/v1/sources/docs/reindex", json={"uri_prefix": "hr/", "force": True}).json() == body
    other = client.post("/v1/sources/docs/reindex").json()
    assert other["id"] != body["id"]
    with synced.workspace() as workspace:
        request_rows.update_request(workspace.catalog, body["id"], request_rows.FAILED, "no disk")
    followed = client.get(f"/v1/sources/docs/reindex/{body['id']}").json()
    assert (followed["status"], followed["detail"]) == ("failed", "no disk")
    assert client.get(f"/v1/sources/board/reindex/{body['id']}").status_code == 404
    assert client.get("/v1/sources/docs/reindex/99999").status_code == 404
    again = client.post("/v1/sources/docs/reindex", json={"uri_prefix": "hr/", "force": True}).json()
    assert again["id"] != body["id"]


@pytest.mark.parametrize("body", [{"uri_prefix": 3}, {"prefix": "hr/"}, {"force": "perhaps"}])
def test_reindex_refuses_what_it_does_not_know(client: TestClient, body: dict[str, object]) -> None:
    assert client.post("/v1/sources/docs/reindex", json=body).status_code == 422


def test_rollback_shows_as_pinned(tmp_path: Path) -> None:
    project = Project(tmp_path / "pinned")
    project.configure("service", SETTINGS)
    project.write("leave.md", LEAVE)
    project.sync()
    project.write("leave.md", LEAVE.replace("Seven", "Nine"))
    project.sync()
    with project.workspace() as workspace:
        rollback(workspace, "knowledge")
    with running(project) as client:
        answer = client.get("/v1/indexes/knowledge/versions").json()
        assert (answer["version"], answer["pinned"]) == (1, 1)
        found = client.post("/v1/indexes/knowledge/search", json={"query": "days of leave move"}).json()
    assert found["version"] == 1
    assert any("Seven days" in passage["text"] for passage in found["passages"])
    assert not any("Nine days" in passage["text"] for passage in found["passages"])


def test_a_source_is_known_through_what_may_be_read_of_it(tmp_path: Path) -> None:
    """Its own acl is empty; the connector grants one document to the staff and one to the board."""
    project = Project(tmp_path / "mixed")
    project.configure("service", SETTINGS)
    project.source(
        "mixed",
        connector="records",
        params={"url": "mixed.jsonl", "fields": {"id": "id", "text": "text", "acl": "acl"}},
        acl=[],
    )

    def sync(edition: str, first: str) -> None:
        rows = [
            {"id": "1", "text": f"A page for some, edition {edition}.", "acl": [first]},
            {"id": "2", "text": f"A page for the board, edition {edition}.", "acl": ["group:board"]},
        ]
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (project.root / "mixed.jsonl").write_text(lines, encoding="utf-8")
        project.sync()

    sync("one", "group:staff")
    sync("two", "group:staff")
    with running(project) as client:
        sources = {row["source"]: row for row in client.get("/v1/sources").json()["sources"]}
        assert sources["mixed"]["latency"]["edit_to_searchable"]["count"] == 1
        assert client.post("/v1/sources/mixed/reindex").status_code == 202
    sync("two", "group:board")
    with running(project) as client:
        assert [row["source"] for row in client.get("/v1/sources").json()["sources"]] == ["docs"]
        assert client.post("/v1/sources/mixed/reindex").status_code == 404

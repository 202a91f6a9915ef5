"""Documents, their texts, suggestions and counts over HTTP, on the real application."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from rag_pipelines.core.ids import document_id
from rag_pipelines.retrieval import documents as listing
from rag_pipelines_tests.project import Project
from rag_pipelines_tests.service.conftest import HIDDEN, LEAVE
from rag_pipelines_tests.service.test_search_api import assert_problem

URL = "/v1/indexes/knowledge"
READABLE = ["leave.md", "notice.md", "travel.md", "1", "2", "3"]


def pages(client: TestClient, **params: Any) -> list[list[dict[str, Any]]]:
    """Every page of a list."""
    found: list[list[dict[str, Any]]] = []
    cursor: dict[str, Any] = {}
    while True:
        answer = client.get(f"{URL}/documents", params={**params, **cursor}).json()
        found.append(answer["documents"])
        if answer["next"] is None:
            return found
        cursor = {"cursor": answer["next"]}


def test_pages_are_the_readable_documents_each_once(client: TestClient) -> None:
    found = pages(client, limit=4)

    assert [len(page) for page in found] == [4, 2]
    assert sorted(row["uri"] for page in found for row in page) == sorted(READABLE)
    (leave,) = [row for page in found for row in page if row["uri"] == "leave.md"]
    assert leave == {
        "doc_id": document_id("docs", "leave.md"),
        "source": "docs",
        "uri": "leave.md",
        "title": "Leave",
        "link": leave["link"],
        "classification": "internal",
        "chunks": 1,
    }


def test_a_list_is_narrowed_by_source_and_prefix(client: TestClient) -> None:
    def uris(**params: Any) -> list[str]:
        return sorted(row["uri"] for page in pages(client, **params) for row in page)

    assert uris(source="docs") == ["leave.md", "travel.md"]
    assert uris(source=["docs", "all"], prefix="t") == ["travel.md"]
    assert uris(prefix="leave") == ["leave.md"]
    assert uris(prefix="md") == uris(source="board") == uris(source="nonsense") == []


def test_a_rare_prefix_is_looked_for_over_several_pages(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "SCANNED", 2)
    found = pages(client, prefix="travel")

    assert len(found) == 3
    assert [row["uri"] for page in found for row in page] == ["travel.md"]


@pytest.mark.parametrize("cursor", ["", "x", "1", "1-", "0-" + "0" * 36, "1-nonsense", "9" * 12 + "-x"])
def test_a_cursor_that_no_page_gave_is_refused(client: TestClient, cursor: str) -> None:
    assert_problem(client.get(f"{URL}/documents", params={"cursor": cursor}), 400, "cursor", "first page")


def test_a_cursor_belongs_to_its_version(client: TestClient) -> None:
    given = client.get(f"{URL}/documents", params={"limit": 1}).json()["next"]

    assert client.get(f"{URL}/documents", params={"cursor": given, "version": 1}).status_code == 200
    assert_problem(client.get(f"{URL}/documents", params={"cursor": given, "version": 2}), 400, "cursor")
    gone = given.replace("1-", "7-", 1)
    assert_problem(client.get(f"{URL}/documents", params={"cursor": gone}), 404, "no published version 7")


def test_a_document_has_the_text_that_citations_slice(client: TestClient) -> None:
    (passage, *_) = client.post(f"{URL}/search", json={"query": "thirty days of leave"}).json()["passages"]
    found = client.get(f"{URL}/documents/{passage['doc_id']}").json()

    assert found["uri"] == "leave.md"
    assert found["text"] == LEAVE.replace("# ", "").strip()
    assert found["text"][passage["start"] : passage["end"]] == passage["text"]
    assert (found["index"], found["version"], found["chunks"]) == ("knowledge", 1, 1)
    assert found["parsed_hash"] == passage["parsed_hash"]
    pump = client.get(f"{URL}/documents/{document_id('pumps', '1')}").json()
    assert pump["metadata"] == {"product": "P-880", "year": 2024}


@pytest.mark.parametrize("source", HIDDEN)
def test_a_hidden_document_is_answered_as_one_that_is_not_there(client: TestClient, source: str) -> None:
    hidden, absent = document_id(source, "paper.md"), document_id(source, "nothing.md")
    one, other = (client.get(f"{URL}/documents/{name}") for name in (hidden, absent))

    assert_problem(one, 404, "no document")
    assert one.text == other.text.replace(absent, hidden)


@pytest.mark.parametrize("name", ["x", "%ff", "%00", "1" * 500])
def test_what_is_no_id_is_not_there(client: TestClient, name: str) -> None:
    assert_problem(client.get(f"{URL}/documents/{name}"), 404)


def test_suggestions_are_readable_titles_and_headings(client: TestClient) -> None:
    def texts(prefix: str, **params: Any) -> list[str]:
        answer = client.get(f"{URL}/suggestions", params={"prefix": prefix, **params}).json()
        assert answer["complete"]
        return [row["text"] for row in answer["suggestions"]]

    assert texts("p") == ["Press T-1", "Pump P-880", "Pump P-990"]
    assert texts("PUMP  p", limit=1) == ["Pump P-880"]
    assert texts("paper") == texts("ump") == []
    (row,) = client.get(f"{URL}/suggestions", params={"prefix": "leave"}).json()["suggestions"]
    assert row == {
        "text": "Leave",
        "kind": "title",
        "documents": 1,
        "doc_id": document_id("docs", "leave.md"),
        "source": "docs",
        "uri": "leave.md",
    }


def test_facets_count_what_is_readable(client: TestClient) -> None:
    body = {"fields": ["source", "product"], "limit": 2}
    answer = client.post(f"{URL}/facets", json=body).json()

    assert answer["total"] == 6
    assert answer["facets"]["source"] == [{"value": "pumps", "count": 3}, {"value": "docs", "count": 2}]
    assert answer["facets"]["product"] == [{"value": "P-880", "count": 1}, {"value": "P-990", "count": 1}]
    assert answer["cut"] == ["source", "product"]
    narrow = client.post(
        f"{URL}/facets", json={"fields": ["source"], "filters": {"product": ["P-880", "T-1"]}}
    ).json()
    assert (narrow["total"], narrow["facets"]["source"]) == (2, [{"value": "pumps", "count": 2}])


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"fields": ["tenant"]}, 400, ("'tenant'", "it counts source")),
        ({"fields": ["acl"]}, 400, ("'acl'",)),
        ({"fields": ["produkt"]}, 400, ("did you mean 'product'?",)),
        ({"fields": ["source"], "filters": {"nothing": 1}}, 400, ("'nothing'",)),
        ({"fields": ["source"], "version": 9}, 404, ("no published version 9",)),
        ({"fields": []}, 422, ("fields",)),
        ({"fields": ["source"], "limit": 0}, 422, ("limit",)),
        ({"fields": ["source"], "unit": "words"}, 422, ("unit",)),
    ],
)
def test_what_cannot_be_counted_is_a_problem(
    client: TestClient, body: dict[str, Any], status: int, words: tuple[str, ...]
) -> None:
    assert_problem(client.post(f"{URL}/facets", json=body), status, *words)


@pytest.mark.parametrize("path", ["documents", "documents/x", "suggestions?prefix=l"])
def test_an_unknown_index_names_the_nearest(client: TestClient, path: str) -> None:
    assert_problem(client.get(f"/v1/indexes/knowlege/{path}"), 404, "did you mean 'knowledge'?")


def test_totals_are_of_what_is_readable(client: TestClient, project: Project) -> None:
    (index,) = client.get("/v1/indexes").json()["indexes"]
    (version,) = client.get(f"{URL}/versions").json()["versions"]

    assert (index["documents"], index["chunks"]) == (6, 6)
    assert (version["documents"], version["chunks"]) == (6, 6)
    assert len(project.visible()) == 10


def test_sources_that_nobody_is_granted_are_not_there(client: TestClient) -> None:
    sources = [row["source"] for row in client.get("/v1/sources").json()["sources"]]

    assert sources == ["all", "docs", "pumps"]
    for hidden in (*HIDDEN, "nonsense"):
        answer = client.post(f"/v1/sources/{hidden}/reindex", json={})
        assert_problem(answer, 404, f"there is no source {hidden!r}")
        assert "did you mean" not in answer.text

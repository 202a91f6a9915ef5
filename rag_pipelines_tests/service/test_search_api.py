"""The HTTP contract: answers, rights, filters, and every error as a problem."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from rag_pipelines.core.types import Principal
from rag_pipelines.service.problems import MEDIA_TYPE
from rag_pipelines_tests.project import Project
from rag_pipelines_tests.service.conftest import HIDDEN, SETTINGS, running

PATH = "/v1/indexes/knowledge/search"
LOCAL = Principal(subject="local", tenant="acme", groups=("staff",))
CONTRACT = {
    "rank", "score", "text", "title", "uri", "doc_id", "chunk_id", "start", "end", "page", "heading_path",
    "revision", "source",
}  # fmt: skip


def passages(client: TestClient, query: str, **body: Any) -> list[dict[str, Any]]:
    """The passages of a search that must succeed."""
    answer = client.post(PATH, json={"query": query, **body})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["passages"]
    return found


def assert_problem(answer: Any, status: int, *words: str) -> dict[str, Any]:
    """The answer is an RFC 9457 problem of this status whose detail holds the words."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == MEDIA_TYPE
    body: dict[str, Any] = answer.json()
    assert {"type", "title", "status", "detail"} <= set(body)
    assert body["status"] == status
    for word in words:
        assert word in body["detail"]
    return body


def test_answer_is_what_the_searcher_finds_with_every_field_of_the_contract(
    client: TestClient, project: Project
) -> None:
    answer = client.post(PATH, json={"query": "days of leave", "k": 4}).json()

    assert answer == project.search("days of leave", k=4, principal=LOCAL).as_json()
    assert (answer["index"], answer["version"], len(answer["passages"])) == ("knowledge", 1, 4)
    assert answer["passages"][0]["uri"] == "leave.md"
    for passage in answer["passages"]:
        assert set(passage) >= CONTRACT
        assert passage["version"] == 1


def test_principal_never_sees_what_it_may_not_read(client: TestClient, project: Project) -> None:
    shown = {passage["source"] for passage in passages(client, "leave this paper alone", k=50)}

    assert shown == {"docs", "all", "pumps"}
    everything = project.search("leave this paper alone", k=50).passages
    assert {passage.citation.source for passage in everything} == shown | set(HIDDEN)
    for source in HIDDEN:
        assert passages(client, "leave this paper alone", filters={"source": source}) == []


def test_filters_narrow_to_one_value_or_any_of_a_list_and_keep_types(client: TestClient) -> None:
    def titles(**filters: Any) -> list[str]:
        return sorted(passage["title"] for passage in passages(client, "valve", filters=filters))

    assert titles(product="P-880") == ["Pump P-880"]
    assert titles(product=["P-880", "T-1"]) == ["Press T-1", "Pump P-880"]
    assert titles(year=2025) == ["Press T-1", "Pump P-990"]
    assert titles(year="2025") == []
    assert titles(product=["P-880", "P-990"], year=2025) == ["Pump P-990"]
    assert titles(product=[]) == []


def test_unknown_filter_field_names_the_nearest(client: TestClient) -> None:
    answer = client.post(PATH, json={"query": "valve", "filters": {"produkt": "P-880"}})

    assert_problem(answer, 400, "'produkt'", "did you mean 'product'?")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"query": "leave", "k": 51}, ("k", "at most 50")),
        ({"query": "leave", "k": 0}, ("k",)),
        ({"query": ""}, ("query",)),
        ({"query": " \t\n"}, ("query",)),
        ({"query": "x" * 201}, ("query", "200 characters")),
        ({"query": "leave", "limit": 5}, ("limit",)),
        ({"query": 7}, ("query",)),
        ({"query": "leave", "k": "many"}, ("k",)),
        ({"query": "leave", "version": 0}, ("version",)),
        ({"query": "leave", "filters": {"source": None}}, ("filters.source",)),
        ({"query": "leave", "filters": {"year": 2**70}}, ("filters.year",)),
        ({"query": "\ud800"}, ("query",)),
        ({"query": "leave", "\ud800": 1}, ()),
        ({}, ("query",)),
        ([], ()),
        (None, ("body",)),
    ],
)
def test_invalid_request_is_a_problem_that_names_the_field(
    client: TestClient, body: Any, words: tuple[str, ...]
) -> None:
    sent = json.dumps(body).encode()
    answer = client.post(PATH, content=sent, headers={"content-type": "application/json"})

    assert_problem(answer, 422, *words)


@pytest.mark.parametrize("sent", [b"{not json", b"\xff\xfe", b"[" * 1500])
def test_body_that_is_not_json_is_a_problem(client: TestClient, sent: bytes) -> None:
    answer = client.post(PATH, content=sent, headers={"content-type": "application/json"})

    assert_problem(answer, 400, "body")


def test_body_over_the_limit_is_refused_with_and_without_a_declared_length(client: TestClient) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(30):
            yield b" " * 100

    assert_problem(client.post(PATH, content=b" " * 2001), 413, "2000 bytes")
    assert_problem(client.post(PATH, content=chunks()), 413, "2000 bytes")
    padded = json.dumps({"query": "leave"}).encode().ljust(2000)
    assert client.post(PATH, content=padded, headers={"content-type": "application/json"}).status_code == 200


def test_unknown_index_version_path_and_method(client: TestClient) -> None:
    unknown = client.post("/v1/indexes/knowlege/search", json={"query": "leave"})
    assert_problem(unknown, 404, "did you mean 'knowledge'?")
    assert_problem(client.post("/v1/indexes/%ff%00/search", json={"query": "leave"}), 404)
    missing = client.post(PATH, json={"query": "leave", "version": 10**20})
    assert_problem(missing, 404, "no published version", "there are 1")
    assert_problem(client.get("/v2/nothing"), 404, "GET /v2/nothing")
    refused = client.get(PATH)
    assert_problem(refused, 405, "GET")
    assert refused.headers["allow"] == "POST"


def test_unexpected_error_tells_nothing_of_the_inside(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("password=hunter2")

    monkeypatch.setattr("rag_pipelines.service.indexes.search_index", broken)
    answer = client.post(PATH, json={"query": "leave"})

    assert_problem(answer, 500)
    assert "hunter2" not in answer.text
    assert "RuntimeError" not in answer.text


def test_health_readiness_and_indexes(client: TestClient) -> None:
    assert client.get("/healthz").json()["status"] == "ok"
    assert client.get("/readyz").json() == {"status": "ready"}
    (index,) = client.get("/v1/indexes").json()["indexes"]
    assert (index["index"], index["version"], index["description"]) == ("knowledge", 1, "Everything")
    assert (index["documents"], index["chunks"]) == (6, 6)
    assert index["published_at"]


def test_nothing_published_says_what_to_do_and_is_alive(small: Project) -> None:
    with running(small) as client:
        answer = client.post(PATH, json={"query": "leave"})
        assert_problem(answer, 503, "rag-pipelines sync")
        assert answer.headers["retry-after"]
        assert_problem(client.get("/readyz"), 503, "rag-pipelines sync")
        assert client.get("/healthz").status_code == 200
        assert client.get("/v1/indexes").json()["indexes"][0]["version"] is None


def test_openapi_schemas_are_valid_and_hold_examples_that_fit(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    schemas = document["components"]["schemas"]
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)
        validator = Draft202012Validator({**schema, "components": document["components"]})
        for example in schema.get("examples", []):
            validator.validate(example)
    assert len(schemas["SearchBody"]["examples"]) == 3
    assert schemas["PassageBody"]["examples"]
    responses = document["paths"]["/v1/indexes/{index}/search"]["post"]["responses"]
    assert {"200", "400", "404", "408", "413", "421", "422", "500", "503", "504"} == set(responses)
    assert list(responses["422"]["content"]) == [MEDIA_TYPE]


def test_service_says_at_start_whom_it_answers_as(small: Project, caplog: pytest.LogCaptureFixture) -> None:
    with running(small):
        pass
    (line,) = [record.getMessage() for record in caplog.records if "no authentication" in record.getMessage()]
    assert "127.0.0.1:8600 as subject=local tenant=acme groups=staff clearance=internal" in line


def test_addresses_of_other_machines_are_refused(small: Project) -> None:
    from rag_pipelines.core.errors import ConfigError

    small.configure("service", {**SETTINGS, "host": "0.0.0.0"})
    with pytest.raises(ConfigError, match=r"service\.yaml:\d+: host"), running(small):
        pass


def test_typed_filters_over_http(client: TestClient) -> None:
    def found(**filters: Any) -> list[str]:
        answer = client.post(PATH, json={"query": "leave", "k": 20, "filters": filters})
        assert answer.status_code == 200, answer.text
        return sorted(passage["title"] for passage in answer.json()["passages"])

    pumps = ["Press T-1", "Pump P-880", "Pump P-990"]
    assert found(product={"exists": True}) == pumps
    assert found(year=[2024, 2025], product={"not": "T-1"}) == pumps[1:]
    assert "Leave" in found(product={"exists": False})
    assert found(year={"not": 2025}, source="pumps") == ["Pump P-880"]


@pytest.mark.parametrize(
    ("filters", "words"),
    [
        ({"year": {"gte": 2024}}, ("'year' (keyword)", "no operator 'gte'", "{field: year, type: integer")),
        ({"year": {}}, ("'year'", "compared with nothing")),
        ({"product": {"near": "x"}}, ("'product'", "no operator 'near'", "allowed")),
        ({"product": 1.5}, ("'product'", "1.5")),
    ],
)
def test_what_a_field_cannot_be_asked_is_a_problem(
    client: TestClient, filters: Any, words: tuple[str, ...]
) -> None:
    assert_problem(client.post(PATH, json={"query": "leave", "filters": filters}), 400, *words)


def test_what_was_understood_is_told_where_it_is_configured(project: Project, tmp_path: Path) -> None:
    twin = project.copied(tmp_path / "twin")
    query = {"spelling": {}, "synonyms": {"one_way": {"HQ": ["office"]}}}
    twin.index("knowledge", filter_fields=["product", "year"], retrieval={"query": query})
    with running(twin) as client:
        answer = client.post(PATH, json={"query": "leaev the HQ", "k": 3}).json()
    assert answer["understanding"] == {
        "question": "leave the HQ",
        "corrections": {"leaev": "leave"},
        "expansions": {"HQ": ["office"]},
        "phrasings": [],
    }

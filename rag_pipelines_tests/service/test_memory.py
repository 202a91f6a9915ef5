"""What the service remembers of searches and feedback, on the real application."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from rag_pipelines.catalog import audit, searches
from rag_pipelines.catalog.audit import AuditLog
from rag_pipelines.catalog.memory_tables import feedback as feedback_rows
from rag_pipelines.catalog.memory_tables import searches as search_rows
from rag_pipelines.catalog.store import Row, open_catalog, rows_of
from rag_pipelines_tests.project import Project
from rag_pipelines_tests.service.conftest import LEAVE, SETTINGS, running

ROOMY = {**SETTINGS, "max_request_bytes": 4000}
ASKING = """
import sys, threading
from rag_pipelines.catalog.searches import Search
from rag_pipelines.catalog.store import now, open_catalog
from rag_pipelines.config.memory import AuditConfig
from rag_pipelines.config.policy import PolicyConfig
from rag_pipelines.core.events import Event
from rag_pipelines.service.memory import Memory

memory = Memory(open_catalog(sys.argv[1]), PolicyConfig(audit=AuditConfig(mode=sys.argv[2])))
told = threading.Lock()

def ask(thread):
    for number in range(100000):
        request = f"{thread}-{number}"
        event = Event("search", "user:ana", "k", "acme", "none", request)
        memory.searched(event, Search(request, now(), "k", 1, "acme", "ana", (), query="how?"))
        with told:
            print(request, flush=True)

for thread in range(4):
    threading.Thread(target=ask, args=(thread,)).start()
"""
QUERY = "How many days of leave move into the next year?"


@pytest.fixture(scope="module")
def remembered(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Two pages of the staff."""
    made = Project(tmp_path_factory.mktemp("remembered") / "project")
    made.configure("service", ROOMY)
    made.write("leave.md", LEAVE)
    made.write("travel.md", "# Travel\n\nLeave early and book trains before flights.\n")
    made.sync()
    return made


@pytest.fixture
def client(remembered: Project) -> Iterator[TestClient]:
    remembered.configure("policy", {})
    with running(remembered) as opened:
        yield opened


def lines(project: Project, action: str) -> list[Row]:
    """Oldest first; the whole chain is verified."""
    with project.workspace() as workspace:
        result = audit.verify_log(workspace.catalog, workspace.audit)
        rows = [row for row in audit.lines_since(workspace.catalog) if row["action"] == action]
    assert result.right, result.problem
    return [{**row, "details": json.loads(row["details"])} for row in rows]


def stored(project: Project, table: Any = search_rows) -> list[Row]:
    with project.workspace() as workspace, workspace.catalog.begin() as tx:
        return rows_of(tx.execute(table.select().order_by(table.c.id)))


def ask(client: TestClient, query: str = QUERY, **values: Any) -> tuple[str, list[dict[str, Any]]]:
    """The request's id and its passages."""
    answer = client.post("/v1/indexes/knowledge/search", json={"query": query, **values})
    assert answer.status_code == 200, answer.text
    return answer.headers["X-Request-Id"], answer.json()["passages"]


def test_a_search_is_a_line_and_a_row_and_the_line_has_no_text(
    client: TestClient, remembered: Project
) -> None:
    request, passages = ask(client)
    line, row = lines(remembered, "search")[-1], stored(remembered)[-1]
    assert (line["actor"], line["tenant"], line["credential"], line["target"], line["request"]) == (
        "user:local", "acme", "none", "knowledge", request,
    )  # fmt: skip
    documents = list(dict.fromkeys(passage["doc_id"] for passage in passages))
    assert len(documents) == 2
    assert line["details"] == {
        "version": 1,
        "passages": len(passages),
        "documents": documents,
        "locations": [],
        "answerable": None,
        "variant": None,
        "query_hash": searches.query_hash(row["query_key"], QUERY),
    }
    assert (row["request"], row["index_name"], row["version"], row["variant"]) == (
        request,
        "knowledge",
        1,
        None,
    )
    assert (row["tenant"], row["subject"], row["query"]) == ("acme", "local", QUERY)
    shown = [[passage["chunk_id"], passage["doc_id"], passage["rank"]] for passage in passages]
    assert (row["passages"], row["at"]) == (shown, line["at"])
    assert "next year" not in json.dumps(line)
    ask(client)
    assert lines(remembered, "search")[-1]["details"]["query_hash"] != line["details"]["query_hash"]


def test_a_search_that_is_refused_is_no_search(client: TestClient, remembered: Project) -> None:
    before = len(stored(remembered))
    assert client.post("/v1/indexes/knowlege/search", json={"query": QUERY}).status_code == 404
    assert client.post("/v1/indexes/knowledge/search", json={"query": QUERY, "version": 9}).status_code == 404
    assert len(stored(remembered)) == before


def test_where_no_text_is_kept_neither_has_it(remembered: Project) -> None:
    remembered.configure("policy", {"queries": {"keep": "none"}})
    with running(remembered) as client:
        request, passages = ask(client)
        given = client.post("/v1/indexes/knowledge/feedback", json={"request_id": request, "useful": True})
        assert given.status_code == 201
    row, line = stored(remembered)[-1], lines(remembered, "search")[-1]
    assert (row["request"], row["query"], row["query_key"]) == (request, None, None)
    assert len(row["passages"]) == len(passages)
    assert "query_hash" not in line["details"]


@pytest.mark.parametrize("mode", ["strict", "fast"])
def test_every_answered_search_is_there_after_the_service_ended(remembered: Project, mode: str) -> None:
    remembered.configure("policy", {"audit": {"mode": mode}})
    with running(remembered) as client:
        answered = {ask(client, k=1)[0] for _ in range(5)}
    assert {row["request"] for row in stored(remembered)[-5:]} == answered
    assert {line["request"] for line in lines(remembered, "search")[-5:]} == answered


@pytest.mark.parametrize("mode", ["strict", "fast"])
def test_a_killed_service_leaves_an_unbroken_log_and_in_strict_mode_all_that_it_answered(
    database_url: str, mode: str
) -> None:
    open_catalog(database_url).close()
    asking = subprocess.Popen(
        [sys.executable, "-c", ASKING, database_url, mode], stdout=subprocess.PIPE, text=True
    )
    assert asking.stdout is not None
    answered = {asking.stdout.readline().strip() for _ in range(40)}
    os.kill(asking.pid, signal.SIGKILL)
    answered |= {line for line in asking.communicate()[0].split("\n")[:-1] if line}
    catalog = open_catalog(database_url)
    result = audit.verify_log(catalog, AuditLog())
    logged = {row["request"] for row in audit.lines_since(catalog)}
    rows = [row["request"] for row in searches.asked(catalog, "k")]
    catalog.close()
    assert result.right, result.problem
    assert len(rows) == len(logged) == result.lines
    assert set(rows) == logged
    if mode == "strict":
        assert answered <= logged
        assert len(logged - answered) <= 4, "each thread waited for one at most"


def test_what_cannot_be_remembered_is_not_answered(client: TestClient, remembered: Project) -> None:
    with remembered.workspace() as workspace, workspace.catalog.begin() as tx:
        tx.exec_driver_sql("ALTER TABLE searches RENAME TO lost")
    try:
        answer = client.post("/v1/indexes/knowledge/search", json={"query": QUERY})
    finally:
        with remembered.workspace() as workspace, workspace.catalog.begin() as tx:
            tx.exec_driver_sql("ALTER TABLE lost RENAME TO searches")
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert "audit log cannot be written" in answer.json()["detail"]
    assert "next year" not in answer.text
    ask(client)


def test_a_text_that_another_part_sends_stays_out_of_the_chain(
    client: TestClient, remembered: Project
) -> None:
    from rag_pipelines.core.events import Event

    parts = client.app.state.parts  # type: ignore[attr-defined]
    parts.audit(Event("answer", "user:ana", "knowledge", details={"query": "secret", "citations": 2}))
    assert lines(remembered, "answer")[-1]["details"] == {"citations": 2}


def test_feedback_is_stored_with_what_was_shown(client: TestClient, remembered: Project) -> None:
    request, passages = ask(client)
    chunk = passages[0]["chunk_id"]
    body = {"request_id": request, "useful": True, "citation": chunk, "comment": "just right"}
    first = client.post("/v1/indexes/knowledge/feedback", json=body)
    assert first.status_code == 201
    number = first.json()["id"]
    assert first.json() == {
        "id": number, "request_id": request, "index": "knowledge", "version": 1, "variant": None,
    }  # fmt: skip
    line = lines(remembered, "feedback")[-1]
    assert line["details"] == {"of": request, "useful": True, "citation": chunk, "commented": True}
    assert "just right" not in json.dumps(line)
    again = client.post("/v1/indexes/knowledge/feedback", json={**body, "useful": False, "comment": None})
    assert (again.status_code, again.json()["id"]) == (201, number)
    whole = client.post("/v1/indexes/knowledge/feedback", json={"request_id": request, "useful": True})
    assert whole.json()["id"] != number
    rows = [row for row in stored(remembered, feedback_rows) if row["request"] == request]
    assert [(row["citation"], row["useful"], row["comment"]) for row in rows] == [
        (chunk, False, None),
        ("", True, None),
    ]
    shown = [[passage["chunk_id"], passage["doc_id"], passage["rank"]] for passage in passages]
    assert [row["passages"] for row in rows] == [shown, shown]
    assert {(row["tenant"], row["subject"], row["version"]) for row in rows} == {("acme", "local", 1)}


def test_feedback_is_only_for_ones_own_requests(client: TestClient, remembered: Project) -> None:
    request, _ = ask(client)
    other_person = {"subject": "bo", "tenant": "acme", "groups": ["staff"]}
    remembered.configure("service", {**ROOMY, "principal": other_person})
    try:
        with running(remembered) as other:
            refused = other.post(
                "/v1/indexes/knowledge/feedback", json={"request_id": request, "useful": True}
            )
    finally:
        remembered.configure("service", ROOMY)
    unknown = client.post("/v1/indexes/knowledge/feedback", json={"request_id": "0" * 32, "useful": True})
    assert (refused.status_code, unknown.status_code) == (404, 404)
    assert refused.json()["detail"] == unknown.json()["detail"]
    assert not [row for row in stored(remembered, feedback_rows) if row["request"] == request]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"citation": "0" * 36}, "citation: is none of the passages"),
        ({"comment": "x" * 2001}, "comment: "),
        ({"request_id": "x' OR 1"}, "request_id: "),
        ({"useful": "perhaps"}, "useful: "),
        ({"rating": 5}, "rating: "),
    ],
)
def test_feedback_that_makes_no_sense_is_refused(
    client: TestClient, values: dict[str, Any], message: str
) -> None:
    request, _ = ask(client)
    body = {"request_id": request, "useful": True, **values}
    answer = client.post("/v1/indexes/knowledge/feedback", json=body)
    assert answer.status_code == 422
    assert message in answer.json()["detail"]


def test_a_request_for_a_reindex_is_a_line_with_its_number(client: TestClient, remembered: Project) -> None:
    asked = client.post("/v1/sources/docs/reindex", json={"uri_prefix": "tra", "force": True})
    number = asked.json()["id"]
    assert (
        client.post("/v1/sources/docs/reindex", json={"uri_prefix": "tra", "force": True}).json()["id"]
        == number
    )
    (line,) = lines(remembered, "reindex.request")
    assert (line["actor"], line["target"], line["request"]) == (
        "user:local", "docs", asked.headers["X-Request-Id"],
    )  # fmt: skip
    assert line["details"] == {"uri_prefix": "tra", "force": True, "number": number}


def test_a_key_that_is_not_set_keeps_the_service_from_starting(tmp_path: Path) -> None:
    from rag_pipelines.core.errors import ConfigError

    project = Project(tmp_path / "keyed")
    project.configure("policy", {"audit": {"key_env": "RAG_TEST_NO_SUCH_KEY"}})
    with pytest.raises(ConfigError, match="RAG_TEST_NO_SUCH_KEY, which is not set"), running(project):
        pass

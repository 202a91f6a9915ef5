"""A browser's session where callers are told apart: signing in, being somebody, a key that ends, signing out."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from rag_pipelines.core.types import Classification, Principal
from rag_pipelines_tests.project import Project
from rag_pipelines_tests.service.conftest import LEAVE, running

pytestmark = pytest.mark.skipif(
    find_spec("rag_pipelines.service.identity") is None, reason="needs a service that tells callers apart"
)
HOME = "https://rag.example"
OWN = {"Origin": HOME}
ANA = Principal("ana", "acme", ("staff",), Classification.INTERNAL)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    made = Project(Path(tmp_path_factory.mktemp("signing")) / "project")
    made.configure("service", {"auth": {"mode": "authenticated", "recheck_seconds": 0}})
    made.source("board", acl=["group:board"])
    made.write("leave.md", LEAVE)
    made.write("plan.md", "# Plan\n\nLeave the plan alone.\n", "board")
    made.sync()
    return made


@pytest.fixture
def client(project: Project) -> Iterator[TestClient]:
    with running(project) as opened:
        opened.base_url = HOME
        opened.follow_redirects = False
        yield opened


def key_of(project: Project, *scopes: str) -> Any:
    """A key of ana's."""
    keys = import_module("rag_pipelines.governance.keys")
    with project.workspace() as workspace:
        return keys.create_key(
            workspace.catalog, ANA, set(scopes), expires_at=None, by="ops", audit=lambda event: None
        )


def test_signing_in_makes_the_browser_somebody_for_the_pages_alone(
    client: TestClient, project: Project
) -> None:
    asked = client.get("/pages/search?q=leave")
    assert asked.status_code == 401
    assert 'name="following" value="/pages/search?q=leave"' in asked.text
    form = {"credential": key_of(project, "search").text, "following": "/pages/search?q=leave"}
    signed = client.post("/pages/sign-in", data=form, headers=OWN)
    assert (signed.status_code, signed.headers["location"]) == (303, "/pages/search?q=leave")
    cookie = signed.headers["set-cookie"]
    for attribute in ("HttpOnly", "SameSite=strict", "Path=/pages/", "Secure"):
        assert attribute in cookie
    assert "Max-Age" not in cookie

    found = client.get("/pages/search?q=leave")
    assert found.status_code == 200
    assert "leave.md" in found.text
    assert "plan.md" not in found.text
    assert "Sign out" in found.text
    assert client.get("/pages/sources").status_code == 403
    session = {"Cookie": f"rag_session={form['credential']}"}
    assert (
        client.post("/v1/indexes/knowledge/search", json={"query": "x"}, headers=session).status_code == 401
    )

    left = client.post("/pages/sign-out", headers=OWN)
    assert 'rag_session=""' in left.headers["set-cookie"]
    assert client.get("/pages/search?q=leave").status_code == 401


def test_a_revoked_key_asks_to_sign_in_again(client: TestClient, project: Project) -> None:
    keys = import_module("rag_pipelines.governance.keys")
    made = key_of(project, "search", "status")
    client.post("/pages/sign-in", data={"credential": made.text}, headers=OWN)
    assert client.get("/pages/sources").status_code == 200
    with project.workspace() as workspace:
        keys.revoke_key(workspace.catalog, made.id, by="ops", audit=lambda event: None)
    refused = client.get("/pages/sources")
    assert refused.status_code == 401
    assert "not accepted" in refused.text


@pytest.mark.parametrize(
    ("form", "status", "words"),
    [
        ({"credential": "two words"}, 401, "not accepted"),
        ({"credential": ""}, 401, "not accepted"),
        ({"credential": "x" * 5000}, 401, "not accepted"),
    ],
)
def test_what_is_no_credential_makes_no_cookie(
    client: TestClient, form: dict[str, str], status: int, words: str
) -> None:
    answer = client.post("/pages/sign-in", data=form, headers=OWN)
    assert (answer.status_code, words in answer.text) == (status, True)
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "following", ["https://evil.example/", "//evil.example", "/v1/indexes", "", "/pages"]
)
def test_signing_in_leads_to_pages_of_ours_alone(client: TestClient, following: str) -> None:
    answer = client.post("/pages/sign-in", data={"credential": "x", "following": following}, headers=OWN)
    assert answer.headers["location"] == "/pages/search"


def test_a_key_does_not_cross_the_network_in_the_clear(client: TestClient) -> None:
    plain = "http://rag.example"
    answer = client.post(f"{plain}/pages/sign-in", data={"credential": "x"}, headers={"Origin": plain})
    assert answer.status_code == 403
    assert "https" in answer.text
    assert "set-cookie" not in answer.headers

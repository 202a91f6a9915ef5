"""A name that somebody lets lead to this machine does not make their page one of ours, by whatever route."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from rag_pipelines.config.service import ServiceConfig
from rag_pipelines.service.app import ROUTERS
from rag_pipelines.service.hosts import Hosts, is_local, known_hosts
from rag_pipelines.service.problems import MEDIA_TYPE
from rag_pipelines_tests.project import Project
from rag_pipelines_tests.service.conftest import SETTINGS, running

NOBODY = {"auth": {"mode": "authenticated"}}
SOMEBODY = {"principal": {"tenant": "acme"}}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """Without authentication and with nothing published; one name is allowed besides this machine's own."""
    made = Project(tmp_path_factory.mktemp("named"))
    made.configure("service", {**SETTINGS, "allowed_hosts": ["Search.acme.example"]})
    with running(made) as opened:
        yield opened


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("localhost:8600", True),
        ("127.0.0.1", True),
        ("[::1]:8600", True),
        ("app.localhost", True),
        ("evil.example", False),
        ("10.0.0.1:8600", False),
        ("localhost.evil.example", False),
        ("", False),
        ("[", False),
    ],
)
def test_which_hosts_are_this_machine(host: str, local: bool) -> None:
    assert is_local(host) is local


def every_path() -> set[str]:
    routes: list[Any] = [route for router in ROUTERS for route in router.routes]
    return {"/openapi.json", "/docs", "/", "/nowhere", *(route.path for route in routes)}


def test_no_route_answers_to_a_name_of_somebody_else(client: TestClient) -> None:
    for path in sorted(every_path()):
        url = path.format(index="knowledge", source="docs", number=1, doc_id="x")
        answer = client.get(url, headers={"Host": "evil.example:8600"})
        assert (path, answer.status_code) == (path, 421)
        pages = path.startswith("/pages/")
        assert answer.headers["content-type"] == ("text/html; charset=utf-8" if pages else MEDIA_TYPE)
        assert answer.headers["x-request-id"]
        assert "allowed_hosts" in answer.text
    refused = client.post(
        "/v1/indexes/knowledge/search", json={"query": "leave"}, headers={"Host": "evil.example"}
    )
    assert (refused.status_code, "knowledge/search" in refused.json()["instance"]) == (421, True)


@pytest.mark.parametrize("host", ["127.0.0.1:9", "localhost", "[::1]:8600", "search.acme.example:443"])
def test_this_machine_and_allowed_names_are_answered(client: TestClient, host: str) -> None:
    for path in ("/healthz", "/metrics", "/v1/indexes", "/pages/search"):
        assert client.get(path, headers={"Host": host}).status_code == 200


def answers(service: dict[str, Any], path: str, host: str) -> int:
    """The status of a path behind the check of this configuration."""
    app = FastAPI()
    for known in ("/v1/indexes", "/healthz", "/readyz", "/metrics"):
        app.add_api_route(known, lambda: "here")
    config = ServiceConfig.model_validate(service)
    names = known_hosts(config)
    if names is not None:
        app.add_middleware(Hosts, names=names, probed=config.principal is None)
    return TestClient(app).get(path, headers={"Host": host}).status_code


@pytest.mark.parametrize(
    ("service", "path", "host", "status"),
    [
        ({**SOMEBODY, "host": "127.0.0.2"}, "/v1/indexes", "127.0.0.2:8600", 200),
        ({**SOMEBODY, "host": "::1"}, "/v1/indexes", "[::1]", 200),
        (SOMEBODY, "/healthz", "evil.example", 421),
        (NOBODY, "/v1/indexes", "evil.example", 200),
        ({**NOBODY, "allowed_hosts": ["a.example"]}, "/v1/indexes", "A.example:443", 200),
        ({**NOBODY, "allowed_hosts": ["a.example"]}, "/v1/indexes", "b.example", 421),
        ({**NOBODY, "allowed_hosts": ["a.example"]}, "/healthz", "10.1.2.3:8600", 200),
        ({**NOBODY, "allowed_hosts": ["a.example"]}, "/metrics", "10.1.2.3:8600", 200),
        ({**NOBODY, "allowed_hosts": ["::2"]}, "/v1/indexes", "[::2]:1", 200),
    ],
)
def test_with_authentication_names_are_checked_where_some_are_configured(
    service: dict[str, Any], path: str, host: str, status: int
) -> None:
    assert answers(service, path, host) == status


@pytest.mark.parametrize("name", ["https://a.example", "a.example:443", "[::1]", "*", "a b", "", "a..b"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="without scheme, port and brackets"):
        ServiceConfig.model_validate({**SOMEBODY, "allowed_hosts": [name]})


EVERYWHERE = {"400", "408", "413", "421", "422", "500", "503", "504"}


def test_the_document_names_what_is_answered_without_authentication(client: TestClient) -> None:
    for path, methods in client.get("/openapi.json").json()["paths"].items():
        for method, operation in methods.items():
            found = set(operation["responses"])
            assert (path, method, found >= EVERYWHERE) == (path, method, True)
            assert found.isdisjoint({"401", "403", "429"})
            assert ("404" in found) == ("{" in path or path == "/metrics"), path


def test_the_document_names_limits_that_are_configured(small: Project) -> None:
    small.configure("service", {**SETTINGS, "limits": {"per_tenant": {"per_second": 1, "burst": 9}}})
    with running(small) as client:
        paths = client.get("/openapi.json").json()["paths"]
    assert "429" in paths["/v1/indexes"]["get"]["responses"]
    assert "429" not in paths["/healthz"]["get"]["responses"]

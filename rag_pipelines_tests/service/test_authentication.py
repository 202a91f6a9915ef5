"""The service with authentication on: who gets in, as whom, and that nobody else does, by whatever route."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter, Depends
from fastapi.testclient import TestClient

from rag_pipelines.catalog import api_keys
from rag_pipelines.core.types import Classification, Principal
from rag_pipelines.governance.groups import import_groups
from rag_pipelines.governance.keys import NewKey, create_key, revoke_key, rotate_key
from rag_pipelines.governance.scopes import SCOPES
from rag_pipelines.service.app import ROUTERS
from rag_pipelines.service.guarding import OPEN, docs_router, unguarded
from rag_pipelines.service.problems import MEDIA_TYPE
from rag_pipelines_tests.governance.issuer import Issuer, public_jwk, rsa_key, serve
from rag_pipelines_tests.project import Project
from rag_pipelines_tests.service.conftest import SETTINGS, running

PATH = "/v1/indexes/knowledge/search"
QUERY = {"query": "leave", "k": 20}
ANA = Principal("ana", "acme", ("staff",), Classification.INTERNAL)
CHALLENGE = 'Bearer realm="rag-pipelines"'


def configure(project: Project, issuer: Issuer, **auth: Any) -> None:
    """Service.yaml with authentication on."""
    settings = {name: value for name, value in SETTINGS.items() if name != "principal"}
    values = {"mode": "authenticated", "issuers": [issuer.settings()], "recheck_seconds": 0, **auth}
    patient = {"failed_attempts": {"per_second": 1000, "burst": 100_000}}
    project.configure("service", {**settings, "auth": values, "limits": patient})


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    """One key, `one`."""
    with serve() as started:
        yield started


@pytest.fixture(scope="module")
def served(project: Project, issuer: Issuer) -> Iterator[TestClient]:
    """The synced project behind keys, tokens, and groups of the catalog."""
    configure(project, issuer, groups_from=["credential", "table"])
    with running(project) as client:
        yield client


def made(project: Project, principal: Principal = ANA, scopes: set[str] | None = None) -> NewKey:
    with project.workspace() as workspace:
        return create_key(
            workspace.catalog,
            principal,
            {"search"} if scopes is None else scopes,
            expires_at=None,
            by="ops",
            audit=lambda event: None,
        )


@pytest.fixture(scope="module")
def key(project: Project) -> NewKey:
    """Of ana, for searching."""
    return made(project)


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


def sources(answer: Any) -> set[str]:
    assert answer.status_code == 200, answer.text
    return {passage["source"] for passage in answer.json()["passages"]}


def test_key_and_token_see_what_their_principal_may(
    served: TestClient, issuer: Issuer, project: Project, key: NewKey
) -> None:
    visible = {"docs", "all", "pumps"}
    assert sources(served.post(PATH, json=QUERY, headers=bearer(key.text))) == visible
    assert sources(served.post(PATH, json=QUERY, headers=bearer(issuer.token()))) == visible
    for principal, expected in (
        (Principal("ana", "acme", ("board",)), {"all", "board"}),
        (Principal("ana", "acme", ("staff",), Classification.CONFIDENTIAL), {*visible, "secret"}),
        (Principal("ana", "acme", (), Classification.PUBLIC), {"all"}),
        (Principal("gil", "globex"), {"foreign"}),
    ):
        shown = made(project, principal).text
        assert sources(served.post(PATH, json=QUERY, headers=bearer(shown))) == expected
        if principal.tenant == "acme":
            claims: dict[str, Any] = {
                "groups": list(principal.groups),
                "clearance": principal.clearance.value,
            }
            assert sources(served.post(PATH, json=QUERY, headers=bearer(issuer.token(**claims)))) == expected


def every_route() -> list[tuple[str, str]]:
    routes: list[Any] = [route for router in (*ROUTERS, docs_router) for route in router.routes]
    return [
        (method, route.path)
        for route in routes
        if route.path not in OPEN
        for method in sorted(getattr(route, "methods", None) or {"GET"})
    ]


def test_there_is_no_route_without_a_guard() -> None:
    assert list(unguarded((*ROUTERS, docs_router))) == []
    assert {"/healthz", "/readyz"} == OPEN
    assert {path for _, path in every_route()} >= {PATH.replace("knowledge", "{index}"), "/docs"}


def test_a_route_that_was_forgotten_stops_the_service(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    router = APIRouter()

    @router.get("/v1/forgotten")
    def forgotten() -> dict[str, str]:
        return {}

    monkeypatch.setattr("rag_pipelines.service.app.ROUTERS", (*ROUTERS, router))
    with (
        pytest.raises(ValueError, match="routes that ask for no credential: /v1/forgotten"),
        running(project),
    ):
        pass


@pytest.mark.parametrize("sent", [None, "Bearer", "Bearer x", "Basic YW5hOnB3", "bearer rag_x_y", ""])
def test_every_route_refuses_who_shows_nothing_valid(served: TestClient, sent: str | None) -> None:
    headers = {"Authorization": sent} if sent is not None else {}
    for method, path in every_route():
        url = path.format(index="knowledge", source="docs", number=1, doc_id="x", id="x", name="x", path="x")
        for body in (b"", b"{", b'"\xff', b"{}", b'{"query": "leave"}'):
            answer = served.request(
                method, url, headers={**headers, "Content-Type": "application/json"}, content=body
            )
            if path.startswith(
                "/pages/"
            ):  # where people are shown how to sign in, and forms of others are refused
                assert answer.status_code in {401, 403}
                continue
            assert (method, path, answer.status_code) == (method, path, 401)
            assert answer.headers["WWW-Authenticate"].startswith(CHALLENGE)
            assert answer.headers["Content-Type"] == MEDIA_TYPE
            assert "leave" not in answer.text


def test_whoever_is_nobody_learns_nothing_of_what_they_sent(served: TestClient, key: NewKey) -> None:
    for body, status in ((b'{"query": "leave', 400), (b'{"query": 7}', 422), (b'{"leave": 1}', 422)):
        kind = {"Content-Type": "application/json"}
        refused = served.post(PATH, content=body, headers=kind)
        assert (refused.status_code, "errors" in refused.json(), "query" in refused.text) == (
            401,
            False,
            False,
        )
        known = served.post(PATH, content=body, headers={**bearer(key.text), **kind})
        assert known.status_code == status


def test_a_request_is_identified_and_counted_once(
    project: Project, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(project, issuer)
    shown = made(project)
    seen: list[str] = []

    def noted(name: str, plain: Callable[..., Any]) -> Callable[..., Any]:
        def called(*given: Any) -> Any:
            seen.append(name)
            return plain(*given)

        return called

    with running(project) as client:
        parts = client.app.state.parts  # type: ignore[attr-defined]
        monkeypatch.setattr(
            parts.authentication, "identify", noted("identified", parts.authentication.identify)
        )
        monkeypatch.setattr(parts.limits, "admit", noted("counted", parts.limits.admit))
        for content, status in ((b'{"query": "leave"}', 200), (b"{", 400), (b"{}", 422)):
            headers = {**bearer(shown.text), "Content-Type": "application/json"}
            assert client.post(PATH, content=content, headers=headers).status_code == status
    assert seen == ["identified", "counted"] * 3


def test_an_oversized_body_is_refused_unread_whoever_sends_it(served: TestClient) -> None:
    answer = served.post(PATH, content=b"leave" * 1000)
    assert (answer.status_code, "leave" in answer.text) == (413, False)


def test_a_route_that_reads_before_it_knows_who_asks_stops_the_service(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rag_pipelines.service.asking import needs

    router = APIRouter()

    @router.get("/v1/late", dependencies=[Depends(needs("search"))])
    def late() -> dict[str, str]:
        return {}

    monkeypatch.setattr("rag_pipelines.service.app.ROUTERS", (*ROUTERS, router))
    with pytest.raises(ValueError, match=r"/v1/late.*route_class=Guarded"), running(project):
        pass


def test_refusals_do_not_tell_whether_a_key_exists(served: TestClient, project: Project, key: NewKey) -> None:
    gone = made(project)
    with project.workspace() as workspace:
        revoke_key(workspace.catalog, gone.id, by="ops", audit=lambda event: None)
    answers = [
        served.post(PATH, json=QUERY, headers=bearer(text))
        for text in (
            gone.text,
            f"{key.text[:-1]}!",
            f"rag_{key.id}_{gone.text.split('_')[2]}",
            f"rag_{'x' * 12}_{'y' * 43}",
        )
    ]
    told = {
        (answer.status_code, answer.json()["detail"], answer.headers["WWW-Authenticate"])
        for answer in answers
    }
    assert told == {(401, "the credential is not valid", f'{CHALLENGE}, error="invalid_token"')}
    assert {tuple(answer.json()) for answer in answers} == {("type", "title", "status", "detail", "instance")}


def test_without_a_credential_no_error_is_named(served: TestClient) -> None:
    answer = served.post(PATH, json=QUERY)
    assert answer.headers["WWW-Authenticate"] == CHALLENGE
    assert answer.json()["detail"] == "send one Authorization: Bearer header"


def test_two_credentials_are_none(served: TestClient, issuer: Issuer, key: NewKey) -> None:
    headers = [("Authorization", f"Bearer {key.text}"), ("Authorization", f"Bearer {issuer.token()}")]
    assert served.post(PATH, json=QUERY, headers=headers).status_code == 401
    for text in (f"{key.text} {key.text}", f"{key.text},{key.text}", f" {key.text}"):
        assert served.post(PATH, json=QUERY, headers=bearer(text)).status_code == 401


def test_a_scope_is_needed_for_what_it_names(served: TestClient, project: Project, issuer: Issuer) -> None:
    shown = {name: made(project, scopes={name}).text for name in SCOPES}
    shown["token"] = issuer.token(scope="openid")
    for name, text in shown.items():
        searched = served.post(PATH, json=QUERY, headers=bearer(text))
        listed = served.get("/v1/sources", headers=bearer(text))
        asked = served.get("/v1/sources/docs/reindex/7", headers=bearer(text))
        assert (searched.status_code == 200) == (name == "search")
        assert (listed.status_code == 200) == (name == "status")
        assert (asked.status_code == 404) == (name == "reindex")
    refused = served.get("/v1/sources", headers=bearer(shown["search"]))
    assert (refused.status_code, refused.json()["detail"]) == (403, "this credential has no scope 'status'")
    assert refused.headers["WWW-Authenticate"] == (f'{CHALLENGE}, error="insufficient_scope", scope="status"')


def test_a_token_without_a_tenant_is_refused_on_every_route(served: TestClient, issuer: Issuer) -> None:
    for tenant in (None, "globex"):
        text = issuer.token(tenant=tenant, scope=" ".join(SCOPES))
        for method, path in every_route():
            url = path.format(
                index="knowledge", source="docs", number=1, doc_id="x", id="x", name="x", path="x"
            )
            answer = served.request(method, url, headers=bearer(text))
            assert (path, answer.status_code) == (path, 403)
            if not path.startswith("/pages/"):
                assert "names no tenant that this service knows" in answer.json()["detail"]


def test_bad_tokens_say_why_only_where_they_are_genuine(served: TestClient, issuer: Issuer) -> None:
    expired = served.post(PATH, json=QUERY, headers=bearer(issuer.token(exp=1_000_000_000)))
    forged = served.post(
        PATH, json=QUERY, headers=bearer(issuer.token(rsa_key("mallory"), exp=1_000_000_000))
    )
    assert [expired.status_code, forged.status_code] == [401, 401]
    assert expired.json()["detail"] == "the token has expired"
    assert forged.json()["detail"] == "the credential is not valid"


def test_keys_of_the_issuer_rotate_while_the_service_runs(served: TestClient, issuer: Issuer) -> None:
    before = issuer.keys
    issuer.keys = [public_jwk(rsa_key("two"), "two")]
    try:
        text = issuer.token(rsa_key("two"), "two")
        time.sleep(0.06)
        assert served.post(PATH, json=QUERY, headers=bearer(text)).status_code == 200
        assert served.post(PATH, json=QUERY, headers=bearer(issuer.token())).status_code == 401
    finally:
        issuer.keys = before
    time.sleep(0.06)
    assert served.post(PATH, json=QUERY, headers=bearer(issuer.token())).status_code == 200


def test_an_issuer_that_is_away_is_503_and_keys_still_work(project: Project) -> None:
    with serve() as away:
        away.status = 500
        configure(project, away)
        with running(project) as client:
            answer = client.post(PATH, json=QUERY, headers=bearer(away.token()))
            assert answer.status_code == 503
            assert int(answer.headers["Retry-After"]) >= 1
            assert "cannot be fetched now" in answer.json()["detail"]
            assert client.post(PATH, json=QUERY, headers=bearer(made(project).text)).status_code == 200
            assert client.get("/healthz").status_code == 200


def test_revoked_and_rotated_keys(served: TestClient, project: Project) -> None:
    old = made(project)
    with project.workspace() as workspace:
        new = rotate_key(
            workspace.catalog,
            old.id,
            timedelta(hours=1),
            expires_at=None,
            by="ops",
            audit=lambda event: None,
        )
        for text in (old.text, new.text):
            assert served.post(PATH, json=QUERY, headers=bearer(text)).status_code == 200
        revoke_key(workspace.catalog, old.id, by="ops", audit=lambda event: None)
    assert served.post(PATH, json=QUERY, headers=bearer(old.text)).status_code == 401
    assert served.post(PATH, json=QUERY, headers=bearer(new.text)).status_code == 200


def test_groups_of_the_catalog_come_and_go_at_the_next_request(
    served: TestClient, project: Project, issuer: Issuer
) -> None:
    nobody = made(project, Principal("bo", "acme"))
    for rows, expected in (
        ({("acme", "board", "user:bo")}, {"all", "board"}),
        ({("acme", "board", "group:chairs"), ("acme", "chairs", "user:bo")}, {"all", "board"}),
        ({("globex", "board", "user:bo")}, {"all"}),
        (set(), {"all"}),
    ):
        with project.workspace() as workspace:
            import_groups(
                workspace.catalog,
                frozenset({"acme", "globex"}),
                frozenset(rows),
                by="ops",
                audit=lambda event: None,
            )
        for text in (nobody.text, issuer.token(sub="bo", groups=[])):
            assert sources(served.post(PATH, json=QUERY, headers=bearer(text))) == expected


def test_groups_of_a_file_come_and_go_at_the_next_request(project: Project, issuer: Issuer) -> None:
    path = project.root / "groups.yaml"

    def write(text: str) -> None:
        fresh = path.with_suffix(".new")
        fresh.write_text(text, encoding="utf-8")
        os.replace(fresh, path)

    write("acme: {board: [user:ana]}")
    configure(project, issuer, groups_from=["file"], groups_file="groups.yaml")
    with running(project) as client:
        headers = bearer(issuer.token(groups=["staff"]))
        assert sources(client.post(PATH, json=QUERY, headers=headers)) == {"all", "board"}
        write("acme: {staff: [user:ana]}")
        assert sources(client.post(PATH, json=QUERY, headers=headers)) == {"docs", "all", "pumps"}
        write("acme: {}")
        assert sources(client.post(PATH, json=QUERY, headers=headers)) == {"all"}
        write("acme: [")
        broken = client.post(PATH, json=QUERY, headers=headers)
        assert (broken.status_code, broken.headers["Retry-After"]) == (503, "5")
        assert str(project.root) not in broken.text


def test_a_broken_groups_file_stops_the_start(project: Project, issuer: Issuer) -> None:
    from rag_pipelines.core.errors import ConfigError

    configure(project, issuer, groups_from=["file"], groups_file="nowhere.yaml")
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: cannot be read"), running(project):
        pass
    configure(project, issuer, issuers=[issuer.settings(default_scopes=["serch"])])
    with (
        pytest.raises(ConfigError, match=r"auth\.issuers\.0\.default_scopes: there is no scope 'serch'"),
        running(project),
    ):
        pass


def test_a_key_is_remembered_for_as_long_as_configured(
    project: Project, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(project, issuer, recheck_seconds=300)
    key = made(project)
    asked: list[str] = []
    plain: Callable[..., Any] = api_keys.key_of

    def counted(catalog: Any, key_id: str) -> Any:
        asked.append(key_id)
        return plain(catalog, key_id)

    monkeypatch.setattr(api_keys, "key_of", counted)
    with running(project) as client:
        for _ in range(5):
            assert client.get("/v1/indexes", headers=bearer(key.text)).status_code == 200
        assert asked == [key.id]
        wrong = key.text[:-1] + ("a" if key.text[-1] != "a" else "b")
        assert client.get("/v1/indexes", headers=bearer(wrong)).status_code == 401
        with project.workspace() as workspace:
            stored = plain(workspace.catalog, key.id)
            assert stored["last_used_at"] is None
    with project.workspace() as workspace:
        stored = plain(workspace.catalog, key.id)
        assert stored["last_used_at"] is not None


def test_keys_can_be_switched_off(project: Project, issuer: Issuer) -> None:
    configure(project, issuer, api_keys=False)
    with running(project) as client:
        assert client.get("/v1/indexes", headers=bearer(made(project).text)).status_code == 401
        assert client.get("/v1/indexes", headers=bearer(issuer.token())).status_code == 200


def test_machines_and_documentation(
    served: TestClient, project: Project, issuer: Issuer, key: NewKey
) -> None:
    assert served.get("/healthz").status_code == 200
    assert served.get("/readyz").status_code == 200
    for path in ("/docs", "/redoc", "/openapi.json"):
        assert served.get(path).status_code == 401
        assert served.get(path, headers=bearer(key.text)).status_code == 200
    document = served.get("/openapi.json", headers=bearer(key.text)).json()
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    operations = [
        (path, operation) for path, methods in document["paths"].items() for operation in methods.values()
    ]
    assert {path for path, operation in operations if "security" not in operation} == OPEN
    search = document["paths"]["/v1/indexes/{index}/search"]["post"]
    assert search["security"] == [{"bearer": []}]
    assert search["description"].endswith("Needs the scope `search`.")
    for _, operation in operations:
        refused = {"401", "403", "429"} & set(operation["responses"])
        assert refused == ({"401", "403", "429"} if "security" in operation else set())
        assert "421" not in operation["responses"]
    configure(project, issuer, public_docs=True)
    with running(project) as client:
        for path in ("/docs", "/openapi.json"):
            assert client.get(path).status_code == 200
        assert client.get("/v1/indexes").status_code == 401
        assert "bearer" in client.get("/openapi.json").json()["components"]["securitySchemes"]


def test_without_authentication_the_document_asks_for_none(small: Project) -> None:
    with running(small) as client:
        document = client.get("/openapi.json").json()
    assert "securitySchemes" not in document["components"]
    assert client.get("/docs").status_code == 200


def test_secrets_do_not_reach_the_log(
    served: TestClient, issuer: Issuer, key: NewKey, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", logger="rag_pipelines")
    texts = [
        key.text[:-1] + "!",
        issuer.token(rsa_key("mallory")),
        issuer.token(exp=1),
        issuer.token(tenant="x"),
    ]
    for text in texts:
        served.post(PATH, json=QUERY, headers=bearer(text))
    logged = "\n".join(record.getMessage() for record in caplog.records)
    assert "refused: no such key" in logged
    assert [text for text in texts if text in logged or text.split(".")[-1] in logged] == []
    assert "leave" not in logged


def test_any_address_may_be_served_with_authentication(
    project: Project, issuer: Issuer, tmp_path: Path
) -> None:
    configure(project, issuer)
    with project.workspace() as workspace:
        plain = workspace.configuration.service
    assert (plain.host, plain.principal) == ("127.0.0.1", None)
    settings = {"host": "0.0.0.0", "auth": {"mode": "authenticated"}}
    project.configure("service", settings)
    with project.workspace() as workspace:
        service = workspace.configuration.service
    assert (service.host, service.local_host, service.dagster_host) == ("0.0.0.0", "127.0.0.1", "127.0.0.1")

"""The pages over HTTP: what they show to whom, their headers, and which requests they refuse."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlencode

import pytest
from fastapi.testclient import TestClient
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from rag_pipelines.catalog.audit import lines_since
from rag_pipelines.catalog.memory_tables import searches
from rag_pipelines.catalog.store import rows_of
from rag_pipelines.service.page_filters import filters_of
from rag_pipelines.service.pages_frame import PageFrame
from rag_pipelines.service.pages_owner import freshness
from rag_pipelines.service.pages_render import asset, document_path, page, web_link
from rag_pipelines_tests.project import STAFF, Project
from rag_pipelines_tests.service.conftest import running
from rag_pipelines_tests.service.pages_project import pages_project

HOME = "http://localhost"
OWN = {"Origin": HOME}
DOCUMENTS = find_spec("rag_pipelines.service.documents") is not None
ANSWERS = find_spec("rag_pipelines.service.answers") is not None
FEEDBACK = find_spec("rag_pipelines.service.feedback") is not None
QUERY = "thirty days of paid leave"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return pages_project(tmp_path_factory.mktemp("pages") / "project")


@pytest.fixture(scope="module")
def client(project: Project) -> Iterator[TestClient]:
    with running(project) as opened:
        opened.base_url = HOME
        yield opened


def shown(answer: Any, status: int = 200) -> str:
    """The page, which must be one."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return str(answer.text)


def search(client: TestClient, q: str = QUERY, **more: str) -> str:
    return shown(client.get(f"/pages/search?{urlencode({'q': q, **more})}"))


def test_search_shows_what_the_asker_may_read_and_no_markup_of_documents(
    client: TestClient, project: Project
) -> None:
    found = search(client)

    uris = re.findall(r'<span class="uri">(.*?)</span>', found.partition('id="passages"')[2])
    assert uris == [one.citation.uri for one in project.search(QUERY, k=10, principal=STAFF).passages]
    assert uris[0] == "leave.md"
    assert {"plan.md", "paper.md"}.isdisjoint(uris)
    assert "🌴 &amp; &lt;b&gt;more&lt;/b&gt;" in found
    assert "<b>" not in found
    assert 'value="thirty days of paid leave"' in found


def test_every_page_has_its_headers_and_nothing_inline(client: TestClient) -> None:
    for path in ("/pages/search?q=leave", "/pages/sources", "/pages/nowhere", "/pages/documents/knowledge/x"):
        answer = client.get(path)
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'self'; script-src 'self'"), path
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-request-id"]
        assert not re.search(r"<script(?! src=)|<style|\sstyle=|\son\w+=", answer.text), path
        assert re.findall(r'(?:src|href)="(?:https?:)?//', answer.text) == []
        for needed in ('<html lang="en">', 'class="skip" href="#main"', '<main id="main"', "<h1"):
            assert needed in answer.text, path
        labelled = set(re.findall(r'<label for="([^"]+)"', answer.text))
        fields = re.findall(
            r'<(?:input|select)(?![^>]*type="(?:hidden|checkbox)")[^>]*?id="([^"]+)"', answer.text
        )
        assert labelled == set(fields)
    assert client.get("/pages/static/pages.css").headers["content-type"].startswith("text/css")
    assert client.get("/pages/static/../app.py").status_code == 404
    assert client.get("/", follow_redirects=False).headers["location"] == "/pages/search"


def test_pages_are_not_in_the_document_of_the_api(client: TestClient) -> None:
    assert not any("pages" in path for path in client.get("/openapi.json").json()["paths"])


def test_filters_narrow_and_stay_filled_in(client: TestClient) -> None:
    found = search(client, "leave", source="late")
    assert re.findall(r'<span class="uri">(.*?)</span>', found) == ["note.md"]
    assert "<option selected>late</option>" in found
    empty = search(client, "leave", **{"f.product": "P-1"})
    assert "Nothing that you may read fits." in empty
    assert 'name="f.product" value="P-1"' in empty


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ({"q": "x", "index": "knowlege"}, 404, "did you mean &#39;knowledge&#39;?"),
        ({"q": "x" * 5000}, 422, "query: is longer than"),
        ({"q": "x", "f.year": "soon"}, 422, "year: &#39;soon&#39; is no integer"),
        ({"q": "x", "f.year": str(2**70)}, 422, "filters"),
        ({"q": "x", "k": "0"}, 422, "k"),
    ],
)
def test_what_is_wrong_is_told_on_the_page(
    client: TestClient, query: dict[str, str], status: int, words: str
) -> None:
    found = shown(client.get(f"/pages/search?{urlencode(query)}"), status)
    alert = re.search(r'role="alert">(.*?)</p>', found)
    assert alert is not None
    assert words in alert[1]


def test_form_values_become_filters_of_their_type(project: Project) -> None:
    from rag_pipelines.config.models import IndexConfig

    kinds = ("integer", "float", "boolean", "datetime")
    config = IndexConfig.model_validate(
        {"index": "x", "filter_fields": ["name", *({"field": kind, "type": kind} for kind in kinds)]}
    )
    sent = {"source": " docs ", "f.name": "2025", "f.integer": "7", "f.float": "1.5", "f.boolean": "True"}
    filters, fields = filters_of(config, {**sent, "f.datetime": "2025-01-02"})
    assert filters == {
        "source": "docs",
        "name": ["2025", 2025],
        "integer": 7,
        "float": {"gte": 1.5, "lte": 1.5},
        "boolean": True,
        "datetime": {"from": "2025-01-02", "to": "2025-01-02"},
    }
    assert [field["name"] for field in fields] == ["source", "f.name", *(f"f.{kind}" for kind in kinds)]


@pytest.mark.skipif(not DOCUMENTS, reason="needs the route that shows a document")
def test_document_marks_exactly_what_is_cited(client: TestClient, project: Project) -> None:
    passage = project.search(QUERY, k=1, principal=STAFF).passages[0]
    (path,) = set(
        re.findall(rf'href="(/pages/documents/[^"]*{passage.citation.doc_id}[^"]*)"', search(client, k="1"))
    )
    found = shown(client.get(html.unescape(path).partition("#")[0]))

    (before, marked, after) = re.search(
        r'<div class="document"[^>]*>(.*)<mark id="span" tabindex="-1">(.*)</mark>(.*)</div>', found, re.S
    ).groups()  # type: ignore[union-attr]
    assert html.unescape(marked) == passage.text
    stored = client.get(f"/v1/indexes/knowledge/documents/{passage.citation.doc_id}").json()["text"]
    assert html.unescape(before + marked + after) == stored
    beyond = shown(client.get(f"/pages/documents/knowledge/{passage.citation.doc_id}?start=5&end=999999"))
    assert "<mark" not in beyond
    assert "is not in this text" in beyond


@pytest.mark.skipif(not DOCUMENTS, reason="needs the route that shows a document")
def test_hidden_and_absent_documents_are_alike(client: TestClient, project: Project) -> None:
    hidden = project.search("secret plan", k=1).passages[0].citation
    assert hidden.source == "board"
    pages = [
        shown(client.get(f"/pages/documents/knowledge/{doc_id}"), 404).replace(doc_id, "ID")
        for doc_id in (hidden.doc_id, "0d9b6a3c-7f41-5e2a-8c55-1b2c3d4e5f60")
    ]
    assert pages[0] == pages[1]


@pytest.mark.skipif(not ANSWERS, reason="needs the route that answers")
def test_answer_has_sentences_with_citations_that_open_documents(client: TestClient) -> None:
    found = search(client, answer="true")
    answer = found.partition('id="answer"')[2].partition("</section>")[0]
    assert "thirty days" in answer
    (number, *_) = re.findall(r'href="#citation-(\d+)"', answer)
    assert f'id="citation-{number}"' in answer
    assert re.search(r'href="/pages/documents/knowledge/[^"]+start=\d+&amp;end=\d+#span"', answer)
    assert 'id="answer"' not in search(client)


def test_an_answer_is_made_from_the_search_that_the_page_shows(client: TestClient, project: Project) -> None:
    found = search(client, answer="true")
    request_id = re.findall(r'name="request_id" value="(\w+)"', found)[0]
    citation = re.findall(r'name="citation" value="([\w-]+)"', found)[0]

    with project.workspace() as workspace, workspace.catalog.begin() as tx:
        rows = [row for row in rows_of(tx.execute(searches.select())) if row["request"] == request_id]
    with project.workspace() as workspace:
        lines = [row for row in lines_since(workspace.catalog) if row["request"] == request_id]
    assert len(rows) == 1
    assert [row["action"] for row in lines] == ["search", "answer"]
    form = {"index": "knowledge", "request_id": request_id, "citation": citation, "useful": "yes"}
    assert "is kept" in shown(client.post("/pages/feedback", data=form, headers=OWN), 201)


@pytest.mark.skipif(not FEEDBACK, reason="needs the route that keeps feedback")
def test_feedback_is_kept_for_a_request_of_ones_own(client: TestClient) -> None:
    found = search(client)
    request_id = re.findall(r'name="request_id" value="(\w+)"', found)[0]
    citation = re.findall(r'name="citation" value="([\w-]+)"', found)[0]
    form = {"index": "knowledge", "request_id": request_id, "citation": citation, "useful": "no"}
    assert "is kept" in shown(client.post("/pages/feedback", data=form, headers=OWN), 201)
    shown(client.post("/pages/feedback", data={**form, "request_id": "0" * 32}, headers=OWN), 404)
    shown(client.post("/pages/feedback", data={**form, "request_id": "!"}, headers=OWN), 422)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:9999"},
        {**OWN, "Sec-Fetch-Site": "cross-site"},
        {**OWN, "Sec-Fetch-Site": "same-site"},
    ],
)
def test_forms_of_other_sites_change_nothing(client: TestClient, headers: dict[str, str]) -> None:
    for path in ("/pages/sources/docs/reindex", "/pages/feedback", "/pages/sign-in", "/pages/sign-out"):
        answer = client.post(path, data={"useful": "yes"}, headers=headers, follow_redirects=False)
        assert "was not sent from a page" in shown(answer, 403)
    assert client.get("/v1/sources/docs/reindex/1").status_code == 404


def test_owner_sees_freshness_refusals_and_versions_of_what_they_may_read(client: TestClient) -> None:
    found = shown(client.get("/pages/sources"))
    cards = dict(
        re.findall(r'<section class="panel source-card"[^>]*>\s*<h2[^>]*>(\S+) (.*?)</section>', found, re.S)
    )

    assert "foreign" not in cards
    assert 'class="state fresh"' in cards["docs"]
    assert "docs@acme.example" in cards["docs"]
    assert "at most 6 hours old" in cards["docs"]
    assert 'class="state late"' in cards["late"]
    assert "broken.pdf" in cards["docs"]
    assert "1 document refused" in cards["docs"]
    assert "secret.pdf" not in found
    assert "paper.md" not in found
    assert re.search(r'<th scope="row">1</th><td>published <span class="state fresh">live</span>', found)
    if DOCUMENTS:
        assert re.search(r"<dt>Documents</dt><dd>2 ", cards["docs"])


def test_held_deletions_wait_and_are_named_to_those_who_may_read_them(tmp_path: Any) -> None:
    held = Project(tmp_path / "held")
    for name in range(12):
        held.write(f"{name}.md", f"# Page {name}\n\nText {name}.\n")
    held.sync()
    held.remove(*(f"{name}.md" for name in range(11)))
    held.sync()
    with running(held) as client:
        client.base_url = HOME
        found = shown(client.get("/pages/sources"))
    assert "11 deletions wait for approval" in found
    assert "<li>10.md " in found
    held.source("docs", acl=["group:staff"])
    held.configure("service", {"principal": {"tenant": "acme", "groups": ["others"]}})
    with running(held) as client:
        client.base_url = HOME
        assert "wait for approval" not in shown(client.get("/pages/sources"))


def test_reindex_leads_to_what_becomes_of_it(client: TestClient) -> None:
    form = {"uri_prefix": "hr/", "force": "yes"}
    answer = client.post("/pages/sources/docs/reindex", data=form, headers=OWN, follow_redirects=False)
    assert answer.status_code == 303
    location = answer.headers["location"]
    number = int(location.rpartition("/")[2])
    row = client.get(f"/v1/sources/docs/reindex/{number}").json()
    assert (row["uri_prefix"], row["force"], row["status"]) == ("hr/", True, "pending")
    found = shown(client.get(location))
    assert "pending" in found
    assert '<meta http-equiv="refresh"' in found
    shown(client.post("/pages/sources/foreign/reindex", data=form, headers=OWN), 404)


@pytest.mark.parametrize(
    ("synced", "warn", "fail", "state"),
    [
        (None, 1.0, 2.0, "unknown"),
        ("2020-01-01T00:00:00+00:00", None, None, "none"),
        ("2020-01-01T00:00:00+00:00", 60.0, 3600.0, "broken"),
        ("2020-01-01T00:00:00+00:00", 60.0, 1e12, "late"),
        ("2020-01-01T00:00:00+00:00", 1e12, 2e12, "fresh"),
    ],
)
def test_freshness_against_its_promise(
    synced: str | None, warn: float | None, fail: float | None, state: str
) -> None:
    source = {"synced_at": synced, "warn_after_seconds": warn, "fail_after_seconds": fail}
    assert freshness(source)["state"] == state


@pytest.mark.parametrize("link", ["javascript:alert(1)", "data:text/html,x", "//evil.example", None, 7])
def test_only_web_links_are_links(link: object) -> None:
    assert web_link(link) is None
    assert web_link("https://wiki.example/x") == "https://wiki.example/x"


def test_address_of_a_citation() -> None:
    citation = {"doc_id": "a/b", "version": 3, "start": 0, "end": 4}
    assert (
        document_path("my index", citation)
        == "/pages/documents/my%20index/a%2Fb?version=3&start=0&end=4#span"
    )


def test_a_name_that_leads_here_is_not_answered_without_authentication(client: TestClient) -> None:
    found = shown(client.get("/pages/search?q=leave", headers={"Host": "evil.example"}), 421)
    assert "leave.md" not in found


def framed(signs_in: bool) -> TestClient:
    """The frame of the pages around an application that tells what reached it."""

    async def echo(request: Request) -> Response:
        return PlainTextResponse(request.headers.get("authorization", "nothing"))

    async def refuse(request: Request) -> Response:
        body = {"status": 401, "title": "Unauthorized", "detail": "no"}
        headers = {"WWW-Authenticate": "Bearer"}
        return JSONResponse(body, 401, headers, media_type="application/problem+json")

    paths = {"/pages/echo": echo, "/v1/echo": echo, "/pages/refuse": refuse}
    routes = Starlette(routes=[Route(path, endpoint) for path, endpoint in paths.items()])

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/pages/fail":
            raise RuntimeError("hunter2")
        await routes(scope, receive, send)

    framed_app = PageFrame(app, signs_in=signs_in)
    return TestClient(framed_app, base_url=HOME, raise_server_exceptions=False)


def test_session_counts_below_the_pages_alone_and_never_beside_a_header() -> None:
    client = framed(True)
    cookie = {"Cookie": "other=1; rag_session=rag_abc.def-1"}
    assert client.get("/pages/echo", headers=cookie).text == "Bearer rag_abc.def-1"
    assert client.get("/v1/echo", headers=cookie).text == "nothing"
    both = {**cookie, "Authorization": "Bearer own"}
    assert client.get("/pages/echo", headers=both).text == "Bearer own"
    for broken in ('rag_session="two words"', "rag_session=", 'rag_session="a\\012b"', "rag_sessions=x"):
        assert client.get("/pages/echo", headers={"Cookie": broken}).text == "nothing"
    assert framed(False).get("/pages/echo", headers=cookie).text == "nothing"


def test_missing_credential_is_asked_for_and_leads_back() -> None:
    found = shown(framed(True).get("/pages/refuse?q=a%26b"), 401)
    assert 'name="following" value="/pages/refuse?q=a%26b"' in found
    assert "not accepted" not in found
    again = shown(framed(True).get("/pages/refuse", headers={"Cookie": "rag_session=old"}), 401)
    assert "not accepted" in again
    assert "Sign in" not in shown(framed(False).get("/pages/refuse"), 401)


def test_fault_is_a_page_that_tells_nothing_of_the_inside() -> None:
    found = shown(framed(True).get("/pages/fail"), 500)
    assert "hunter2" not in found


def test_templates_fail_on_a_name_they_do_not_have() -> None:
    from jinja2 import UndefinedError

    with pytest.raises(UndefinedError):
        page("error.html.jinja", 404)


def luminance(colour: str) -> float:
    """Of a hexadecimal colour, as WCAG 2 defines it."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_text_stands_out_from_what_is_behind_it(scheme: int) -> None:
    blocks = re.findall(r":root \{(.*?)\}", asset("pages.css").decode(), re.S)
    colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6});", blocks[scheme]))
    pairs = [
        (text, behind)
        for text in ("ink", "quiet", "link", "good", "late", "bad")
        for behind in ("ground", "panel")
    ]
    for text, behind in [*pairs, ("ink", "mark"), ("ground", "link")]:
        dark, light = sorted((luminance(colours[text]), luminance(colours[behind])))
        assert (light + 0.05) / (dark + 0.05) >= 4.5, (text, behind)

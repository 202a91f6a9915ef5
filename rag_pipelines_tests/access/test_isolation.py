"""A collection for each tenant holds that tenant's documents and no other, and answers as a shared one does."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from rag_pipelines.catalog import versions
from rag_pipelines.core.filters import EVERYTHING
from rag_pipelines.pipeline.plan import plan
from rag_pipelines.pipeline.reconcile import reconcile
from rag_pipelines.service.app import create_app
from rag_pipelines_tests.access.corpus import SOURCES, Asker, Corpus, draw_case, draw_corpus, lines
from rag_pipelines_tests.access.world import FIELDS, FILTERS, MODES, Served, rights_of
from rag_pipelines_tests.benchmarks.synthetic_parts import HashEmbedder
from rag_pipelines_tests.project import Parts, Project, scratch_folder

APART = {"acme": "apart__acme", "globex": "apart__globex"}
EVERYBODY = {"tenant": "acme", "classification": "public", "acl": ["*"]}


class Shop:
    """A project whose documents lie in a shared index and in one that keeps its tenants apart."""

    def __init__(self, root: Path, parts: Parts, defaults: dict[str, dict[str, Any]]) -> None:
        for index in ("knowledge", *APART.values()):
            parts.embedders[index] = HashEmbedder(384)
        self.project = Project(root, parts=parts)
        (root / "configs/sources/docs.yaml").unlink()
        for source, rights in defaults.items():
            self.project.source(
                source,
                connector="records",
                params={"url": f"{source}.jsonl", "fields": FIELDS, "media_type": "text/markdown"},
                chunking={"max_tokens": 24},
                dedup={"policy": "off"},
                limits={"max_delete_fraction": 1.0},
                **rights,
            )
        shared = {"filter_fields": FILTERS, "retrieval": MODES["dense"]}
        self.project.index("knowledge", **shared)
        self.project.index("apart", isolation="collection", tenants=list(APART), **shared)
        self.project.configure("service", {"principal": {"tenant": "acme"}, "max_k": 500, "poll_seconds": 60})

    def has(self, source: str, text: str) -> None:
        """What the source holds, and a sync of everything."""
        (self.project.root / f"{source}.jsonl").write_text(text, encoding="utf-8")
        self.project.sync()

    def tenants_in(self, index: str, *, live: bool = True) -> set[tuple[str, str]]:
        """(uri, tenant) of every point: of the live version, or of all that is stored."""
        with self.project.searchers() as searchers:
            _, reader, shown = searchers.get(index).scroll_reader(None)
            found = reader.scroll(shown if live else EVERYTHING)
            return {(str(point.payload["uri"]), str(point.payload["tenant"])) for point in found}

    def serve(self) -> TestClient:
        with self.project.workspace() as workspace:
            app = create_app(self.project.environment, workspace.configuration)
            return TestClient(app, base_url="http://localhost")


@pytest.fixture(scope="module")
def parts() -> Iterator[Parts]:
    """A parser and an embedder for all projects."""
    embedder, kept = HashEmbedder(384), Parts()
    with pytest.MonkeyPatch.context() as patching:
        patching.setattr("rag_pipelines.retrieval.opening.open_embedder", lambda *_: embedder)
        yield kept
    kept.close()


def record(number: int, tenant: str, text: str = "The valve of the press is open.") -> str:
    return (
        f'{{"id": "{number}", "title": "Paper {number}", "text": "{text}", "acl": ["*"], "tenant": "{tenant}", '
        '"classification": "public"}\n'
    )


@pytest.fixture(scope="module")
def synced(parts: Parts) -> Iterator[Shop]:
    """Two papers of acme, one of globex, and one of a tenant that has no collection; not to be changed."""
    with scratch_folder() as folder:
        made = Shop(folder / "project", parts, {"papers": EVERYBODY})
        made.has("papers", record(1, "acme") + record(2, "globex") + record(3, "acme") + record(4, "initech"))
        yield made


@pytest.fixture
def shop(synced: Shop) -> Iterator[Shop]:
    """A copy of it, to be changed."""
    with scratch_folder() as folder:
        made = copy.copy(synced)
        made.project = synced.project.copied(folder / "project")
        yield made


def test_a_collection_holds_one_tenant(synced: Shop) -> None:
    assert {uri for uri, _ in synced.tenants_in("knowledge")} == {"1", "2", "3", "4"}
    assert synced.tenants_in("apart__acme", live=False) == {("1", "acme"), ("3", "acme")}
    assert synced.tenants_in("apart__globex", live=False) == {("2", "globex")}


def test_a_document_that_changes_hands_changes_collections(shop: Shop) -> None:
    papers = record(1, "globex") + record(2, "globex") + record(3, "acme") + record(4, "initech")
    (shop.project.root / "papers.jsonl").write_text(papers, encoding="utf-8")
    with shop.project.workspace() as workspace:
        planned = plan(workspace, ["papers"])
        of = {name: planned.sources["papers"].indexes[name] for name in APART.values()}
        assert (of["apart__acme"]["points_removed"], of["apart__acme"]["points_added"]) == (1, 0)
        assert (of["apart__globex"]["points_removed"], of["apart__globex"]["points_added"]) == (0, 1)
    shop.project.sync()

    assert shop.tenants_in("apart__acme") == {("3", "acme")}
    assert shop.tenants_in("apart__globex") == {("1", "globex"), ("2", "globex")}
    # What earlier versions still hold of it is nobody's there from the same moment on.
    assert shop.tenants_in("apart__acme", live=False) == {("1", "globex"), ("3", "acme")}
    with shop.project.workspace() as workspace:
        assert plan(workspace, ["papers"]).nothing
        for index in APART.values():
            assert reconcile(workspace, index).right


def test_a_document_that_comes_back_is_there_again(shop: Shop) -> None:
    shop.has("papers", record(1, "globex"))
    shop.has("papers", record(1, "acme"))

    assert shop.tenants_in("apart__acme") == {("1", "acme")}
    assert shop.tenants_in("apart__globex") == set()


def test_an_index_that_becomes_one_tenant_s_lets_the_others_go(shop: Shop) -> None:
    shop.project.index("knowledge", filter_fields=FILTERS, retrieval=MODES["dense"], tenant="globex")
    shop.project.sync()
    assert shop.tenants_in("knowledge") == {("2", "globex")}

    shop.project.index("knowledge", filter_fields=FILTERS, retrieval=MODES["dense"])
    shop.project.sync()
    assert {uri for uri, _ in shop.tenants_in("knowledge")} == {"1", "2", "3", "4"}


def test_each_tenant_s_index_goes_its_own_way(shop: Shop) -> None:
    shop.has("papers", record(1, "acme") + record(2, "globex") + record(3, "acme", "Another text of it."))

    with shop.project.workspace() as workspace:
        live = {name: versions.pointer(workspace.catalog, name) for name in APART.values()}
    assert {name: pointer.version for name, pointer in live.items() if pointer} == {
        "apart__acme": 2,
        "apart__globex": 1,
    }


PATHS: list[tuple[str, str, dict[str, Any] | None]] = [
    ("POST", "/v1/indexes/{}/search", {"query": "valve"}),
    ("POST", "/v1/indexes/{}/answer", {"query": "valve"}),
    ("POST", "/v1/indexes/{}/facets", {"fields": ["source"]}),
    ("POST", "/v1/indexes/{}/feedback", {"request_id": "x", "useful": True}),
    ("GET", "/v1/indexes/{}/documents", None),
    ("GET", "/v1/indexes/{}/documents/9d1bd5f2-8f34-5a8c-a2a6-a31b1a3cf6f5", None),
    ("GET", "/v1/indexes/{}/suggestions?prefix=pap", None),
    ("GET", "/v1/indexes/{}/versions", None),
]


@pytest.mark.parametrize(("method", "path", "body"), PATHS)
def test_another_tenant_s_index_is_one_that_is_not_there(
    served: TestClient, method: str, path: str, body: dict[str, Any] | None
) -> None:
    theirs, none = (
        served.request(method, path.format(name), json=body) for name in ("apart__globex", "apart__glibex")
    )

    assert theirs.status_code == none.status_code == 404
    assert theirs.json()["detail"].replace("globex", "glibex") == none.json()["detail"]
    assert "apart__globex'?" not in theirs.text


@pytest.fixture(scope="module")
def served(synced: Shop) -> Iterator[TestClient]:
    with synced.serve() as client:
        yield client


def test_the_name_of_the_whole_stands_for_one_s_own(served: TestClient) -> None:
    answer = served.post("/v1/indexes/apart/search", json={"query": "valve of the press"})
    whole = answer.json()
    own = served.post("/v1/indexes/apart__acme/search", json={"query": "valve of the press"}).json()

    assert whole["index"] == own["index"] == "apart__acme"
    assert {passage["uri"] for passage in whole["passages"]} == {"1", "3"}
    listed = served.get("/v1/indexes").json()["indexes"]
    assert [(row["index"], row["documents"]) for row in listed] == [("apart__acme", 2), ("knowledge", 2)]
    documents = served.get("/v1/indexes/apart/documents").json()
    assert sorted(row["uri"] for row in documents["documents"]) == ["1", "3"]
    assert served.get("/v1/indexes/apart/versions").json()["index"] == "apart__acme"
    told = {"request_id": answer.headers["x-request-id"], "useful": True}
    assert served.post("/v1/indexes/apart/feedback", json=told).json()["index"] == "apart__acme"


def test_somebody_of_no_tenant_of_it_finds_none(served: TestClient) -> None:
    app: Any = served.app
    before = app.state.parts
    try:
        Served(served).ask_as(Asker("una", "initech", (), "internal"))
        answer = served.post("/v1/indexes/apart/search", json={"query": "valve"})
        listed = served.get("/v1/indexes").json()["indexes"]
    finally:
        app.state.parts = before
    assert (answer.status_code, answer.json()["detail"]) == (
        404,
        "there is no index 'apart'; valid: knowledge",
    )
    assert [row["index"] for row in listed] == ["knowledge"]


def test_a_tenant_that_is_not_published_yet_takes_nobody_s_service_away(tmp_path: Path, parts: Parts) -> None:
    made = Shop(tmp_path / "project", parts, {"papers": EVERYBODY})
    made.has("papers", record(1, "acme"))
    with made.serve() as client:
        assert client.get("/readyz").json() == {"status": "ready"}
        Served(client).ask_as(Asker("gus", "globex", (), "internal"))
        assert client.post("/v1/indexes/apart/search", json={"query": "valve"}).status_code == 503


@pytest.mark.parametrize("seed", [3, 11])
def test_what_is_seen_is_what_a_shared_collection_shows(tmp_path: Path, parts: Parts, seed: int) -> None:
    rng = random.Random(seed)
    corpus = draw_corpus(rng)
    made = Shop(
        tmp_path / "project", parts, {source: rights_of(corpus.defaults[source]) for source in SOURCES}
    )
    for papers in (corpus.first, corpus.second):
        for source in SOURCES:
            text = lines(papers, source)
            (made.project.root / f"{source}.jsonl").write_text(text, encoding="utf-8")
        made.project.sync()
    with made.project.workspace() as workspace:
        published = {name for name in APART.values() if versions.pointer(workspace.catalog, name)}
    assert published
    for tenant, index in APART.items():
        assert index not in published or {owner for _, owner in made.tenants_in(index)} <= {tenant}
    with made.serve() as client:
        for _ in range(6):
            case = draw_case(rng)
            Served(client).ask_as(case.asker)
            assert _seen(client, "apart", case.query) == _seen(client, "knowledge", case.query)
            assert _documents(client, "apart") == _readable(corpus, case.asker)


def _seen(client: TestClient, index: str, query: str) -> list[Any]:
    """What every path tells, less what an index is called and which of its versions it is."""
    url = f"/v1/indexes/{index}"
    search = client.post(f"{url}/search", json={"query": query, "k": 100})
    if search.status_code == 503:  # a tenant without any document: nothing was ever published for it
        return [[], [], {"total": 0, "facets": []}]
    found = [(passage["chunk_id"], round(passage["score"], 5)) for passage in search.json()["passages"]]
    facets = client.post(f"{url}/facets", json={"fields": ["source", "team"]}).json()
    values = sorted(
        (name, row["value"], row["count"]) for name, rows in facets["facets"].items() for row in rows
    )
    return [sorted(found), _documents(client, index), {"total": facets["total"], "facets": values}]


def _documents(client: TestClient, index: str) -> list[str]:
    answer = client.get(f"/v1/indexes/{index}/documents", params={"limit": 200})
    return sorted(row["doc_id"] for row in answer.json().get("documents", []))


def _readable(corpus: Corpus, asker: Asker) -> list[str]:
    """By the rule itself."""
    return sorted(paper.doc_id for paper in corpus.second.values() if asker.may_read(paper.rights))

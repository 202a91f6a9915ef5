"""The service while the index changes under it: publishes, revoked rights, another vector space."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from rag_pipelines.catalog import versions
from rag_pipelines.catalog.tables import collections, documents
from rag_pipelines.pipeline.publish import close_candidate
from rag_pipelines_tests.project import STAFF, Project
from rag_pipelines_tests.service.conftest import LEAVE, running

PATH = "/v1/indexes/knowledge/search"
WORDS = {1: "Seven", 2: "Nine", 3: "Eleven"}
PATIENCE = 60.0


def wait_until(condition: Callable[[], bool]) -> None:
    """Return when the condition holds; fail after a time that no working service needs."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.02)


def ask(client: TestClient, query: str, **body: Any) -> dict[str, Any]:
    """An answer that must succeed."""
    answer = client.post(PATH, json={"query": query, **body})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.slow
def test_publishes_are_followed_while_every_answer_is_whole_and_of_one_version(small: Project) -> None:
    for page in range(8):
        small.write(f"page{page}.md", f"# Page {page}\n\n{WORDS[1]} days move into the next year.\n")
    small.sync()
    done = threading.Event()

    with running(small) as client, ThreadPoolExecutor(4) as pool:

        def hammer() -> set[int]:
            seen = set()
            while not done.is_set():
                answer = ask(client, "days move into the next year", k=9)
                version = answer["version"]
                assert len(answer["passages"]) == 9
                assert {passage["version"] for passage in answer["passages"]} == {version}
                assert all(f"{WORDS[version]} days" in passage["text"] for passage in answer["passages"])
                seen.add(version)
            return seen

        threads = [pool.submit(hammer) for _ in range(4)]
        try:
            for version in (2, 3):
                for path in (small.root / "docs").iterdir():
                    path.write_text(path.read_text().replace(WORDS[version - 1], WORDS[version]))
                assert small.sync()["version"] == version
                wait_until(lambda wanted=version: ask(client, "days")["version"] == wanted)  # type: ignore[misc]
        finally:
            done.set()
        assert set().union(*(thread.result() for thread in threads)) >= {1, 3}
        old = ask(client, "days move into the next year", version=1)
        assert all("Seven days" in passage["text"] for passage in old["passages"])


def test_first_publish_and_revoked_rights_arrive_without_a_restart(small: Project) -> None:
    with running(small) as client:
        assert client.post(PATH, json={"query": "leave"}).status_code == 503
        small.sync()
        wait_until(lambda: client.get("/readyz").status_code == 200)
        assert ask(client, "leave")["passages"]

        small.source("docs", acl=["group:board"])
        small.sync()

        wait_until(lambda: not ask(client, "leave")["passages"])
        assert ask(client, "leave")["version"] == 1


def test_edited_model_or_analyzer_is_used_from_the_sync_on_that_builds_its_collection(small: Project) -> None:
    small.index("knowledge", retrieval={"mode": "sparse"})
    small.sync()
    assert small.uris("moving") == ["leave.md"]  # both are stemmed to "move"
    dense = {"embedding": {"passage_prefix": "passage: "}, "sparse": {"analyzer": "none"}}
    with running(small) as started_before:
        small.index("knowledge", retrieval={"mode": "sparse"}, **dense)

        with running(small) as client:  # the YAML is new, the published version is not
            assert [passage["uri"] for passage in ask(client, "moving")["passages"]] == ["leave.md"]
            small.sync()
            wait_until(lambda: ask(client, "move")["version"] == 2)
            assert ask(client, "moving")["passages"] == []
            assert ask(client, "moving", version=1)["passages"]

        wait_until(lambda: ask(started_before, "move")["version"] == 2)
        assert ask(started_before, "moving")["passages"] == []


def test_searches_go_on_in_the_version_before_while_the_model_of_the_next_is_loaded(
    small: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rag_pipelines.embedding import open_embedder

    small.write("travel.md", "# Travel\n\nLeave early and book trains before flights.\n")
    small.sync()
    loading, loaded = threading.Event(), threading.Event()

    def slow(*arguments: Any) -> Any:
        loading.set()
        assert loaded.wait(PATIENCE)
        return open_embedder(*arguments)

    with small.searchers() as searchers, ThreadPoolExecutor(1) as pool:
        searcher = searchers.get("knowledge")
        searcher.warm()
        small.index("knowledge", embedding={"passage_prefix": "passage: "})
        with small.workspace() as workspace:
            config = workspace.configuration.indexes["knowledge"]
        searcher.config = config
        searcher._encoder = partial(searchers._encoder, config)
        small.remove("travel.md")
        assert small.sync()["version"] == 2
        with small.workspace() as workspace, workspace.catalog.begin() as tx:
            (gone,) = tx.execute(sa.select(documents.c.doc_id).where(documents.c.live.is_(False))).scalars()
            versions.hide(tx, "knowledge", [gone])
        monkeypatch.setattr("rag_pipelines.retrieval.opening.open_embedder", slow)
        following = pool.submit(searcher.refresh, warmed=True)
        assert loading.wait(PATIENCE)
        result = searcher.search("leave", 5, STAFF)
        # Of the version before, and yet without what nobody may see any more.
        assert (result.version, len(result.passages)) == (1, 1)
        loaded.set()
        assert following.result(PATIENCE)
        assert searcher.search("leave", 5, STAFF).version == 2


def test_version_of_an_unknown_vector_space_is_refused_until_a_sync(small: Project) -> None:
    small.sync()
    with small.workspace() as workspace, workspace.catalog.begin() as tx:
        (vectors,) = tx.execute(sa.select(collections.c.vectors)).scalars()
        tx.execute(sa.update(collections).values(vectors={**vectors, "built_with": None}))
    assert small.search("leave").passages
    small.index("knowledge", embedding={"passage_prefix": "passage: "})

    with running(small) as client:
        answer = client.post(PATH, json={"query": "leave"})
        assert answer.status_code == 503
        assert "rag-pipelines sync" in answer.json()["detail"]
        small.sync()
        wait_until(lambda: client.get("/readyz").status_code == 200)
        assert ask(client, "leave")["version"] == 2


def test_candidate_that_was_never_published_cannot_be_read(small: Project) -> None:
    small.sync()
    small.index("knowledge", publish="manual")
    small.write("leave.md", LEAVE.replace("Seven", "Nine"))
    assert small.sync()["version"] == 2
    with small.workspace() as workspace:
        assert close_candidate(workspace, "knowledge", "") == 2  # staged as a whole, and still not published

    with running(small) as client:
        assert ask(client, "days")["version"] == 1
        answer = client.post(PATH, json={"query": "days", "version": 2})
        assert answer.status_code == 404
        assert "there are 1" in answer.json()["detail"]


def test_fault_of_the_database_shows_in_readiness_and_passes(
    small: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rag_pipelines.retrieval.search import Searcher

    small.sync()

    def away(_: Searcher, *, warmed: bool) -> bool:
        raise OSError("the disk is gone")

    with running(small) as client:
        wait_until(lambda: client.get("/readyz").status_code == 200)
        with monkeypatch.context() as patched:
            patched.setattr(Searcher, "refresh", away)
            wait_until(lambda: client.get("/readyz").status_code == 503)
            assert "the disk is gone" in client.get("/readyz").json()["detail"]
            assert ask(client, "leave")["version"] == 1
        wait_until(lambda: client.get("/readyz").status_code == 200)


def test_service_imports_neither_dagster_nor_parsers() -> None:
    import subprocess
    import sys

    check = (
        "import sys, rag_pipelines.cli.app, rag_pipelines.service.app;"
        "print([name for name in ('dagster', 'torch', 'rag_pipelines.parsing', 'rag_pipelines.sources')"
        " if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

"""Kept results: who gets them, what they depend on, and that what a sync takes away is gone at once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from rag_pipelines.catalog import versions
from rag_pipelines.config.limits import CacheConfig
from rag_pipelines.core.types import Classification, Principal
from rag_pipelines.pipeline.hiding import hide_gone
from rag_pipelines.pipeline.observe import observe
from rag_pipelines.retrieval.opening import Searchers
from rag_pipelines.retrieval.result import SearchResult
from rag_pipelines.service.caching import ResultCache
from rag_pipelines.service.schemas import SearchBody
from rag_pipelines_tests.pipeline.stops import KilledError, killing
from rag_pipelines_tests.project import STAFF, Project
from rag_pipelines_tests.service.conftest import LEAVE, SETTINGS, running

PATH = "/v1/indexes/knowledge/search"


def ask(client: TestClient, query: str = "leave", **body: Any) -> tuple[str, list[str]]:
    """Whether it was kept, and the uris of the passages."""
    answer = client.post(PATH, json={"query": query, **body})
    assert answer.status_code == 200, answer.text
    return answer.headers["X-Cache"], [passage["uri"] for passage in answer.json()["passages"]]


@contextmanager
def ready(project: Project) -> Iterator[TestClient]:
    """The application with its snapshot open."""
    with running(project) as client:
        assert client.get("/readyz").status_code == 200
        yield client


def test_the_same_question_is_answered_from_memory_under_an_id_of_its_own(client: TestClient) -> None:
    assert client.get("/readyz").status_code == 200
    first = client.post(PATH, json={"query": "thirty days"})
    again = client.post(PATH, json={"query": "thirty days"})
    assert (first.headers["X-Cache"], again.headers["X-Cache"]) == ("miss", "hit")
    assert first.json() == again.json()
    assert first.headers["X-Request-Id"] != again.headers["X-Request-Id"]


@pytest.mark.parametrize(
    "other",
    [
        {"k": 2},
        {"filters": {"year": 2025}},
        {"explain": True},
        {"neighbours": 1},
        {"context_tokens": 100},
        {"passages_when_unanswerable": True},
        {"version": 1},
    ],
    ids=lambda body: next(iter(body)),
)
def test_everything_in_the_request_counts(client: TestClient, other: dict[str, Any]) -> None:
    query = f"valve {json.dumps(other)}"
    assert client.get("/readyz").status_code == 200  # from then on there is a snapshot to keep answers of
    assert ask(client, query)[0] == "miss"
    assert ask(client, query, **other)[0] == "miss"
    assert ask(client, query, **other)[0] == "hit"
    assert ask(client, query)[0] == "hit"


@contextmanager
def cache_of(project: Project, **config: Any) -> Iterator[tuple[ResultCache, Searchers]]:
    """A cache over the synced project, with its searcher open."""
    with project.searchers() as searchers:
        searchers.get("knowledge").warm()
        yield ResultCache(CacheConfig(**config), searchers), searchers


def asked(
    cache: ResultCache, searchers: Searchers, principal: Principal, variant: str = ""
) -> tuple[bool, set[str]]:
    """Whether it was kept, and the sources of the passages."""
    body = SearchBody(query="leave", k=50)

    def search() -> SearchResult:
        return searchers.get("knowledge").search(body.query, body.k, principal)

    result, kept = cache.cached(principal, "knowledge", body, search, variant)
    return kept, {passage.citation.source for passage in result.passages}


def test_nobody_gets_what_was_kept_for_others(project: Project) -> None:
    tiers = Classification
    principals = {
        STAFF: {"docs", "all", "pumps"},
        Principal("bo", "acme", ("staff",)): {"docs", "all", "pumps"},
        Principal("ana", "globex", ("staff",)): {"foreign"},
        Principal("ana", "acme"): {"all"},
        Principal("ana", "acme", ("board",)): {"all", "board"},
        Principal("ana", "acme", ("board", "staff")): {"docs", "all", "pumps", "board"},
        Principal("ana", "acme", ("staff",), tiers.CONFIDENTIAL): {"docs", "all", "pumps", "secret"},
        Principal("ana", "acme", ("staff",), tiers.PUBLIC): {"all"},
        Principal("a", "acme", ("board,staff",)): {"all"},
        Principal("ana", "acme", ("staff",), tiers.RESTRICTED, unrestricted=True): {
            "docs", "all", "pumps", "secret", "board", "nobody", "foreign",
        },
    }  # fmt: skip
    with cache_of(project) as (cache, searchers):
        for principal, seen in principals.items():
            assert asked(cache, searchers, principal) == (False, seen)
        for principal, seen in principals.items():
            assert asked(cache, searchers, principal) == (True, seen)
        same = Principal("ana", "acme", ("staff", "board", "staff"))
        assert asked(cache, searchers, same) == (True, {"docs", "all", "pumps", "board"})
        assert asked(cache, searchers, STAFF, "variant b") == (False, {"docs", "all", "pumps"})


def test_a_small_memory_holds_few_and_none_holds_nothing(project: Project) -> None:
    with cache_of(project, result_entries=2) as (cache, searchers):
        others = [Principal(name, "acme", ("staff",)) for name in ("a", "b", "c")]
        assert [asked(cache, searchers, one)[0] for one in [*others, *others]] == [False] * 6
        assert cache.memory is not None
        assert len(cache.memory) == 2
    with cache_of(project, result_megabytes=0.001) as (cache, searchers):
        assert [asked(cache, searchers, STAFF)[0] for _ in range(2)] == [False, False]
    with cache_of(project, result_megabytes=0) as (cache, searchers):
        assert [asked(cache, searchers, STAFF)[0] for _ in range(2)] == [False, False]
        assert cache.memory is None


@pytest.fixture
def two(small: Project) -> Project:
    """Two pages of which a search finds both, synced; the service looks for versions once a minute only."""
    small.configure("service", {**SETTINGS, "poll_seconds": 60})
    small.write("travel.md", "# Travel\n\nLeave early and book trains before flights.\n")
    small.sync()
    return small


def test_a_revoked_right_empties_the_cache_with_the_sync_that_sees_it(small: Project) -> None:
    small.write("board/travel.md", "# Travel\n\nLeave early and book trains before flights.\n")
    small.sync()
    with ready(small) as client:
        kept = [ask(client)[0] for _ in range(2)]
        assert kept == ["miss", "hit"]
        small.source("docs", acl=["group:board"])
        small.sync()
        while client.app.state.parts.searchers.get("knowledge").pointer.generation == 1:  # type: ignore[attr-defined]
            assert ask(client)[0] == "miss"
        assert ask(client) == ("miss", [])
        assert ask(client) == ("hit", [])


def test_from_the_listing_on_nothing_kept_is_shown_that_names_what_was_revoked(two: Project) -> None:
    with ready(two) as client:
        assert [ask(client)[0] for _ in range(2)] == ["miss", "hit"]
        two.source("docs", acl=["group:board"])
        with two.workspace() as workspace:
            observe(workspace, "docs", "run")
        assert ask(client)[0] == "miss"


def test_while_rights_are_written_nothing_is_kept_or_shown_even_if_that_was_cut_short(two: Project) -> None:
    with ready(two) as client:
        assert [ask(client)[0] for _ in range(2)] == ["miss", "hit"]
        two.source("docs", acl=["group:board"])
        with killing("access.flushed"), pytest.raises(KilledError):
            two.sync()
        assert [ask(client)[0] for _ in range(2)] == ["miss", "miss"]
        two.sync()
        assert [ask(client)[0] for _ in range(2)] == ["miss", "miss"]  # the snapshot is another by now
        client.app.state.parts.searchers.get("knowledge").refresh()  # type: ignore[attr-defined]
        assert [ask(client) for _ in range(2)] == [("miss", []), ("hit", [])]


def test_a_document_that_goes_while_the_index_is_pinned_is_gone_from_kept_results(two: Project) -> None:
    with ready(two) as client:
        assert [ask(client) for _ in range(2)] == [
            ("miss", ["leave.md", "travel.md"]),
            ("hit", ["leave.md", "travel.md"]),
        ]
        two.remove("travel.md")
        with two.workspace() as workspace:
            with workspace.catalog.begin() as tx:
                versions.set_pin(tx, "knowledge", 1)
            observe(workspace, "docs", "run")
            assert hide_gone(workspace, "knowledge") == 1
        assert ask(client)[0] == "miss"
        client.app.state.parts.searchers.get("knowledge").refresh()  # type: ignore[attr-defined]
        assert [ask(client) for _ in range(2)] == [("miss", ["leave.md"]), ("hit", ["leave.md"])]


def test_a_new_version_is_not_answered_from_the_one_before(two: Project) -> None:
    with ready(two) as client:
        assert [ask(client, "days")[0] for _ in range(2)] == ["miss", "hit"]
        two.write("leave.md", LEAVE.replace("thirty", "forty"))
        two.sync()
        assert ask(client, "days")[0] == "miss"
        client.app.state.parts.searchers.get("knowledge").refresh()  # type: ignore[attr-defined]
        answers = [client.post(PATH, json={"query": "days"}) for _ in range(2)]
        assert [answer.headers["X-Cache"] for answer in answers] == ["miss", "hit"]
        assert all("forty" in answer.json()["passages"][0]["text"] for answer in answers)
        # An earlier version may be in a collection of its own: it is never kept.
        assert [ask(client, "days", version=1)[0] for _ in range(2)] == ["miss", "miss"]


def test_without_the_catalog_nothing_is_shown_from_memory(two: Project, tmp_path: Path) -> None:
    with ready(two) as client:
        assert [ask(client)[0] for _ in range(2)] == ["miss", "hit"]
        parts = client.app.state.parts  # type: ignore[attr-defined]
        parts.searchers.catalog.engine.dispose()
        database = two.home / "catalog.sqlite"
        database.rename(tmp_path / "away")
        database.mkdir()
        answer = client.post(PATH, json={"query": "leave"})
        assert answer.status_code == 503
        assert "the audit log cannot be written" in answer.json()["detail"]

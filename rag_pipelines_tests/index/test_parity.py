"""Qdrant Edge against the client's local mode on the same random data: two engines, one answer."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from rag_pipelines.core.filters import All, Condition
from rag_pipelines.core.ports import CollectionWriter, SearchRequest
from rag_pipelines.core.types import Hit
from rag_pipelines.index.edge import EdgeEngine
from rag_pipelines.index.server import ServerEngine
from rag_pipelines_tests.index.sample import SPACE, make_condition, make_points, terms, unit

POINTS = make_points(600, seed=5)

pytestmark = pytest.mark.filterwarnings("ignore:Local mode", "ignore:Payload indexes")


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[CollectionWriter, CollectionWriter]]:
    edge = EdgeEngine(tmp_path_factory.mktemp("engine"))
    local = ServerEngine(None, location=":memory:")
    writers = edge.writer("c", SPACE), local.writer("c", SPACE)
    for writer in writers:
        writer.upsert(POINTS)
    writers[0].optimize()
    yield writers
    edge.close()
    local.close()


def conditions(count: int) -> list[Condition]:
    rng = random.Random(11)
    ids = [p.point_id for p in POINTS]
    return [All(()), *(make_condition(rng, ids) for _ in range(count - 1))]


def levels(hits: list[Hit]) -> list[tuple[float, set[str]]]:
    """Hits grouped by score, since engines may order ties differently; the last group may be cut."""
    groups: list[tuple[float, set[str]]] = []
    for hit in hits:
        if groups and groups[-1][0] == pytest.approx(hit.score, abs=1e-5):
            groups[-1][1].add(hit.point_id)
        else:
            groups.append((hit.score, {hit.point_id}))
    return groups[:-1]


def test_counts_and_ids_are_equal(engines: tuple[CollectionWriter, CollectionWriter]) -> None:
    edge, local = engines
    for condition in conditions(100):
        assert edge.count(condition) == local.count(condition), condition
        assert [p.point_id for p in edge.scroll(condition)] == [p.point_id for p in local.scroll(condition)]


def test_dense_order_is_identical(engines: tuple[CollectionWriter, CollectionWriter]) -> None:
    edge, local = engines
    for seed, condition in enumerate(conditions(60)):
        request = SearchRequest(limit=20, dense=unit(seed), condition=condition)
        ours, theirs = edge.search(request), local.search(request)
        assert [h.point_id for h in ours] == [h.point_id for h in theirs]
        assert [h.score for h in ours] == pytest.approx([h.score for h in theirs], abs=1e-5)


def test_sparse_scores_are_equal(engines: tuple[CollectionWriter, CollectionWriter]) -> None:
    edge, local = engines
    for seed in range(30):
        rng = random.Random(seed)
        query = terms({rng.randrange(45): rng.uniform(0.5, 2) for _ in range(3)})
        ours, theirs = (w.search(SearchRequest(limit=20, sparse=query)) for w in (edge, local))
        assert [h.score for h in ours] == pytest.approx([h.score for h in theirs], rel=1e-4)
        assert [ids for _, ids in levels(ours)] == [ids for _, ids in levels(theirs)]


@pytest.mark.parametrize("fusion", ["rrf", "dbsf"])
def test_fusion_finds_the_same(engines: tuple[CollectionWriter, CollectionWriter], fusion: str) -> None:
    """Candidates beyond any cut, so that no tie at the edge of a prefetch can tell the engines apart."""
    edge, local = engines
    for seed, condition in enumerate(conditions(30)):
        query = terms({seed % 40: 1.0, (seed * 7) % 40: 0.6})
        request = SearchRequest(
            limit=20, dense=unit(seed), sparse=query, condition=condition, fusion=fusion, candidates=1000
        )
        ours, theirs = edge.search(request), local.search(request)
        assert [h.score for h in ours] == pytest.approx([h.score for h in theirs], abs=1e-3)
        assert [ids for _, ids in levels(ours)] == [ids for _, ids in levels(theirs)]

"""What every engine must do: subclasses provide the `engine` fixture and inherit the tests."""

from __future__ import annotations

import random
import threading
import uuid
from collections.abc import Iterator

import numpy as np
import pytest

from rag_pipelines.core.errors import EngineError
from rag_pipelines.core.filters import All, AnyOf, Condition, DateRange, HasId, Match, MatchAny, Not, Range
from rag_pipelines.core.ports import CollectionReader, CollectionWriter, SearchRequest, VectorEngine
from rag_pipelines.core.types import CURRENT, FloatArray, Point, VectorSpace
from rag_pipelines.index.points import meta_path, visible_at
from rag_pipelines_tests.index.oracle import matches
from rag_pipelines_tests.index.sample import (
    GROUPS,
    SPACE,
    make_condition,
    make_id,
    make_points,
    terms,
    unit,
)

PLANE = VectorSpace(dimension=2)


def plane_point(number: int, x: float, y: float, **payload: object) -> Point:
    return Point(make_id(number), np.array([x, y], np.float32), None, payload)


def exact_order(points: list[Point], query: FloatArray, condition: Condition) -> list[str]:
    found = [p for p in points if matches(condition, p.point_id, p.payload)]
    found.sort(key=lambda p: -float(p.dense.astype(np.float64) @ query.astype(np.float64)))
    return [p.point_id for p in found]


class EngineConformance:
    """The tests. `view` is what reads: the writer itself, or a reader of a snapshot just made."""

    @pytest.fixture(scope="class")
    def engine(self) -> Iterator[VectorEngine]:
        raise NotImplementedError

    @pytest.fixture
    def name(self, engine: VectorEngine) -> Iterator[str]:
        name = f"test_{uuid.uuid4().hex}"
        yield name
        engine.drop(name)

    @pytest.fixture
    def writer(self, engine: VectorEngine, name: str) -> Iterator[CollectionWriter]:
        writer = engine.writer(name, SPACE)
        yield writer
        writer.close()

    @pytest.fixture(scope="class", params=["writer", "reader"])
    def filled(
        self, request: pytest.FixtureRequest, engine: VectorEngine
    ) -> Iterator[tuple[list[Point], CollectionReader]]:
        """Read only, and so shared by the tests."""
        name = f"test_{uuid.uuid4().hex}"
        points = make_points(120)
        writer = engine.writer(name, SPACE)
        writer.upsert(points)
        writer.flush()
        reader = engine.reader(name, engine.snapshot(name))
        yield points, writer if request.param == "writer" else reader
        reader.close()
        writer.close()
        engine.drop(name)

    @pytest.fixture(scope="class")
    def by_hand(self, engine: VectorEngine) -> Iterator[CollectionReader]:
        name = f"test_{uuid.uuid4().hex}"
        writer = engine.writer(name, PLANE)
        writer.upsert(
            [
                plane_point(0, 1, 0, kind="a", tags=["x", "y"], year=2024, day="2024-05-01"),
                plane_point(
                    1,
                    0,
                    1,
                    kind="b",
                    tags=[],
                    year=2025,
                    day="2024-05-01T18:00:00Z",
                    meta={"deep": {"key": "v"}},
                ),
                plane_point(2, 1, 1, tags="x", day="2024-05-02T00:00:00+00:00", meta={"a.b c": "odd"}),
                plane_point(3, 1, 2, kind="c", on=True, year=None),
            ]
        )
        yield writer
        writer.close()
        engine.drop(name)

    def test_counts_equal_brute_force_for_random_conditions(
        self, filled: tuple[list[Point], CollectionReader]
    ) -> None:
        points, view = filled
        rng = random.Random(7)
        ids = [p.point_id for p in points]
        seen = set()
        for _ in range(250):
            condition = make_condition(rng, ids)
            expected = sum(matches(condition, p.point_id, p.payload) for p in points)
            assert view.count(condition) == expected, condition
            seen.add(expected)
        assert len(seen) > 20, "the conditions must tell points apart"

    @pytest.mark.parametrize(
        ("condition", "expected"),
        [
            (All(()), {0, 1, 2, 3}),
            (AnyOf(()), set()),
            (Not(All(())), set()),
            (Not(AnyOf(())), {0, 1, 2, 3}),
            (All((AnyOf(()), Match("kind", "a"))), set()),
            (AnyOf((AnyOf(()), Match("kind", "a"))), {0}),
            (MatchAny("kind", ()), set()),
            (Not(MatchAny("kind", ())), {0, 1, 2, 3}),
            (MatchAny("kind", ("a", "b")), {0, 1}),
            (Match("tags", "x"), {0, 2}),
            (Match("meta.deep.key", "v"), {1}),
            (Match(meta_path("a.b c"), "odd"), {2}),
            (Match("year", 2024), {0}),
            (Match("on", True), {3}),
            (Range("year", gte=2024), {0, 1}),
            (Not(Range("year", gte=2024)), {2, 3}),
            (Range("year", gt=2024, lte=2025), {1}),
            (DateRange("day", lte="2024-05-01"), {0, 1}),
            (DateRange("day", lte="2024-05-01T17:00:00Z"), {0}),
            (DateRange("day", gte="2024-05-02"), {2}),
            (HasId(()), set()),
            (HasId((make_id(2), make_id(99))), {2}),
        ],
    )
    def test_each_condition_by_hand(
        self, by_hand: CollectionReader, condition: Condition, expected: set[int]
    ) -> None:
        found = {p.point_id for p in by_hand.scroll(condition)}
        query = SearchRequest(limit=10, dense=np.array([1, 0], np.float32), condition=condition)
        assert found == {make_id(n) for n in expected}
        assert {hit.point_id for hit in by_hand.search(query)} == found

    def test_dense_order_and_scores_are_exact(self, filled: tuple[list[Point], CollectionReader]) -> None:
        points, view = filled
        vectors = {p.point_id: p.dense for p in points}
        rng = random.Random(3)
        for seed in range(20):
            query = unit(seed)
            condition = make_condition(rng, list(vectors)) if seed % 2 else All(())
            hits = view.search(SearchRequest(limit=10, dense=query, condition=condition))
            assert [h.point_id for h in hits] == exact_order(points, query, condition)[:10]
            for hit in hits:
                assert hit.score == pytest.approx(float(vectors[hit.point_id] @ query), abs=1e-5)

    def test_hits_carry_the_payload(self, filled: tuple[list[Point], CollectionReader]) -> None:
        points, view = filled
        (hit,) = view.search(SearchRequest(limit=1, dense=points[17].dense))
        assert hit.point_id == points[17].point_id
        assert hit.payload == points[17].payload

    def test_limit_beyond_the_collection_returns_all(
        self, filled: tuple[list[Point], CollectionReader]
    ) -> None:
        points, view = filled
        assert len(view.search(SearchRequest(limit=1000, dense=unit(1)))) == len(points)
        assert view.search(SearchRequest(limit=0, dense=unit(1))) == []

    def test_sparse_multiplies_by_document_frequency(self, engine: VectorEngine, name: str) -> None:
        """Four points, term 1 in three of them and term 2 in one: idf = ln(1 + (N - n + .5) / (n + .5))."""
        writer = engine.writer(name, PLANE)
        dense = np.array([1, 0], np.float32)
        writer.upsert(
            [
                Point(make_id(0), dense, terms({1: 1.0, 2: 1.0}), {}),
                Point(make_id(1), dense, terms({1: 2.0}), {"kind": "a"}),
                Point(make_id(2), dense, terms({1: 1.0}), {}),
                Point(make_id(3), dense, None, {}),
                Point(make_id(4), dense, terms({}), {}),
            ]
        )
        both = writer.search(SearchRequest(limit=10, sparse=terms({1: 1.0, 2: 1.0})))
        filtered = writer.search(
            SearchRequest(limit=10, sparse=terms({1: 1.0}), condition=Match("kind", "a"))
        )
        none = writer.search(SearchRequest(limit=10, sparse=terms({})))
        unknown = writer.search(SearchRequest(limit=10, sparse=terms({77: 1.0})))
        writer.close()
        assert [h.point_id for h in both] == [make_id(0), make_id(1), make_id(2)]
        ratio = (both[0].score - both[2].score) / both[2].score
        assert ratio > 1.5, "the rare term must weigh more than the common one"
        assert both[1].score == pytest.approx(2 * both[2].score, rel=1e-5)
        assert [h.point_id for h in filtered] == [make_id(1)]
        assert none == []
        assert unknown == []

    @pytest.mark.parametrize("fusion", ["dbsf", "rrf"])
    def test_hybrid_respects_the_filter_on_both_sides(
        self, filled: tuple[list[Point], CollectionReader], fusion: str
    ) -> None:
        points, view = filled
        condition = All((visible_at(3), MatchAny("acl", GROUPS[:2])))
        allowed = {p.point_id for p in points if matches(condition, p.point_id, p.payload)}
        assert 10 < len(allowed) < 60
        request = SearchRequest(
            limit=100,
            dense=unit(5),
            sparse=terms(dict.fromkeys(range(40), 1.0)),
            condition=condition,
            fusion=fusion,
        )
        hits = view.search(request)
        assert {h.point_id for h in hits} == allowed
        assert [h.score for h in hits] == sorted((h.score for h in hits), reverse=True)

    def test_rrf_adds_reciprocal_ranks(self, engine: VectorEngine, name: str) -> None:
        """Dense order 0 1 2, sparse order 2 0: with k=60 and ranks from 0, 0 gets 1/60 + 1/61."""
        writer = engine.writer(name, PLANE)
        writer.upsert(
            [
                Point(make_id(0), np.array([1, 0], np.float32), terms({1: 1.0}), {}),
                Point(make_id(1), np.array([0.8, 0.6], np.float32), None, {}),
                Point(make_id(2), np.array([0, 1], np.float32), terms({1: 3.0}), {}),
            ]
        )
        query = SearchRequest(
            limit=3, dense=np.array([1, 0], np.float32), sparse=terms({1: 1.0}), fusion="rrf", rrf_k=60
        )
        hits = writer.search(query)
        writer.close()
        assert [h.point_id for h in hits] == [make_id(0), make_id(2), make_id(1)]
        assert [h.score for h in hits] == pytest.approx([1 / 60 + 1 / 61, 1 / 62 + 1 / 60, 1 / 61], abs=1e-6)

    @pytest.mark.parametrize("fusion", ["dbsf", "rrf"])
    def test_hybrid_without_terms_keeps_the_dense_order(
        self, filled: tuple[list[Point], CollectionReader], fusion: str
    ) -> None:
        points, view = filled
        hits = view.search(SearchRequest(limit=10, dense=unit(9), sparse=terms({}), fusion=fusion))
        assert [h.point_id for h in hits] == exact_order(points, unit(9), All(()))[:10]

    def test_hybrid_goes_as_deep_as_the_limit(self, filled: tuple[list[Point], CollectionReader]) -> None:
        points, view = filled
        request = SearchRequest(limit=110, dense=unit(2), sparse=terms({1: 1.0}), candidates=5)
        assert len(view.search(request)) == 110 < len(points)

    def test_scroll_gives_back_what_was_stored(self, filled: tuple[list[Point], CollectionReader]) -> None:
        points, view = filled
        stored = list(view.scroll(with_vectors=True, batch=50))
        assert [s.point_id for s in stored] == sorted(p.point_id for p in points)
        by_id = {p.point_id: p for p in points}
        for found in stored:
            point = by_id[found.point_id]
            assert found.payload == point.payload
            assert found.dense is not None
            assert found.dense.dtype == np.float32
            np.testing.assert_allclose(found.dense, point.dense, atol=1e-6)
            assert (found.sparse is None) == (point.sparse is None)
            if found.sparse is not None and point.sparse is not None:
                assert found.sparse.indices.tolist() == point.sparse.indices.tolist()
                np.testing.assert_allclose(found.sparse.values, point.sparse.values, atol=1e-6)

    def test_scroll_pages_under_a_filter(self, filled: tuple[list[Point], CollectionReader]) -> None:
        points, view = filled
        condition = Match("tenant", "tenant1")
        stored = list(view.scroll(condition, batch=7))
        assert [s.point_id for s in stored] == sorted(
            p.point_id for p in points if p.payload["tenant"] == "tenant1"
        )
        assert {s.dense is None for s in stored} == {True}

    def test_searches_from_several_threads(self, filled: tuple[list[Point], CollectionReader]) -> None:
        points, view = filled
        expected = {seed: exact_order(points, unit(seed), All(()))[:5] for seed in range(40)}
        wrong: list[int] = []

        def search(seeds: range) -> None:
            for seed in seeds:
                hits = view.search(SearchRequest(limit=5, dense=unit(seed)))
                if [h.point_id for h in hits] != expected[seed]:
                    wrong.append(seed)

        threads = [threading.Thread(target=search, args=(range(n, 40, 4),)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []

    def test_upsert_replaces_wholly_and_set_payload_merges(self, writer: CollectionWriter) -> None:
        first, second = make_points(2)
        writer.upsert([first, second])
        writer.upsert([Point(first.point_id, unit(50), None, {"a": 1, "nested": {"x": 1}})])
        writer.set_payload([first.point_id, make_id(123456)], {"b": ("t",), "nested": {"y": 2}})
        stored = {p.point_id: p for p in writer.scroll(with_vectors=True)}
        assert stored[first.point_id].payload == {"a": 1, "b": ["t"], "nested": {"y": 2}}
        assert stored[first.point_id].sparse is None
        assert stored[second.point_id].payload == second.payload
        assert set(stored) == {first.point_id, second.point_id}
        (hit,) = writer.search(SearchRequest(limit=1, dense=unit(50)))
        assert hit.point_id == first.point_id

    def test_delete_ignores_unknown_ids(self, writer: CollectionWriter) -> None:
        points = make_points(3)
        writer.upsert(points)
        writer.delete([points[0].point_id, make_id(123456)])
        writer.delete([])
        assert writer.count() == 2
        assert writer.count(HasId((points[0].point_id,))) == 0

    def test_versions_are_filters(self, writer: CollectionWriter) -> None:
        base = make_points(1)[0]
        spans = [(1, CURRENT), (1, 3), (3, CURRENT), (2, 3)]
        writer.upsert(
            [
                Point(make_id(n), base.dense, None, {"added": added, "removed": removed})
                for n, (added, removed) in enumerate(spans)
            ]
        )
        at = {v: {p.point_id for p in writer.scroll(visible_at(v))} for v in (0, 1, 2, 3, 4)}
        assert at == {
            v: {make_id(n) for n in numbers}
            for v, numbers in {0: (), 1: (0, 1), 2: (0, 1, 3), 3: (0, 2), 4: (0, 2)}.items()
        }

    @pytest.mark.parametrize(
        "point",
        [
            Point(make_id(1), unit(1, 5), None, {}),
            Point(make_id(1), np.full(24, np.nan, np.float32), None, {}),
            Point(make_id(1), unit(1), None, {"x": object()}),
            Point("not-an-id", unit(1), None, {}),
        ],
        ids=["dimension", "nan", "payload", "id"],
    )
    def test_a_bad_point_is_refused_and_nothing_is_written(
        self, writer: CollectionWriter, point: Point
    ) -> None:
        with pytest.raises(EngineError):
            writer.upsert([make_points(1)[0], point])
        assert writer.count() == 0

    def test_bad_requests_are_refused(self, writer: CollectionWriter) -> None:
        with pytest.raises(EngineError, match="dense vector, a sparse vector"):
            writer.search(SearchRequest(limit=1))
        with pytest.raises(EngineError, match="fusion 'sum'"):
            writer.search(SearchRequest(limit=1, dense=unit(1), sparse=terms({1: 1}), fusion="sum"))
        with pytest.raises(EngineError, match="2026-13-01"):
            writer.count(DateRange("modified_at", gte="2026-13-01"))
        with pytest.raises(EngineError, match="no such path"):
            writer.count(Not(Match("no such path", "x")))
        with pytest.raises(EngineError, match="NaN"):
            writer.search(SearchRequest(limit=1, dense=np.full(24, np.nan, np.float32)))

    def test_another_space_is_refused(self, engine: VectorEngine, name: str) -> None:
        engine.writer(name, PLANE).close()
        with pytest.raises(EngineError, match="dimension is 2, not 3"):
            engine.writer(name, VectorSpace(dimension=3))
        with pytest.raises(EngineError, match="keyword_fields"):
            engine.writer(name, VectorSpace(dimension=2, keyword_fields=("meta.x",)))
        engine.writer(name, PLANE).close()

    def test_without_sparse_vectors(self, engine: VectorEngine, name: str) -> None:
        writer = engine.writer(name, VectorSpace(dimension=2, sparse=False))
        writer.upsert([plane_point(1, 1, 0)])
        with pytest.raises(EngineError, match="no sparse vectors"):
            writer.upsert([Point(make_id(2), np.array([1, 0], np.float32), terms({1: 1}), {})])
        with pytest.raises(EngineError, match="no sparse vectors"):
            writer.search(SearchRequest(limit=1, sparse=terms({1: 1})))
        assert len(writer.search(SearchRequest(limit=1, dense=np.array([1, 0], np.float32)))) == 1
        writer.close()

    def test_optimize_changes_no_answer(self, writer: CollectionWriter) -> None:
        points = make_points(60)
        writer.upsert(points)
        writer.delete([p.point_id for p in points[:20]])
        writer.optimize()
        assert writer.count() == 40
        hits = writer.search(SearchRequest(limit=10, dense=unit(4)))
        assert [h.point_id for h in hits] == exact_order(points[20:], unit(4), All(()))[:10]

    def test_drop_and_missing_collections(self, engine: VectorEngine, name: str) -> None:
        engine.drop(name)
        engine.writer(name, PLANE).close()
        token = engine.snapshot(name)
        engine.reader(name, token).close()
        engine.drop(name)
        with pytest.raises(EngineError):
            engine.reader(name, token)
        writer = engine.writer(name, VectorSpace(dimension=3))
        assert writer.count() == 0
        writer.close()

    def test_check_tells_version_and_place(self, engine: VectorEngine) -> None:
        assert "Qdrant" in engine.check()

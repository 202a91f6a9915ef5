"""What every engine must do when read: subclasses provide the `engine` fixture and inherit the tests."""

from __future__ import annotations

import random
import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from rag_pipelines.core.filters import (
    All,
    AnyOf,
    Condition,
    DateRange,
    Exists,
    HasId,
    Match,
    MatchAny,
    Not,
    Range,
)
from rag_pipelines.core.ports import CollectionReader, SearchRequest, VectorEngine
from rag_pipelines.core.types import Point
from rag_pipelines.index.points import meta_path, visible_at
from rag_pipelines_tests.index.oracle import matches, values
from rag_pipelines_tests.index.sample import (
    GROUPS,
    PLANE,
    SPACE,
    exact_order,
    make_condition,
    make_id,
    make_points,
    plane_point,
    terms,
    unit,
)


class ReadingConformance:
    """Conditions, searches and scrolling, on the writer itself and on a reader of a snapshot just made."""

    @pytest.fixture(scope="class")
    def engine(self) -> Iterator[VectorEngine]:
        raise NotImplementedError

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
        space = replace(PLANE, integer_fields=("year",), datetime_fields=("day",))
        writer = engine.writer(name, space)
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
            (DateRange("day", gt="2024-05-01"), {2}),
            (DateRange("day", gt="2024-05-01T00:00:00Z"), {1, 2}),
            (DateRange("day", lt="2024-05-02"), {0, 1}),
            (DateRange("day", lt="2024-05-01"), set()),
            (Range("year", gt=2023, gte=2025), {1}),
            (Range("year", gt=2024, gte=2000), {1}),
            (Range("year", lt=2026, lte=2024), {0}),
            (DateRange("day", gt="2024-04-30", gte="2024-05-02"), {2}),
            (DateRange("day", lt="2024-05-02", lte="2024-05-03"), {0, 1}),
            (Exists("year"), {0, 1}),
            (Not(Exists("kind")), {2}),
            (Exists("tags"), {0, 2}),
            (Exists("meta.deep.key"), {1}),
            (Exists(meta_path("a.b c")), {2}),
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

    def test_scroll_goes_on_behind_an_id(self, filled: tuple[list[Point], CollectionReader]) -> None:
        points, view = filled
        condition = Match("tenant", "tenant1")
        ids = sorted(p.point_id for p in points if p.payload["tenant"] == "tenant1")
        other = next(p.point_id for p in points if p.payload["tenant"] != "tenant1")
        for after in (ids[0], ids[9], ids[-1], other, "0" * 8 + "-0000-4000-8000-" + "0" * 12):
            found = [s.point_id for s in view.scroll(condition, batch=7, after=after)]
            assert found == [name for name in ids if name > after]

    @pytest.mark.parametrize(
        "field", ["source", "acl", "meta.language", "meta.tags", "meta.year", "meta.draft", "doc_id"]
    )
    def test_facets_count_the_points_that_match(
        self, field: str, filled: tuple[list[Point], CollectionReader]
    ) -> None:
        points, view = filled
        condition = All((Match("tenant", "tenant1"), Range("classification_rank", lte=1)))
        held = [p for p in points if matches(condition, p.point_id, p.payload)]
        counts = Counter(value for p in held for value in set(values(p.payload, field)))
        wanted = sorted(counts.items(), key=lambda hit: (-hit[1], hit[0]))
        found = view.facet(field, condition, 1000)
        assert [(type(value), value, count) for value, count in found] == [
            (type(value), value, count) for value, count in wanted
        ]
        assert [count for _, count in view.facet(field, condition, 2)] == [count for _, count in found[:2]]

    def test_facets_name_no_value_of_other_points(self, filled: tuple[list[Point], CollectionReader]) -> None:
        _, view = filled
        assert view.facet("tenant", Match("tenant", "tenant1"), 10)[0][0] == "tenant1"
        assert len(view.facet("tenant", Match("tenant", "tenant1"), 10)) == 1
        assert view.facet("source", Match("tenant", "nobody"), 10) == []

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

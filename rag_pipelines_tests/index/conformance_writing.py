"""What every engine must do when written to: subclasses provide the `engine` fixture and inherit the tests."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import numpy as np
import pytest

from rag_pipelines.core.errors import EngineError
from rag_pipelines.core.filters import All, DateRange, HasId, Match, Not
from rag_pipelines.core.ports import CollectionWriter, SearchRequest, VectorEngine
from rag_pipelines.core.types import CURRENT, Point, VectorSpace
from rag_pipelines.index.points import visible_at
from rag_pipelines_tests.index.sample import (
    PLANE,
    SPACE,
    exact_order,
    make_id,
    make_points,
    plane_point,
    terms,
    unit,
)


class WritingConformance:
    """Writes, refusals and the life of a collection."""

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

    def test_sparse_multiplies_by_document_frequency(self, engine: VectorEngine, name: str) -> None:
        """Term 1 lies in three points and term 2 in one; a point without terms is never found."""
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

    def test_collections_are_listed_while_they_are_there(self, engine: VectorEngine, name: str) -> None:
        assert name not in engine.collections()
        assert not engine.exists(name)
        engine.writer(name, PLANE).close()
        assert name in engine.collections()
        assert engine.exists(name)
        engine.snapshot(name)
        assert name in engine.collections()
        engine.drop(name)
        assert name not in engine.collections()

    def test_payload_indexes_are_whole_from_the_start(self, writer: CollectionWriter) -> None:
        assert writer.missing_indexes() == []
        writer.create_indexes()
        writer.upsert(make_points(5))
        assert writer.missing_indexes() == []
        assert writer.count() == 5

    def test_check_tells_version_and_place(self, engine: VectorEngine) -> None:
        assert "Qdrant" in engine.check()

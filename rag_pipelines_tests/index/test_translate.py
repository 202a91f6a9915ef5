"""What the requests look like, and when a search is repeated."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from qdrant_client import models

from rag_pipelines.core.errors import EngineError
from rag_pipelines.core.filters import EVERYTHING, All, Match, Range
from rag_pipelines.core.ports import SearchRequest
from rag_pipelines.core.types import Hit
from rag_pipelines.index.points import meta_path, visible_at
from rag_pipelines.index.translate import parse_date, search_whole, to_filter, to_query
from rag_pipelines_tests.index.sample import terms

QUERY = np.array([1, 0], np.float32)


def hits(*ids: str) -> list[Hit]:
    return [Hit(id, 1.0, {}) for id in ids]


def test_everything_is_no_filter() -> None:
    assert to_filter(EVERYTHING) is None
    assert to_filter(Match("a", "b")) == models.Filter(
        must=[models.FieldCondition(key="a", match=models.MatchValue(value="b"))]
    )


def test_both_halves_of_a_hybrid_search_carry_the_filter_and_the_depth() -> None:
    request = SearchRequest(
        limit=150, dense=QUERY, sparse=terms({3: 1.0}), condition=Match("a", "b"), candidates=100
    )
    query = to_query(request)
    assert query is not None
    assert isinstance(query.prefetch, list)
    assert [(p.using, p.limit) for p in query.prefetch] == [("dense", 150), ("sparse", 150)]
    assert [p.filter for p in query.prefetch] == [to_filter(request.condition)] * 2
    assert query.query == models.FusionQuery(fusion=models.Fusion.DBSF)


def test_a_few_hits_are_rescored_from_many_codes_and_exact_search_reads_no_codes() -> None:
    approximate = to_query(SearchRequest(limit=10, dense=QUERY))
    deep = to_query(SearchRequest(limit=500, dense=QUERY))
    exact = to_query(SearchRequest(limit=10, dense=QUERY, exact=True))
    assert approximate is not None
    assert deep is not None
    assert exact is not None
    assert approximate.params == models.SearchParams(
        hnsw_ef=256, quantization=models.QuantizationSearchParams(rescore=True, oversampling=12.8)
    )
    assert deep.params == models.SearchParams(
        hnsw_ef=500, quantization=models.QuantizationSearchParams(rescore=True, oversampling=2.0)
    )
    filtered = to_query(SearchRequest(limit=10, dense=QUERY, condition=Match("a", "b")))
    assert filtered is not None
    assert filtered.params is not None
    assert filtered.params.acorn == models.AcornSearchParams(enable=True)
    assert exact.params == models.SearchParams(
        exact=True, quantization=models.QuantizationSearchParams(ignore=True)
    )


def test_fewer_hits_than_asked_are_searched_again_exactly() -> None:
    asked: list[bool] = []

    def once(request: SearchRequest) -> list[Hit]:
        asked.append(request.exact)
        return hits("b", "a", "c") if request.exact else hits("a")

    found = search_whole(SearchRequest(limit=3, dense=QUERY), once)
    assert asked == [False, True]
    assert [h.point_id for h in found] == ["a", "b", "c"], "equal scores are ordered by id"


@pytest.mark.parametrize(
    ("request_", "found"),
    [
        (SearchRequest(limit=1, dense=QUERY), hits("a")),
        (SearchRequest(limit=3, dense=QUERY, exact=True), hits("a")),
        (SearchRequest(limit=3, sparse=terms({1: 1.0})), hits("a")),
    ],
    ids=["enough", "was exact", "sparse is exact"],
)
def test_otherwise_one_search_is_enough(request_: SearchRequest, found: list[Hit]) -> None:
    asked: list[SearchRequest] = []

    def once(request: SearchRequest) -> list[Hit]:
        asked.append(request)
        return found

    search_whole(request_, once)
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("text", "end_of_day", "expected"),
    [
        ("2026-01-31", False, datetime(2026, 1, 31, tzinfo=UTC)),
        ("2026-01-31", True, datetime(2026, 1, 31, 23, 59, 59, 999999, tzinfo=UTC)),
        ("2026-01-31T10:00", True, datetime(2026, 1, 31, 10, tzinfo=UTC)),
        ("2026-01-31T10:00:00Z", False, datetime(2026, 1, 31, 10, tzinfo=UTC)),
        ("2026-01-31T10:00:00+02:00", False, datetime(2026, 1, 31, 8, tzinfo=UTC)),
    ],
)
def test_dates_are_utc(text: str, end_of_day: bool, expected: datetime) -> None:
    assert parse_date(text, end_of_day=end_of_day) == expected


@pytest.mark.parametrize("text", ["", "yesterday", "31.01.2026", "2026-02-30"])
def test_other_dates_are_refused(text: str) -> None:
    with pytest.raises(EngineError, match="ISO 8601"):
        parse_date(text)


def test_paths_and_versions() -> None:
    assert meta_path("language") == "meta.language"
    assert meta_path("release date") == 'meta."release date"'
    assert meta_path("a.b") == 'meta."a.b"'
    with pytest.raises(ValueError, match="quotation mark"):
        meta_path('a"b')
    assert visible_at(7) == All((Range("added", lte=7), Range("removed", gt=7)))

"""The one translation of conditions and searches, into `qdrant_client.models`.

`edge_translate.py` carries the result over to Qdrant Edge, which shares no request class with the client
and whose own can be neither compared nor printed: requests are decided here once, for all engines.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, time
from typing import TypeVar

import numpy as np
from qdrant_client import models

from rag_pipelines.core.errors import EngineError
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
    Scalar,
)
from rag_pipelines.core.ports import SearchRequest
from rag_pipelines.core.types import FloatArray, Hit, SparseVector
from rag_pipelines.index.points import DENSE, SPARSE

GRAPH_EF = 256
"""Breadth of a graph search, where a collection has a graph at all."""

RESCORED = 128
"""At least this many candidates are scored again with the full vectors, however few hits are asked for."""


Bound = TypeVar("Bound", float, datetime)
_KEY = r'(?:[\w-]+|"[^"]+")(?:\[\d*\])*'
_PATH = re.compile(rf"^{_KEY}(?:\.{_KEY})*$", re.ASCII)


def nothing() -> models.Condition:
    """Matches no point. Not `Filter(should=[])`, which matches every point."""
    return models.HasIdCondition(has_id=[])


def to_filter(condition: Condition) -> models.Filter | None:
    """The engine's filter; None where everything matches."""
    translated = _condition(condition)
    if not isinstance(translated, models.Filter):
        return models.Filter(must=[translated])
    return translated if translated.model_fields_set else None


def _condition(condition: Condition) -> models.Condition:
    made: models.Condition
    match condition:
        case Match(field, value):
            made = models.FieldCondition(key=_path(field), match=models.MatchValue(value=value))
        case MatchAny(_, ()) | AnyOf(()):
            made = nothing()
        case MatchAny(field, values):
            made = models.FieldCondition(
                key=_path(field), match=models.MatchAny.model_validate({"any": values})
            )
        case Range(field, gt, gte, lt, lte):
            low, high = _tighter(gt, gte, above=True), _tighter(lt, lte, above=False)
            numbers = models.Range(gt=low[0], gte=low[1], lt=high[0], lte=high[1])
            made = models.FieldCondition(key=_path(field), range=numbers)
        case DateRange(field, from_, to, after, before):
            start = _tighter(
                None if after is None else parse_date(after, end_of_day=True),
                None if from_ is None else parse_date(from_),
                above=True,
            )
            end = _tighter(
                None if before is None else parse_date(before),
                None if to is None else parse_date(to, end_of_day=True),
                above=False,
            )
            dates = models.DatetimeRange(gt=start[0], gte=start[1], lt=end[0], lte=end[1])
            made = models.FieldCondition(key=_path(field), range=dates)
        case Exists(field):
            empty = models.IsEmptyCondition(is_empty=models.PayloadField(key=_path(field)))
            made = models.Filter(must_not=[empty])
        case HasId(ids):
            made = models.HasIdCondition(has_id=list(ids))
        case Not(inner):
            made = models.Filter(must_not=[_condition(inner)])
        case AnyOf(conditions):
            made = models.Filter(should=[_condition(c) for c in conditions])
        case All(()):
            made = models.Filter()
        case All(conditions):
            made = models.Filter(must=[_condition(c) for c in conditions])
    return made


def _tighter(
    exclusive: Bound | None, inclusive: Bound | None, *, above: bool
) -> tuple[Bound | None, Bound | None]:
    """Of two bounds on one side the one that says more: a payload index heeds one of them only."""
    if exclusive is None or inclusive is None:
        return exclusive, inclusive
    excludes_more = exclusive >= inclusive if above else exclusive <= inclusive
    return (exclusive, None) if excludes_more else (None, inclusive)


def _path(field: str) -> str:
    """The field itself; raises EngineError for what is no path, such as a bare key with a space."""
    if not _PATH.match(field):
        raise EngineError(
            f"filter field {field!r} is not a path; write keys of letters, digits, _ and - joined by dots, "
            'and quote others: meta."release date"'
        )
    return field


def parse_date(text: str, *, end_of_day: bool = False) -> datetime:
    """An ISO 8601 date or time as UTC; one without a zone is UTC.

    With `end_of_day` a bare date means its last microsecond, so that `lte="2026-01-31"` includes what
    happened on that day. Raises EngineError.
    """
    try:
        if len(text) <= len("2026-01-31"):
            day = date.fromisoformat(text)
            return datetime.combine(day, time.max if end_of_day else time.min, UTC)
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise EngineError(
            f"filter bound {text!r} is not an ISO 8601 date; write 2026-01-31 or 2026-01-31T12:00:00Z"
        ) from error


def to_query(request: SearchRequest) -> models.QueryRequest | None:
    """The engine's query; None where the request can have no hit (no limit, or no term to look for).

    Both halves of a hybrid search carry the filter themselves: score statistics of the fusion must
    come from what the reader may see. A question without terms leaves the sparse half out.
    """
    if request.dense is None and request.sparse is None:
        raise EngineError("a search needs a dense vector, a sparse vector, or both; it has neither")
    if request.limit <= 0:
        return None
    condition = to_filter(request.condition)
    hybrid = request.dense is not None and request.sparse is not None
    depth = max(request.candidates, request.limit) if hybrid else request.limit
    parts: list[models.Prefetch] = []
    if request.dense is not None:
        parts.append(_dense_part(request.dense, depth, condition, request.exact))
    if request.sparse is not None and len(request.sparse.indices):
        parts.append(_sparse_part(request.sparse, depth, condition))
    if hybrid:
        return models.QueryRequest(
            prefetch=parts, query=_fusion(request), limit=request.limit, with_payload=True
        )
    if not parts:
        return None
    (part,) = parts
    return models.QueryRequest(
        query=part.query,
        using=part.using,
        filter=part.filter,
        params=part.params,
        limit=request.limit,
        with_payload=True,
    )


def _dense_part(
    vector: FloatArray, limit: int, condition: models.Filter | None, exact: bool
) -> models.Prefetch:
    if not np.isfinite(vector).all():
        raise EngineError("the query vector holds NaN or infinity; the embedding model is at fault")
    return models.Prefetch(
        query=models.NearestQuery(nearest=vector.tolist()),
        using=DENSE,
        filter=condition,
        limit=limit,
        params=_dense_params(limit, exact, filtered=condition is not None),
    )


def _sparse_part(terms: SparseVector, limit: int, condition: models.Filter | None) -> models.Prefetch:
    return models.Prefetch(
        query=models.NearestQuery(nearest=sparse_model(terms)), using=SPARSE, filter=condition, limit=limit
    )


def _dense_params(limit: int, exact: bool, *, filtered: bool) -> models.SearchParams:
    """Where there is a graph, ACORN also walks through points that the filter hides.

    Without it, documents that lie apart from the question's surroundings are not reached: recall fell to .79
    under a filter of 1% just above the full-scan threshold, and is 1 with it.
    """
    if exact:
        return models.SearchParams(exact=True, quantization=models.QuantizationSearchParams(ignore=True))
    oversampling = max(2.0, RESCORED / limit)
    return models.SearchParams(
        hnsw_ef=max(GRAPH_EF, limit),
        quantization=models.QuantizationSearchParams(rescore=True, oversampling=oversampling),
        acorn=models.AcornSearchParams(enable=True) if filtered else None,
    )


def _fusion(request: SearchRequest) -> models.Query:
    match request.fusion:
        case "dbsf":
            return models.FusionQuery(fusion=models.Fusion.DBSF)
        case "rrf":
            return models.RrfQuery(rrf=models.Rrf(k=request.rrf_k))
        case other:
            raise EngineError(f"fusion {other!r} is not known; use dbsf or rrf")


def sparse_model(vector: SparseVector) -> models.SparseVector:
    """Term weights as the engine takes them."""
    return models.SparseVector(indices=vector.indices.tolist(), values=vector.values.tolist())


def by_frequency(hits: Iterable[tuple[Scalar, int]]) -> list[tuple[Scalar, int]]:
    """Most frequent first, equal ones by value, without those of no point: they may be somebody else's."""
    told = ((value, count) for value, count in hits if count)
    return sorted(told, key=lambda hit: (-hit[1], type(hit[0]).__name__, hit[0]))


def search_whole(request: SearchRequest, once: Callable[[SearchRequest], list[Hit]]) -> list[Hit]:
    """Search, and where fewer hits come back than asked for, search again exactly.

    A graph search under a narrow filter can run dry while matching points are left. Equal scores are
    ordered by id, so that the same question gets the same order.
    """
    hits = once(request)
    if len(hits) < request.limit and request.dense is not None and not request.exact:
        hits = once(replace(request, exact=True))
    return sorted(hits, key=lambda hit: (-hit.score, hit.point_id))

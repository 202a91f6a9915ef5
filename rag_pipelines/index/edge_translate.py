"""From `qdrant_client.models` to the request classes of Qdrant Edge, which differ in name and shape."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import numpy as np
import qdrant_edge as edge
from qdrant_client import models

from rag_pipelines.core.errors import EngineError
from rag_pipelines.core.types import SparseVector, StoredPoint
from rag_pipelines.index.points import DENSE, SPARSE


def edge_filter(given: models.Filter | None) -> edge.Filter | None:
    """The same filter for Qdrant Edge."""
    if given is None:
        return None
    return edge.Filter(
        must=_edge_conditions(given.must),
        should=_edge_conditions(given.should),
        must_not=_edge_conditions(given.must_not),
    )


def _edge_conditions(given: Any) -> list[Any] | None:
    return None if given is None else [_edge_condition(condition) for condition in given]


def _edge_condition(given: models.Condition) -> Any:
    match given:
        case models.Filter():
            return edge_filter(given)
        case models.IsEmptyCondition(is_empty=models.PayloadField(key=key)):
            return edge.IsEmptyCondition(key)
        case models.HasIdCondition(has_id=ids):
            return edge.HasIdCondition(set(ids))
        case models.FieldCondition():
            return _edge_field(given)
        case _:
            raise EngineError(f"condition {type(given).__name__} has no counterpart in Qdrant Edge")


def _edge_field(given: models.FieldCondition) -> edge.FieldCondition:
    match given:
        case models.FieldCondition(key=key, match=models.MatchValue(value=value)):
            return edge.FieldCondition(key, match=edge.MatchValue(_edge_scalar(value)))
        case models.FieldCondition(key=key, match=models.MatchAny(any=values)):
            return edge.FieldCondition(key, match=edge.MatchAny(values))
        case models.FieldCondition(key=key, range=models.Range() as r):
            return edge.FieldCondition(key, range=edge.RangeFloat(gte=r.gte, gt=r.gt, lte=r.lte, lt=r.lt))
        case models.FieldCondition(key=key, range=models.DatetimeRange() as r):
            bounds = edge.RangeDateTime(gte=_iso(r.gte), gt=_iso(r.gt), lte=_iso(r.lte), lt=_iso(r.lt))
            return edge.FieldCondition(key, range=bounds)
        case _:
            raise EngineError(f"the condition on {given.key!r} has no counterpart in Qdrant Edge")


def _edge_scalar(value: str | int | bool) -> Any:
    """A Python bool is read as the number 1 or 0 by the engine's binding; numpy's is taken for a bool."""
    return np.bool_(value) if isinstance(value, bool) else value


def _iso(moment: datetime | date | None) -> str | None:
    return None if moment is None else moment.isoformat()


def edge_query(given: models.QueryRequest) -> edge.QueryRequest:
    """The same query for Qdrant Edge."""
    return edge.QueryRequest(
        limit=given.limit or 0,
        query=_edge_scoring(given.query, given.using),
        prefetches=[
            edge.Prefetch(
                limit=part.limit or 0,
                query=_edge_scoring(part.query, part.using),
                filter=edge_filter(part.filter),
                params=_edge_params(part.params),
            )
            for part in _prefetches(given)
        ],
        filter=edge_filter(given.filter),
        params=_edge_params(given.params),
        with_payload=True,
    )


def _prefetches(given: models.QueryRequest) -> Sequence[models.Prefetch]:
    if given.prefetch is None:
        return ()
    return given.prefetch if isinstance(given.prefetch, list) else (given.prefetch,)


def _edge_scoring(given: Any, using: str | None) -> Any:
    match given:
        case models.NearestQuery(nearest=models.SparseVector() as terms):
            return edge.Query.Nearest(edge_sparse(terms.indices, terms.values), using=using)
        case models.NearestQuery(nearest=vector):
            return edge.Query.Nearest(vector, using=using)  # type: ignore[arg-type]
        case models.FusionQuery(fusion=models.Fusion.DBSF):
            return edge.Fusion.Dbsf()
        case models.RrfQuery(rrf=rrf):
            return edge.Fusion.Rrf(k=rrf.k or 60)
        case _:
            raise EngineError(f"query {type(given).__name__} has no counterpart in Qdrant Edge")


def _edge_params(given: models.SearchParams | None) -> edge.SearchParams | None:
    if given is None:
        return None
    codes = None
    if given.quantization is not None:
        codes = edge.QuantizationSearchParams(
            ignore=bool(given.quantization.ignore),
            rescore=given.quantization.rescore,
            oversampling=given.quantization.oversampling,
        )
    acorn = None
    if given.acorn is not None:
        acorn = edge.AcornSearchParams(
            enable=bool(given.acorn.enable), max_selectivity=given.acorn.max_selectivity
        )
    return edge.SearchParams(hnsw_ef=given.hnsw_ef, exact=bool(given.exact), quantization=codes, acorn=acorn)


def edge_sparse(indices: Sequence[int], values: Sequence[float]) -> edge.SparseVector:
    """Term weights as Qdrant Edge takes them."""
    return edge.SparseVector(indices=list(indices), values=list(values))


def stored_point(record: edge.Record) -> StoredPoint:
    """A point as Qdrant Edge gives it back."""
    vectors: Any = record.vector or {}
    dense, sparse = vectors.get(DENSE), vectors.get(SPARSE)
    return StoredPoint(
        point_id=str(record.id),
        payload=record.payload or {},
        dense=None if dense is None else np.asarray(dense, dtype=np.float32),
        sparse=None
        if sparse is None
        else SparseVector(
            np.asarray(sparse.indices, dtype=np.uint32), np.asarray(sparse.values, dtype=np.float32)
        ),
    )

"""One ranking out of the dense and the sparse one, where the engine cannot weigh them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from rag_pipelines.config.retrieval import Weights
from rag_pipelines.core.ports import SearchRequest
from rag_pipelines.core.types import Hit

Ask = Callable[[SearchRequest], list[Hit]]
Scores = npt.NDArray[np.float64]


def fusing(ask: Ask, weights: Weights) -> Ask:
    """`ask` itself where both halves count the same, since the engine fuses those; else one that weighs them."""
    if weights.dense == weights.sparse:
        return ask

    def weighed(request: SearchRequest) -> list[Hit]:
        if request.dense is None or request.sparse is None:
            return ask(request)
        dense, sparse = halves(ask, request)
        return fused(dense, sparse, request, weights)[: request.limit]

    return weighed


def halves(ask: Ask, request: SearchRequest) -> tuple[list[Hit], list[Hit]]:
    """What each half of a hybrid search finds alone, as deep as the fusion looks."""
    depth = max(request.candidates, request.limit)
    return (
        ask(replace(request, sparse=None, limit=depth)),
        ask(replace(request, dense=None, limit=depth)),
    )


def fused(dense: Sequence[Hit], sparse: Sequence[Hit], request: SearchRequest, weights: Weights) -> list[Hit]:
    """Every hit of either list, by the weighted sum of its two normalised scores; equal sums by id.

    With equal weights the order is the engine's. A hit that a list lacks gets nothing from it.
    """
    total: dict[str, float] = {}
    payloads: dict[str, Mapping[str, object]] = {}
    for hits, weight in ((dense, weights.dense), (sparse, weights.sparse)):
        scores = np.array([hit.score for hit in hits], np.float64)
        normal = distribution_based(scores) if request.fusion == "dbsf" else reciprocal(scores, request.rrf_k)
        for hit, score in zip(hits, normal, strict=True):
            total[hit.point_id] = total.get(hit.point_id, 0.0) + weight * float(score)
            payloads[hit.point_id] = hit.payload
    order = sorted(total, key=lambda point_id: (-total[point_id], point_id))
    return [Hit(point_id, total[point_id], payloads[point_id]) for point_id in order]


def distribution_based(scores: Scores) -> Scores:
    """From three standard deviations below the mean (0) to three above it (1), as the engine has it.

    One score alone, or equal ones, count 0.5.
    """
    deviation = float(scores.std(ddof=1)) if scores.size > 1 else 0.0
    if deviation == 0:
        return np.full_like(scores, 0.5)
    low = float(scores.mean()) - 3 * deviation
    return (scores - low) / (6 * deviation)


def reciprocal(scores: Scores, k: int) -> Scores:
    """1 / (k + rank) with ranks from 0, as the engine counts them (Cormack et al. 2009 count from 1)."""
    return 1 / (k + np.arange(scores.size, dtype=np.float64))

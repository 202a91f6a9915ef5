"""Maximal marginal relevance (Carbonell and Goldstein 1998): what is next is relevant and says something else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from rag_pipelines.core.filters import HasId
from rag_pipelines.core.ports import CollectionReader
from rag_pipelines.core.types import FloatArray
from rag_pipelines.retrieval.grouping import Group

Scores = npt.NDArray[np.float64]


def diverse(groups: Sequence[Group], reader: CollectionReader, balance: float) -> list[Group]:
    """All groups, ordered by marginal relevance over the dense vectors of their best hits; 1 changes nothing."""
    if balance == 1 or len(groups) < 2:
        return list(groups)
    ids = tuple(group.best.point_id for group in groups)
    points = reader.scroll(HasId(ids), with_vectors=True)
    vectors = {point.point_id: point.dense for point in points if point.dense is not None}
    scores = np.array([group.best.score for group in groups], np.float64)
    return [groups[place] for place in marginal(scores, similarities(ids, vectors), balance)]


def similarities(ids: Sequence[str], vectors: Mapping[str, FloatArray]) -> Scores:
    """Cosine of every pair, (ids, ids); 0 for one without a vector."""
    length = len(next(iter(vectors.values()))) if vectors else 1
    rows = np.stack([vectors.get(name, np.zeros(length, np.float32)) for name in ids]).astype(np.float64)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    units = np.divide(rows, norms, out=np.zeros_like(rows), where=norms > 0)
    return np.asarray(units @ units.T, np.float64)


def marginal(scores: Scores, similar: Scores, balance: float) -> list[int]:
    """The places in their new order: each has the most `balance * relevance - (1 - balance) * likeness`.

    Relevance is the score between the least (0) and the greatest (1) of all, since fused scores have no scale
    of their own; likeness is the similarity to the nearest of those already taken. Equal ones stay in order.
    """
    low, high = float(scores.min()), float(scores.max())
    relevance = (scores - low) / (high - low) if high > low else np.ones_like(scores)
    likeness = np.zeros_like(scores)
    left = np.ones(scores.size, np.bool_)
    order: list[int] = []
    for _ in range(scores.size):
        worth = np.where(left, balance * relevance - (1 - balance) * likeness, -np.inf)
        best = int(worth.argmax())
        order.append(best)
        left[best] = False
        likeness = np.maximum(likeness, similar[best]) if len(order) > 1 else similar[best].copy()
    return order

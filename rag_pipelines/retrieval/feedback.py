"""Pseudo-relevance feedback: the question's dense vector moves towards what the first search found best.

Terms bring in passages that the dense model alone ranks low; their vectors then find others of their kind
(Rocchio 1971; with dense vectors Li et al. 2021). It needs no model and no text, only one more search.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rag_pipelines.config.retrieval import Feedback
from rag_pipelines.core.filters import HasId
from rag_pipelines.core.ports import CollectionReader, SearchRequest
from rag_pipelines.core.types import FloatArray
from rag_pipelines.index.points import TEXT_HASH
from rag_pipelines.retrieval.fusion import Ask

OVERFETCH = 3
"""Hits asked for each passage wanted: a text that stands in many documents is taken once."""


def with_feedback(
    ask: Ask, reader: CollectionReader, request: SearchRequest, settings: Feedback
) -> SearchRequest:
    """The request with the moved vector; the request itself where it is not hybrid or nothing is found.

    Only hits of the request's own condition take part, so nothing leaks from what the reader may not see.
    A dense search alone is left as it is: its own best hits only confirm it.
    """
    if request.dense is None or request.sparse is None or not settings.passages:
        return request
    first: dict[str, str] = {}
    for hit in ask(replace(request, limit=OVERFETCH * settings.passages)):
        first.setdefault(hit.payload[TEXT_HASH], hit.point_id)
    chosen = tuple(first.values())[: settings.passages]
    if not chosen:
        return request
    points = reader.scroll(HasId(chosen), with_vectors=True)
    vectors = [point.dense for point in points if point.dense is not None]
    if not vectors:
        return request
    return replace(request, dense=moved(request.dense, np.stack(vectors), settings.weight))


def moved(question: FloatArray, passages: FloatArray, weight: float) -> FloatArray:
    """The question's direction plus `weight` times the mean direction (passages, dimension), as long as before."""
    length = np.linalg.norm(question)
    directions = passages / np.linalg.norm(passages, axis=1, keepdims=True)
    vector = question / length + weight * directions.mean(axis=0)
    norm = np.linalg.norm(vector)
    if not norm > 0:
        return question
    return np.asarray(vector * (length / norm), np.float32)

"""Orders the best passages anew by a model that reads question and passage together, within a time limit."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from rag_pipelines.config.retrieval import RerankConfig
from rag_pipelines.core.errors import EmbeddingError
from rag_pipelines.core.types import Hit
from rag_pipelines.index.points import HEADING_PATH, TEXT, TITLE, URI
from rag_pipelines.retrieval.grouping import Group

BATCH = 8
"""Passages between two looks at the clock."""

Scores = npt.NDArray[np.float64]


class Reranker(Protocol):
    """Scores passages for a question. Safe to call from several threads."""

    def score(self, query: str, passages: Sequence[str]) -> Scores:
        """One number a passage, higher is better, on any scale. Raises EmbeddingError."""


@dataclass(frozen=True, slots=True)
class Reranking:
    """What came of it: how many passages were read, and whether their order counts or time ran out."""

    model: str
    passages: int
    applied: bool


def rerank(
    reranker: Reranker,
    query: str,
    groups: Sequence[Group],
    settings: RerankConfig,
    now: Callable[[], float] = time.monotonic,
) -> tuple[list[Group], Reranking]:
    """The first `top_n` groups in their new order, the others behind them; all as they were where time ran out.

    Scores of the reordered are the mixture; those behind are lowered to stay below. A batch that has begun is
    finished, so an answer can take one batch longer than `seconds`.
    """
    chosen, rest = list(groups[: settings.top_n]), list(groups[settings.top_n :])
    if not chosen:
        return list(groups), Reranking(settings.model, 0, True)
    deadline = now() + settings.seconds
    parts: list[Scores] = []
    for start in range(0, len(chosen), BATCH):
        if now() >= deadline:
            return list(groups), Reranking(settings.model, start, False)
        texts = [passage_text(group.best) for group in chosen[start : start + BATCH]]
        parts.append(reranker.score(query, texts))
    fused = np.array([group.best.score for group in chosen], np.float64)
    mixed = settings.weight * standardised(np.concatenate(parts)) + (1 - settings.weight) * standardised(
        fused
    )
    order = np.argsort(-mixed, kind="stable")
    reordered = [_scored(chosen[place], float(mixed[place])) for place in order]
    lowest = reordered[-1].best.score
    behind = [_scored(group, min(group.best.score, lowest)) for group in rest]
    return [*reordered, *behind], Reranking(settings.model, len(chosen), True)


def standardised(scores: Scores) -> Scores:
    """Less their mean, by their standard deviation; zeros where all are equal."""
    deviation = float(scores.std())
    return np.zeros_like(scores) if deviation == 0 else (scores - scores.mean()) / deviation


def passage_text(hit: Hit) -> str:
    """Title, headings and text, as a reader would have them before the eyes; a bare file name is no title."""
    payload = hit.payload
    title = payload.get(TITLE)
    path = list(payload.get(HEADING_PATH) or ())
    if title and title != PurePosixPath(payload[URI]).name and title not in path:
        path.insert(0, title)
    return "\n".join((" > ".join(path), payload[TEXT])) if path else str(payload[TEXT])


def _scored(group: Group, score: float) -> Group:
    return Group(replace(group.best, score=score), group.others)


def open_reranker(settings: RerankConfig | None) -> Reranker | None:
    """What an index configures; loads nothing yet."""
    return CrossEncoderReranker(settings.model) if settings is not None else None


class CrossEncoderReranker:
    """A CrossEncoder of sentence-transformers, loaded on first use, from safetensors only and without remote code."""

    def __init__(self, model: str) -> None:
        self._name = model
        self._model: Any = None
        self._lock = threading.Lock()

    def score(self, query: str, passages: Sequence[str]) -> Scores:
        """The model's relevance of each passage; one call at a time uses all cores."""
        with self._lock:
            if self._model is None:
                self._model = self._load()
            scores = self._model.predict([(query, text) for text in passages], show_progress_bar=False)
        found = np.asarray(scores, np.float64)
        if found.shape != (len(passages),) or not np.isfinite(found).all():
            raise EmbeddingError(
                f"reranker {self._name} gave {found.shape} instead of one finite score a passage; "
                "`retrieval.rerank.model` must be a CrossEncoder with one output",
                model=self._name,
            )
        return found

    def _load(self) -> Any:
        from safetensors import SafetensorError
        from sentence_transformers import CrossEncoder

        try:
            return CrossEncoder(
                self._name,
                device="cpu",
                trust_remote_code=False,
                model_kwargs={"use_safetensors": True},
            )
        except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
            raise EmbeddingError(
                f"reranker {self._name} cannot be loaded ({error}); name a sentence-transformers CrossEncoder "
                "with safetensors weights, or its folder, in `retrieval.rerank.model`",
                model=self._name,
            ) from error

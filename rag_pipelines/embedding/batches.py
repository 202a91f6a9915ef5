"""Batches of about equal length and bounded size, and the checks that every result passes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rag_pipelines.core.errors import EmbeddingError
from rag_pipelines.core.types import FloatArray

LENGTH_STEP = 8
"""Batches are padded up to a multiple of this, so that a backend compiles few shapes."""

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class TokenBatch:
    """`rows` are the positions of the texts in the caller's order; the two arrays are (texts, length)."""

    rows: tuple[int, ...]
    input_ids: IntArray
    attention_mask: IntArray


def pack(lengths: Sequence[int], budget: int, limit: int) -> list[tuple[int, ...]]:
    """Group positions so that texts times padded length stays within `budget`, longest first.

    Sorting by length is what saves: in mixed order nearly half of all computed tokens are padding.
    A text longer than the budget gets a batch of its own.
    """
    batches: list[tuple[int, ...]] = []
    current: list[int] = []
    longest = 0
    for row in sorted(range(len(lengths)), key=lambda row: (-lengths[row], row)):
        if current and longest * (len(current) + 1) > budget:
            batches.append(tuple(current))
            current = []
        if not current:
            longest = padded_length(lengths[row], limit)
        current.append(row)
    if current:
        batches.append(tuple(current))
    return batches


def padded_length(length: int, limit: int) -> int:
    """The length rounded up to the step, but never beyond what the model reads."""
    return max(length, min(limit, -(-length // LENGTH_STEP) * LENGTH_STEP))


def to_arrays(rows: tuple[int, ...], ids: Sequence[Sequence[int]], pad_id: int, limit: int) -> TokenBatch:
    """Pad the texts of one batch on the right."""
    width = padded_length(max(len(ids[row]) for row in rows), limit)
    input_ids = np.full((len(rows), width), pad_id, np.int64)
    mask = np.zeros((len(rows), width), np.int64)
    for line, row in enumerate(rows):
        input_ids[line, : len(ids[row])] = ids[row]
        mask[line, : len(ids[row])] = 1
    return TokenBatch(rows, input_ids, mask)


def token_batches(ids: Sequence[Sequence[int]], budget: int, pad_id: int, limit: int) -> list[TokenBatch]:
    """All texts as padded batches."""
    groups = pack([len(one) for one in ids], budget, limit)
    return [to_arrays(rows, ids, pad_id, limit) for rows in groups]


def checked(vectors: FloatArray, shape: tuple[int, int], *, unit: bool, model: str) -> FloatArray:
    """The vectors as float32, of unit length where asked for.

    Raises EmbeddingError for another shape than (texts, dimension), NaN or infinity, or a zero vector.
    """
    vectors = np.ascontiguousarray(vectors, np.float32)
    if vectors.shape != shape:
        raise EmbeddingError(
            f"model {model} returned vectors of shape {vectors.shape} instead of {shape}; check that the "
            f"configured model and dimension belong together"
        )
    norms = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    bad = np.flatnonzero(~np.isfinite(norms[:, 0]) | (norms[:, 0] == 0))
    if bad.size:
        raise EmbeddingError(
            f"model {model} returned NaN, infinity or a zero vector for {bad.size} of {shape[0]} texts (first "
            f"at position {bad[0]}); try `precision: fp32`, and check the model's files"
        )
    return np.asarray(vectors / norms, np.float32) if unit else vectors

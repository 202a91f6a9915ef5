"""What is checked before an engine sees it, the same for all engines.

The engines accept NaN, and the embedded one logs a write before it finds it wrong: replaying the log
after a crash then leaves points without vectors.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import msgspec
import numpy as np

from rag_pipelines.core.errors import EngineError
from rag_pipelines.core.types import FloatArray, SparseVector, VectorSpace


def require_same_space(collection: str, stored: VectorSpace, wanted: VectorSpace) -> None:
    """Raise EngineError that names each difference."""
    if stored != wanted:
        old, new = asdict(stored), asdict(wanted)
        differences = [f"{name} is {old[name]}, not {new[name]}" for name in old if old[name] != new[name]]
        raise EngineError(
            f"collection {collection} has another vector space: {'; '.join(differences)}; "
            "write to a new collection"
        )


def check_id(point_id: str) -> None:
    """Raise EngineError unless the id is a UUID, which is what a Qdrant server takes."""
    try:
        uuid.UUID(point_id)
    except ValueError as error:
        raise EngineError(f"point id {point_id!r} is not a UUID; make it with core.ids.point_id") from error


def check_vector(vector: FloatArray, dimension: int, point_id: str) -> None:
    """Raise EngineError unless the vector fits: the engine takes NaN, and half applies a wrong length."""
    if vector.shape != (dimension,):
        raise EngineError(f"point {point_id} has a vector of shape {vector.shape}, not ({dimension},)")
    if not np.isfinite(vector).all():
        raise EngineError(f"point {point_id} has a vector with NaN or infinity; embed its text again")


def check_sparse(vector: SparseVector, point_id: str) -> None:
    """Raise EngineError unless there is one finite weight for each of the unique terms."""
    if vector.indices.shape != vector.values.shape or not np.isfinite(vector.values).all():
        raise EngineError(f"point {point_id} has a sparse vector whose terms and weights do not fit")
    if len(np.unique(vector.indices)) != len(vector.indices):
        raise EngineError(f"point {point_id} has a sparse vector that names a term twice")


def plain_payload(payload: Mapping[str, Any]) -> dict[str, Any]:
    """The payload as JSON would bring it back: tuples as lists, dates as ISO strings.

    The embedded engine may change the last bit of a float: store what is compared as int or str.
    Raises EngineError for what JSON cannot hold.
    """
    try:
        plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(dict(payload)))
    except (TypeError, ValueError, RecursionError) as error:
        raise EngineError(f"payload cannot be stored: {error}; use plain JSON values") from error
    return plain

"""The fingerprint of a vector space: who writes a collection and who reads it must agree on it."""

from __future__ import annotations

from collections.abc import Sequence

from rag_pipelines.core.fingerprints import fingerprint
from rag_pipelines.core.types import Distance


def space_fingerprint(
    model: str, dimension: int, distance: Distance, sparse: str | None, keyword_fields: Sequence[str]
) -> str:
    """Of the dense model's fingerprint, the sparse encoder's, and what the collection was created with."""
    return fingerprint("space", 1, [model, dimension, distance.value, sparse, list(keyword_fields)])

"""The fingerprint of a vector space: who writes a collection and who reads it must agree on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rag_pipelines.core.fingerprints import fingerprint
from rag_pipelines.core.types import Distance

TYPED = ("integer", "float", "boolean", "datetime")
"""Kinds of payload indexes besides keyword, as `VectorSpace` names its fields: `integer_fields` and so on."""


def space_fingerprint(
    model: str,
    dimension: int,
    distance: Distance,
    sparse: str | None,
    keyword_fields: Sequence[str],
    typed: Mapping[str, Sequence[str]] | None = None,
) -> str:
    """Of the dense model's fingerprint, the sparse encoder's, and what the collection was created with.

    Without typed fields it is what it was before there were any.
    """
    parts: list[Any] = [model, dimension, distance.value, sparse, list(keyword_fields)]
    if typed:
        parts.append({kind: list(fields) for kind, fields in typed.items()})
    return fingerprint("space", 1, parts)


def typed_fields(vectors: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Kind -> fields of a vector space as the catalog stores it; kinds without fields are left out."""
    found = {kind: tuple(vectors.get(f"{kind}_fields") or ()) for kind in TYPED}
    return {kind: fields for kind, fields in found.items() if fields}

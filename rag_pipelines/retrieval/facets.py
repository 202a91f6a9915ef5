"""How often each value of a filter field occurs, among what somebody may read and the filters let through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rag_pipelines.config.load import suggest
from rag_pipelines.config.models import IndexConfig
from rag_pipelines.core.errors import ConfigError
from rag_pipelines.core.filters import EVERYTHING, All, Scalar
from rag_pipelines.core.types import Principal
from rag_pipelines.index.points import meta_path
from rag_pipelines.retrieval.filters import Wanted, filter_condition
from rag_pipelines.retrieval.search import Searcher

BUILT_IN = ("source", "media_type", "language")
"""Fields of every index that a facet can be of; `doc_id` and `uri` differ from document to document."""

TYPES: Mapping[str, type] = {"keyword": str, "integer": int, "boolean": bool}
"""Declared types that have values to count, and what such a value is."""


@dataclass(frozen=True, slots=True)
class Facets:
    """Counts of one version, most frequent value first; `cut` are the fields that have more values than told."""

    version: int
    total: int
    fields: Mapping[str, tuple[tuple[Scalar, int], ...]]
    cut: tuple[str, ...]


def count_values(
    searcher: Searcher,
    principal: Principal,
    fields: Sequence[str],
    filters: Mapping[str, Wanted],
    limit: int = 20,
    version: int | None = None,
    *,
    of_documents: bool = False,
) -> Facets:
    """For each field its `limit` most frequent values, and how many chunks (or documents) there are in all.

    A value of another type than the field's declared one is not counted. Raises ConfigError for a field that
    has no values to count, and as a search does.
    """
    paths = {name: _path(name, searcher.config) for name in fields}
    asked = filter_condition(filters, searcher.config)
    with searcher.reach(principal, version) as (number, reach):
        each = searcher.stand_ins.each_document(reach) if of_documents else EVERYTHING
        condition = All((reach.readable, asked, each))
        total = reach.reader.count(condition)
        found = {
            name: [hit for hit in reach.reader.facet(path, condition, limit + 1) if type(hit[0]) is kind]
            for name, (path, kind) in paths.items()
        }
    return Facets(
        number,
        total,
        {name: tuple(values[:limit]) for name, values in found.items()},
        tuple(name for name, values in found.items() if len(values) > limit),
    )


def _path(name: str, config: IndexConfig) -> tuple[str, type]:
    """Where the field lies in a point, and the type of its values."""
    if name in BUILT_IN:
        return name, str
    declared = config.filter_types
    if name not in declared:
        raise ConfigError(
            f"index {config.index!r} counts no field {name!r}{suggest(name, (*BUILT_IN, *declared))}; it counts "
            f"{', '.join((*BUILT_IN, *(field for field, kind in declared.items() if kind in TYPES)))}"
        )
    if declared[name] not in TYPES:
        raise ConfigError(
            f"index {config.index!r} cannot count the values of {name!r} ({declared[name]}): only of keyword, "
            "integer and boolean fields; filter by a range instead"
        )
    return meta_path(name), TYPES[declared[name]]

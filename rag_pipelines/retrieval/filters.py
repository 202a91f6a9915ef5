"""User filters: `field=value` on what the index declares, and a clear error for anything else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rag_pipelines.config.load import suggest
from rag_pipelines.config.models import IndexConfig
from rag_pipelines.core.errors import ConfigError
from rag_pipelines.core.filters import All, Condition, Match, MatchAny

BUILT_IN = ("source", "doc_id", "uri", "media_type", "language")
Value = str | int | bool


def filter_condition(filters: Mapping[str, Value | Sequence[Value]], config: IndexConfig) -> Condition:
    """Every field must match; a list matches any of its values. Raises ConfigError for an unknown field."""
    allowed = (*BUILT_IN, *config.filter_fields)
    conditions: list[Condition] = []
    for field, value in filters.items():
        if field not in allowed:
            raise ConfigError(
                f"index {config.index!r} has no filter field {field!r}{suggest(field, allowed)}; metadata keys "
                "become filter fields through filter_fields in the index's YAML"
            )
        path = field if field in BUILT_IN else f"meta.{field}"
        if isinstance(value, (str, int, bool)):
            conditions.append(Match(path, value))
        else:
            conditions.append(MatchAny(path, tuple(str(part) for part in value)))
    return All(tuple(conditions))

"""User filters: `field=value` on what the index declares, and a clear error for anything else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rag_pipelines.config.load import suggest
from rag_pipelines.config.models import IndexConfig
from rag_pipelines.core.errors import ConfigError
from rag_pipelines.core.filters import All, AnyOf, Condition, Match, MatchAny
from rag_pipelines.index.points import meta_path

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
        path = field if field in BUILT_IN else meta_path(field)
        if isinstance(value, (str, int)):
            conditions.append(Match(path, value))
        else:
            conditions.append(_any_of(path, value))
    return All(tuple(conditions))


def _any_of(path: str, values: Sequence[Value]) -> Condition:
    """Values keep their types: the year 2024 is another value than the text 2024."""
    texts = tuple(value for value in values if isinstance(value, str))
    numbers = tuple(value for value in values if isinstance(value, int) and not isinstance(value, bool))
    flags = tuple(dict.fromkeys(value for value in values if isinstance(value, bool)))
    parts: list[Condition] = [Match(path, flag) for flag in flags]
    if texts:
        parts.append(MatchAny(path, texts))
    if numbers:
        parts.append(MatchAny(path, numbers))
    return parts[0] if len(parts) == 1 else AnyOf(tuple(parts))

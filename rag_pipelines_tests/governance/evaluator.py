"""What a filter means, said in Python: the oracle that rights are checked with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rag_pipelines.core.filters import (
    All,
    AnyOf,
    Condition,
    DateRange,
    Exists,
    HasId,
    Match,
    MatchAny,
    Not,
    Range,
)


def holds(condition: Condition, payload: Mapping[str, Any]) -> bool:  # noqa: PLR0911
    """Whether a point with this payload passes."""
    match condition:
        case All(conditions):
            return all(holds(part, payload) for part in conditions)
        case AnyOf(conditions):
            return any(holds(part, payload) for part in conditions)
        case Not(inner):
            return not holds(inner, payload)
        case Match(field, value):
            return any(_same(value, found) for found in _values(payload, field))
        case MatchAny(field, values):
            return any(_same(value, found) for value in values for found in _values(payload, field))
        case Range(field, gt, gte, lt, lte):
            return any(
                (gt is None or found > gt)
                and (gte is None or found >= gte)
                and (lt is None or found < lt)
                and (lte is None or found <= lte)
                for found in _values(payload, field)
            )
        case Exists(field):
            return bool(_values(payload, field))
        case DateRange() | HasId():
            raise NotImplementedError(condition)


def _values(payload: Mapping[str, Any], field: str) -> list[Any]:
    found: Any = payload
    for part in field.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    if found is None:
        return []
    return list(found) if isinstance(found, (list, tuple)) else [found]


def _same(wanted: object, found: object) -> bool:
    return type(wanted) is type(found) and wanted == found

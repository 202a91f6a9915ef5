"""What a condition means, in plain Python: the reference that every engine is compared with."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
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


def matches(condition: Condition, point_id: str, payload: Mapping[str, Any]) -> bool:
    """Whether the point fulfils the condition."""
    match condition:
        case Match(field, value):
            result = any(_same(found, value) for found in values(payload, field))
        case MatchAny(field, wanted):
            result = any(_same(found, value) for found in values(payload, field) for value in wanted)
        case Range(field, gt, gte, lt, lte):
            numbers = [v for v in values(payload, field) if type(v) in (int, float)]
            result = any(
                (gt is None or n > gt)
                and (gte is None or n >= gte)
                and (lt is None or n < lt)
                and (lte is None or n <= lte)
                for n in numbers
            )
        case DateRange(field, earliest, latest, after, before):
            low = datetime.min.replace(tzinfo=UTC) if earliest is None else _utc(earliest)
            high = datetime.max.replace(tzinfo=UTC) if latest is None else _utc(latest, end=True)
            result = any(
                low <= moment <= high
                and (after is None or moment > _utc(after, end=True))
                and (before is None or moment < _utc(before))
                for moment in map(_utc, (v for v in values(payload, field) if isinstance(v, str)))
            )
        case Exists(field):
            result = any(value is not None for value in values(payload, field))
        case HasId(ids):
            result = point_id in ids
        case Not(inner):
            result = not matches(inner, point_id, payload)
        case All(conditions):
            result = all(matches(c, point_id, payload) for c in conditions)
        case AnyOf(conditions):
            result = any(matches(c, point_id, payload) for c in conditions)
    return result


def values(payload: Mapping[str, Any], field: str) -> list[Any]:
    """The values at a dotted path; a list counts as its members, a missing field as none."""
    found: Any = payload
    for key in field.split("."):
        if not isinstance(found, Mapping) or key not in found:
            return []
        found = found[key]
    return found if isinstance(found, list) else [found]


def _same(found: object, value: object) -> bool:
    return type(found) is type(value) and found == value


def _utc(text: str, *, end: bool = False) -> datetime:
    if end and len(text) == 10:
        text += "T23:59:59.999999"
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

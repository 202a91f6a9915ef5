"""Engine-neutral payload filters; `index/` translates them, `governance/` builds the access part."""

from __future__ import annotations

from dataclasses import dataclass

Scalar = str | int | bool


@dataclass(frozen=True, slots=True)
class Match:
    """The field equals the value, or (for a list field) contains it."""

    field: str
    value: Scalar


@dataclass(frozen=True, slots=True)
class MatchAny:
    """The field equals, or contains, at least one of the values; no values match nothing."""

    field: str
    values: tuple[str, ...] | tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Range:
    """The number lies between the bounds that are given."""

    field: str
    gt: float | None = None
    gte: float | None = None
    lt: float | None = None
    lte: float | None = None


@dataclass(frozen=True, slots=True)
class DateRange:
    """The ISO 8601 date lies between the bounds that are given (ISO strings).

    A bound without a time is its whole day: `gt` begins after it, `lte` ends with it.
    """

    field: str
    gte: str | None = None
    lte: str | None = None
    gt: str | None = None
    lt: str | None = None


@dataclass(frozen=True, slots=True)
class Exists:
    """The field has a value; null and the empty list are none."""

    field: str


@dataclass(frozen=True, slots=True)
class HasId:
    """The point's id is one of these."""

    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The condition does not hold."""

    condition: Condition


@dataclass(frozen=True, slots=True)
class All:
    """Every condition holds; none at all matches everything."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one condition holds; none at all matches nothing."""

    conditions: tuple[Condition, ...]


Condition = Match | MatchAny | Range | DateRange | Exists | HasId | Not | All | AnyOf

EVERYTHING = All(())

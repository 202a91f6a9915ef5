"""User filters: comparisons with what the index declares, by its types, and a clear error for anything else."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from rag_pipelines.config.filtering import FieldType
from rag_pipelines.config.load import suggest
from rag_pipelines.config.models import IndexConfig
from rag_pipelines.core.errors import ConfigError, EngineError
from rag_pipelines.core.filters import All, AnyOf, Condition, DateRange, Exists, Match, MatchAny, Not, Range
from rag_pipelines.index.points import meta_path
from rag_pipelines.index.translate import parse_date

BUILT_IN = ("source", "doc_id", "uri", "media_type", "language")
BOUNDS = ("gt", "gte", "lt", "lte", "from", "to")
OPERATORS: Mapping[FieldType, tuple[str, ...]] = {
    "keyword": ("exists", "not"),
    "boolean": ("exists", "not"),
    "integer": (*BOUNDS[:4], "exists", "not"),
    "float": (*BOUNDS[:4], "exists", "not"),
    "datetime": (*BOUNDS, "exists", "not"),
}
_INT64 = 2**63
_SAME_BOUND = {"from": "gte", "to": "lte"}


@dataclass(frozen=True, slots=True)
class Untyped:
    """A value as a command line gives it: text, read as the type that the field has."""

    text: str


Value = str | int | float | bool | Untyped
Wanted = Value | Sequence[Any] | Mapping[str, Any]
"""A value, a list of which one must match, or an object of operators."""


def filter_condition(filters: Mapping[str, Wanted], config: IndexConfig) -> Condition:
    """Every field must fulfil what is asked of it.

    A document that lacks the field, or has a value of another type there, is matched by `not` and by
    `exists: false` only. Raises ConfigError naming index, field and what it allows.
    """
    declared: dict[str, FieldType] = {**config.filter_types, **dict.fromkeys(BUILT_IN, "keyword")}
    conditions: list[Condition] = []
    for name, wanted in filters.items():
        if name not in declared:
            raise ConfigError(
                f"index {config.index!r} has no filter field {name!r}"
                f"{suggest(name, (*BUILT_IN, *config.filter_types))}; metadata keys become filter fields "
                "through filter_fields in the index's YAML"
            )
        path = name if name in BUILT_IN else meta_path(name)
        conditions += _Field(config.index, name, path, declared[name]).conditions(wanted)
    return All(tuple(conditions))


@dataclass(frozen=True, slots=True)
class _Field:
    index: str
    name: str
    path: str
    type: FieldType

    def conditions(self, wanted: Wanted) -> list[Condition]:
        if not isinstance(wanted, Mapping):
            return [self._any_of(wanted)]
        unknown = [key for key in wanted if key not in OPERATORS[self.type]]
        if unknown:
            hint = ""
            if self.type in ("keyword", "boolean") and unknown[0] in BOUNDS:
                hint = (
                    f"; for ranges declare it as {{field: {self.name}, type: integer, float or datetime}} in "
                    "filter_fields of the index's YAML"
                )
            self._refuse(f"has no operator {unknown[0]!r}", hint)
        if not wanted:
            self._refuse("is compared with nothing")
        found: list[Condition] = []
        if "exists" in wanted:
            found.append(self._exists(wanted["exists"]))
        if "not" in wanted:
            denied = wanted["not"]
            if isinstance(denied, Mapping) and "not" in denied:
                self._refuse("has a not within a not")
            found.append(Not(All(tuple(self.conditions(denied)))))
        bounds = {key: wanted[key] for key in BOUNDS if key in wanted}
        if bounds:
            found.append(self._dates(bounds) if self.type == "datetime" else self._numbers(bounds))
        return found

    def _any_of(self, wanted: Any) -> Condition:
        """Of a list one must match; an empty one matches nothing."""
        single = not isinstance(wanted, (list, tuple))
        parts = self._equal([wanted] if single else list(wanted))
        match parts:
            case [MatchAny(field, (value,))] if single:
                return Match(field, value)
            case [only]:
                return only
        return AnyOf(tuple(parts))

    def _equal(self, values: Sequence[Any]) -> list[Condition]:
        match self.type:
            case "keyword":
                return self._keywords(values)
            case "boolean":
                return [Match(self.path, flag) for flag in _distinct(values, self._flag)]
            case "integer":
                return _some(MatchAny, self.path, _distinct(values, self._whole))
            case "float":
                return [Range(self.path, gte=v, lte=v) for v in _distinct(values, self._number)]
            case "datetime":
                return [DateRange(self.path, gte=v, lte=v) for v in _distinct(values, self._date)]

    def _keywords(self, values: Sequence[Any]) -> list[Condition]:
        """Values keep their types: the year 2024 is another value than the text 2024, unless nobody said which."""
        texts: list[str] = []
        numbers: list[int] = []
        flags: list[bool] = []
        for value in values:
            for read in _readings(value) if isinstance(value, Untyped) else (value,):
                if isinstance(read, bool):
                    flags.append(read)
                elif isinstance(read, int):
                    numbers.append(read)
                elif isinstance(read, str):
                    texts.append(read)
                else:
                    self._refuse(
                        f"cannot equal {read!r}: a keyword is a text, a whole number or a truth value"
                    )
        return [
            *(Match(self.path, flag) for flag in dict.fromkeys(flags)),
            *_some(MatchAny, self.path, tuple(texts)),
            *_some(MatchAny, self.path, tuple(numbers)),
        ]

    def _exists(self, wanted: Any) -> Condition:
        if not isinstance(wanted, bool):
            self._refuse(f"exists is {wanted!r}; write true or false")
        return Exists(self.path) if wanted else Not(Exists(self.path))

    def _numbers(self, bounds: Mapping[str, Any]) -> Condition:
        read: Callable[[Any], float] = self._whole if self.type == "integer" else self._number
        given = {key: read(value) for key, value in bounds.items()}
        self._require_room(given, bounds, step=1 if self.type == "integer" else 0)
        return Range(self.path, **given)

    def _dates(self, bounds: Mapping[str, Any]) -> Condition:
        given: dict[str, str] = {}
        for key, value in bounds.items():
            name = _SAME_BOUND.get(key, key)
            if name in given:
                self._refuse(f"has both {key!r} and {name!r}, which mean the same; keep one")
            given[name] = self._date(value)
        moments = {
            key: parse_date(value, end_of_day=key in ("gt", "lte")).timestamp()
            for key, value in given.items()
        }
        self._require_room(moments, bounds, step=0)
        return DateRange(self.path, **given)

    def _require_room(self, given: Mapping[str, float], bounds: Mapping[str, Any], *, step: int) -> None:
        lowest = max([*_at(given, "gte"), *(low + step for low in _at(given, "gt"))], default=-math.inf)
        highest = min([*_at(given, "lte"), *(high - step for high in _at(given, "lt"))], default=math.inf)
        open_end = not step and lowest in (*_at(given, "gt"), *_at(given, "lt"))
        if lowest > highest or (lowest == highest and open_end):
            shown = ", ".join(f"{key}: {_shown(value)}" for key, value in bounds.items())
            self._refuse(f"is asked for an empty range ({shown}); nothing can lie in it")

    def _whole(self, value: Any) -> int:
        number: Any = value
        if isinstance(value, Untyped):
            number = _parsed(int, value.text)
        if not isinstance(number, int) or isinstance(number, bool) or not -_INT64 <= number < _INT64:
            self._refuse(f"is an integer field, and {_shown(value)} is no whole number of 64 bits")
        return number

    def _number(self, value: Any) -> float:
        number: Any = value
        if isinstance(value, Untyped):
            number = _parsed(float, value.text)
        if isinstance(number, bool) or not isinstance(number, (int, float)) or not -_LARGE < number < _LARGE:
            self._refuse(f"is a float field, and {_shown(value)} is no number")
        return float(number)

    def _flag(self, value: Any) -> bool:
        flag: Any = value
        if isinstance(value, Untyped):
            flag = {"true": True, "false": False}.get(value.text.lower())
        if not isinstance(flag, bool):
            self._refuse(f"is a boolean field, and {_shown(value)} is neither true nor false")
        return flag

    def _date(self, value: Any) -> str:
        text = value.text if isinstance(value, Untyped) else value
        if not isinstance(text, str):
            self._refuse(f"is a datetime field, and {_shown(value)} is no text such as 2026-01-31")
        try:
            parse_date(text)
        except EngineError:
            self._refuse(
                f"is a datetime field, and {text!r} is not an ISO 8601 date; write 2026-01-31 or "
                "2026-01-31T12:00:00Z"
            )
        return text

    def _refuse(self, problem: str, hint: str = "") -> NoReturn:
        allowed = ", ".join(("a value", "a list of values", *OPERATORS[self.type]))
        raise ConfigError(
            f"index {self.index!r}, filter field {self.name!r} ({self.type}): {problem}; allowed: {allowed}{hint}"
        )


_LARGE = 1.7976931348623157e308


def _at(given: Mapping[str, float], key: str) -> list[float]:
    return [given[key]] if key in given else []


def _some(kind: type[MatchAny], path: str, values: tuple[Any, ...]) -> list[Condition]:
    return [kind(path, values)] if values else []


def _distinct(values: Sequence[Any], read: Callable[[Any], Any]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(read(value) for value in values))


def _parsed(kind: Callable[[str], Any], text: str) -> Any:
    try:
        return kind(text)
    except ValueError:
        return None


def _readings(value: Untyped) -> tuple[str | int | bool, ...]:
    """A keyword that may have been meant as a number or a truth value counts as that as well."""
    if value.text in ("true", "false"):
        return value.text, value.text == "true"
    number = _parsed(int, value.text)
    if number is not None and str(number) == value.text and -_INT64 <= number < _INT64:
        return value.text, number
    return (value.text,)


def _shown(value: Any) -> str:
    return repr(value.text if isinstance(value, Untyped) else value)

"""JSON -> the client's types. Fields that a newer service adds are passed over; one that is missing is named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import lru_cache
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

from rag_pipelines.client.errors import UnexpectedResponse

T = TypeVar("T")
PLAIN = {str: str, bool: bool, int: int, float: (int, float)}


def read(kind: type[T], data: object) -> T:
    """`data` as a dataclass. Raises UnexpectedResponse naming the field that does not fit."""
    return cast(T, _value(kind, data, kind.__name__))


def _value(kind: Any, data: object, where: str) -> Any:
    if kind is Any:
        found: Any = data
    elif is_dataclass(kind):
        found = _object(cast(type, kind), data, where)
    elif get_args(kind):
        found = _parts(kind, data, where)
    else:
        found = _checked(data, PLAIN[kind], where)
        if isinstance(data, bool) and kind is not bool:
            raise _unfit(where, data)
    return found


def _parts(kind: Any, data: object, where: str) -> Any:
    """Of a kind that is made of others."""
    kinds = get_args(kind)
    if get_origin(kind) is tuple:
        items = enumerate(_checked(data, list, where))
        return tuple(_value(kinds[0], item, f"{where}[{number}]") for number, item in items)
    if get_origin(kind) is dict:
        named = _checked(data, Mapping, where).items()
        return {str(name): _value(kinds[1], item, f"{where}.{name}") for name, item in named}
    if data is None and type(None) in kinds:
        return None
    fitting = next((option for option in kinds if type(data) is option), kinds[0])
    return _value(fitting, data, where)


def _object(kind: type, data: object, where: str) -> Any:
    found = _checked(data, Mapping, where)
    hints = _hints(kind)
    values = {}
    for field in fields(kind):
        if field.name in found and not (found[field.name] is None and _has_default(field)):
            values[field.name] = _value(hints[field.name], found[field.name], f"{where}.{field.name}")
        elif not _has_default(field):
            raise UnexpectedResponse(f"the service's answer has no {where}.{field.name}")
    return kind(**values)


def _has_default(field: Field[Any]) -> bool:
    return field.default is not MISSING or field.default_factory is not MISSING


def _checked(data: object, kind: Any, where: str) -> Any:
    if not isinstance(data, kind):
        raise _unfit(where, data)
    return data


def _unfit(where: str, data: object) -> UnexpectedResponse:
    return UnexpectedResponse(f"the service's answer has a {type(data).__name__} as {where}")


@lru_cache(maxsize=128)
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)

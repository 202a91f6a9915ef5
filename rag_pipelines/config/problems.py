"""Turns what pydantic found into sentences that name file, line and field and suggest the nearest name."""

from __future__ import annotations

import difflib
import types
from collections.abc import Sequence
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from rag_pipelines.config.files import ConfigFile, Location
from rag_pipelines.core.errors import ConfigError

M = TypeVar("M", bound=BaseModel)
SHOWN = 60


def suggest(name: str, valid: Sequence[str]) -> str:
    """`; did you mean 'x'?`, else the list of what is valid."""
    near = difflib.get_close_matches(name, valid, n=1, cutoff=0.6)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; valid: {', '.join(valid)}" if valid else ""


def validate(file: ConfigFile, model: type[M], data: Any = None, prefix: Location = ()) -> M:
    """The file as a model. Raises one ConfigError that lists every mistake with its line."""
    try:
        return model.model_validate(file.data if data is None else data)
    except ValidationError as error:
        found: dict[str, str] = {}
        for detail in error.errors(include_url=False, include_context=True):
            where, message = _describe(file, model, prefix, detail)
            # A field that may have one of several types fails once for each of them.
            found[where] = f"{found[where]}, or: {message}" if where in found else message
    # Outside the handler: pydantic's error quotes the values, and a secret may be one of them.
    raise ConfigError("\n".join(f"{where}: {message}" for where, message in found.items()))


def problem_at(file: ConfigFile, location: Location, message: str) -> ConfigError:
    """A mistake that only the whole configuration shows."""
    return ConfigError(f"{_where(file, location)}: {message}")


def _where(file: ConfigFile, location: Location) -> str:
    field = ".".join(str(part) for part in location)
    return f"{file.path}:{file.line(location)}: {field}"


def _describe(file: ConfigFile, model: type[BaseModel], prefix: Location, detail: Any) -> tuple[str, str]:
    location: Location = (*prefix, *detail["loc"])
    kind = detail["type"]
    if kind != "missing":
        location = file.present(location) or location
    message = str(detail["msg"]).removeprefix("Value error, ")
    if kind == "extra_forbidden":
        valid = _fields_at(model, detail["loc"][:-1])
        message = f"there is no such field{suggest(str(detail['loc'][-1]), valid)}"
    elif kind == "missing":
        message = "is required and missing"
    elif kind in ("literal_error", "enum"):
        valid = _choices(str(detail.get("ctx", {}).get("expected", "")))
        message = f"{_shown(detail['input'])} is not one of the choices{suggest(str(detail['input']), valid)}"
    elif kind == "string_pattern_mismatch":
        message = _pattern_mismatch(location, detail)
    return _where(file, location or (model.__name__,)), message


def _pattern_mismatch(location: Location, detail: Any) -> str:
    pattern = detail["ctx"]["pattern"]
    if any(str(part).endswith("_env") for part in location):
        return (
            f"must be the NAME of an environment variable ({pattern}), never the secret itself; "
            "set the variable to the secret where the program runs"
        )
    return f"{_shown(detail['input'])} does not match {pattern}"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def _choices(expected: str) -> list[str]:
    return [part.strip(" '") for part in expected.replace(" or ", ", ").split(",") if part.strip(" '")]


def _fields_at(model: type[BaseModel], location: Sequence[str | int]) -> list[str]:
    """Names of the fields of the model nested at the location; empty where it cannot be told."""
    current: type[BaseModel] | None = model
    for part in location:
        if current is None:
            return []
        field = current.model_fields.get(str(part))
        if field is None:
            continue
        current = _model_in(field.annotation)
    return list(current.model_fields) if current is not None else []


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    origin = get_origin(annotation)
    if origin is Literal:
        return None
    if origin in (Union, types.UnionType, dict, tuple, list):
        return next((m for part in get_args(annotation) if (m := _model_in(part)) is not None), None)
    return None

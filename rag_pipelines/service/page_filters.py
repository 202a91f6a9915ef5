"""The filters of an index as fields of a form, and what was filled in as filters of a search."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from fastapi import HTTPException

from rag_pipelines.config.filtering import named_type
from rag_pipelines.config.models import IndexConfig


def filters_of(config: IndexConfig, sent: Mapping[str, str]) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """The filters, and a field of the form for each that the index has. Raises HTTPException 422."""
    filters: dict[str, Any] = {}
    fields = [{"name": "source", "kind": "keyword", "value": sent.get("source", "").strip()}]
    if fields[0]["value"]:
        filters["source"] = fields[0]["value"]
    for declared in config.filter_fields:
        name, kind = named_type(declared)
        value = sent.get(f"f.{name}", "").strip()
        fields.append({"name": f"f.{name}", "kind": str(kind), "value": value})
        if value:
            filters[name] = _typed(name, str(kind), value)
    return filters, fields


def _typed(name: str, kind: str, value: str) -> Any:
    """A keyword may be stored as a number or as true or false, and a form knows texts only: any of them matches."""
    try:
        if kind == "integer":
            return int(value)
        if kind == "float":
            return _near(float(value))
        if kind == "datetime":
            return {"from": value, "to": value}
        if kind == "boolean":
            return {"true": True, "false": False}[value.lower()]
    except (ValueError, KeyError):
        raise HTTPException(422, f"{name}: {value!r} is no {kind}") from None
    return [value, *([int(value)] if value.isdecimal() else []), *_booleans(value)]


def _near(number: float) -> dict[str, float]:
    if not math.isfinite(number):
        raise ValueError("is no number that can be compared with")
    return {"gte": number, "lte": number}


def _booleans(value: str) -> list[bool]:
    return [value.lower() == "true"] if value.lower() in {"true", "false"} else []

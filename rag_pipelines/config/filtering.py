"""Which metadata queries may filter on, and of which type it is."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from rag_pipelines.config.base import Model

FieldType = Literal["keyword", "integer", "float", "boolean", "datetime"]


class FilterField(Model):
    """A metadata key with the type of its values; values of another type are not found by a filter."""

    field: str = Field(min_length=1)
    type: FieldType = Field(description="of the payload index, and of what a query may compare with")


def named_type(declared: str | FilterField) -> tuple[str, FieldType]:
    """The key and its type; a bare name is a keyword."""
    return (declared, "keyword") if isinstance(declared, str) else (declared.field, declared.type)


def _check_fields(declared: tuple[str | FilterField, ...]) -> tuple[str | FilterField, ...]:
    names = [named_type(field)[0] for field in declared]
    for name in names:
        if '"' in name:
            raise ValueError(f"the key {name!r} holds a quotation mark and cannot be filtered on")
        if names.count(name) > 1:
            raise ValueError(f"{name!r} is declared more than once; keep one of them")
    return declared


FilterFields = Annotated[tuple[str | FilterField, ...], AfterValidator(_check_fields)]

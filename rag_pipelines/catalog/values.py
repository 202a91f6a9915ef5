"""Column types for text that comes from outside.

Postgres refuses NUL in text and both databases refuse lone surrogates; sources and documents hold either.
One document must not fail the batch of its neighbours for that, so they are stored as U+FFFD, one for one.
"""

from __future__ import annotations

import math
import re
from typing import Any

import sqlalchemy as sa

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def storable(text: str) -> str:
    """The text with each NUL and lone surrogate replaced by U+FFFD; same length in characters."""
    return text if text.isascii() and "\x00" not in text else _UNSTORABLE.sub("\ufffd", text)


def storable_json(value: Any) -> Any:
    """The value with storable text throughout; NaN and infinities, which JSON lacks, become null."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {storable_json(name): storable_json(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [storable_json(part) for part in value]
    return value


class CleanText(sa.types.TypeDecorator[str]):
    """TEXT that takes every string."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> str | None:
        return None if value is None else storable(value)


class Label(sa.types.TypeDecorator[str]):
    """VARCHAR(length) for what only describes: a longer string is cut, on SQLite as on Postgres."""

    impl = sa.String
    cache_ok = True

    def __init__(self, length: int) -> None:
        super().__init__(length)
        self._length = length

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> str | None:
        return None if value is None else storable(value)[: self._length]


class CleanJson(sa.types.TypeDecorator[Any]):
    """JSON that takes every string and float."""

    impl = sa.JSON
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> Any:
        return storable_json(value)

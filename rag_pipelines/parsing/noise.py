"""What stands in data files and says nothing to a reader: encoded binary data, series of numbers, generated code."""

from __future__ import annotations

import re
from collections.abc import Sequence

_SHORTEST = 160
_DATA_URI = re.compile(r"data:[\w.+/-]{0,100}(?:;[\w=.-]{1,100}){0,5};base64,[\w+/=%-]*+")
_WRAPPED = re.compile(
    r"(?<![\w+/=])(?:[A-Za-z0-9+/]{60,}+\s++){2,}+(?:[A-Za-z0-9+/]++={1,2}|[A-Za-z0-9+/]{60,}+)?"
)
_RUN = re.compile(rf"(?<![\w+/-])[\w+/-]{{{_SHORTEST},}}+={{0,2}}", re.ASCII)
_HEX = re.compile(r"[0-9a-f]+|[0-9A-F]+")
_NUMBER = re.compile(r"[A-Za-z]?[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_MAX_NUMBERS = 16
_LONG_LINE = 1_000


def without_blobs(text: str) -> str:
    """Without data URIs and long runs of base64 or hexadecimal digits; other text is returned as it is."""
    if len(text) < _SHORTEST:
        return text
    if ";base64," in text:
        text = _DATA_URI.sub("", text)
    return _RUN.sub(_unless_encoded, _WRAPPED.sub("", text))


def _unless_encoded(run: re.Match[str]) -> str:
    """Long paths and ruled lines are no encoded data: those mix digits with letters of both cases."""
    start = run[0][:_SHORTEST]
    mixed = any(map(str.isdigit, start)) and any(map(str.isupper, start)) and any(map(str.islower, start))
    return "" if mixed or _HEX.fullmatch(start) else run[0]


def shortened(numbers: Sequence[str], most: int = _MAX_NUMBERS) -> str:
    """The numbers, or of a longer series its beginning and how many there are."""
    if len(numbers) <= most:
        return ", ".join(numbers)
    return f"{', '.join(numbers[: min(most, 4)])} … ({len(numbers):,} numbers)"


def without_series(text: str) -> str:
    """A long list of numbers, such as the outline of a shape, shortened; other text as it is."""
    if len(text) < 2 * _MAX_NUMBERS:
        return text
    tokens = text.replace(",", " ").replace(";", " ").split()
    if len(tokens) <= _MAX_NUMBERS:
        return text
    numbers = [token for token in tokens if _NUMBER.fullmatch(token)]
    return shortened(numbers) if 10 * len(numbers) >= 9 * len(tokens) else text


def is_minified(text: str) -> bool:
    """Whether most of a piece of source code stands in lines that no person writes."""
    if len(text) < 2 * _LONG_LINE:
        return False
    return 2 * sum(len(line) for line in text.split("\n") if len(line) > _LONG_LINE) > len(text)

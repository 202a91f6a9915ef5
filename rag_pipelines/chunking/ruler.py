"""Measures a text in the embedding model's tokens, with positions in characters."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import numpy.typing as npt

LONG_STRETCH = 128
SLICE = 4

Ints = npt.NDArray[np.int64]

_WHITE = np.array([ord(c) for c in map(chr, range(0x3001)) if c.isspace()], dtype=np.uint32)


class Ruler:
    """One text and where its tokens start.

    `units` are what budgets are counted in: the tokens, but a stretch of more than 128 characters that the
    tokenizer made one token of (an unknown word), or none (control characters, blanks), counts one unit for
    every four characters. Otherwise ten megabytes without a space would be one token and so one chunk.
    """

    def __init__(self, text: str, spans: npt.NDArray[np.int32]) -> None:
        self.text = text
        starts = spans[:, 0].astype(np.int64)
        self.tokens: Ints = np.maximum.accumulate(starts) if len(starts) else starts
        self.units: Ints = _slice_long_stretches(self.tokens, len(text))

    def count(self, start: int, end: int) -> int:
        """Units that start in the span."""
        low, high = self.units.searchsorted((start, end))
        return int(high - low)

    def bounds(self, spans: list[tuple[int, int]]) -> list[list[int]]:
        """For each span [first, after last] of the units that start in it."""
        return _bounds(self.units, spans)

    def token_counts(self, spans: list[tuple[int, int]]) -> list[int]:
        """The model's own tokens that start in each span."""
        return [high - low for low, high in _bounds(self.tokens, spans)]

    def trim(self, start: int, end: int) -> tuple[int, int]:
        """The span without white space at either end; empty (start == end) where nothing else is in it."""
        piece = self.text[start:end]
        left = piece.lstrip()
        start = end - len(left)
        return start, start + len(left.rstrip())

    @cached_property
    def _codes(self) -> npt.NDArray[np.uint32]:
        return np.frombuffer(self.text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)

    def word_units(self, low: int, high: int) -> Ints:
        """Which of the units after `low` and before `high` follow white space."""
        units = self.units[low:high]
        fresh = np.diff(units) > 0
        return np.flatnonzero(fresh & np.isin(self._codes[units[1:] - 1], _WHITE)) + low + 1

    def keys(self, positions: Ints) -> npt.NDArray[np.uint64]:
        """A hash of the eight characters from each position on: ranks cuts by content, not by place."""
        last = len(self._codes) - 1
        keys = np.full(len(positions), 0xCBF29CE484222325, dtype=np.uint64)
        for step in range(8):
            keys ^= self._codes[np.minimum(positions + step, last)]
            keys *= np.uint64(0x100000001B3)
        return keys ^ (keys >> np.uint64(29))


def _bounds(starts: Ints, spans: list[tuple[int, int]]) -> list[list[int]]:
    if not spans:
        return []
    bounds: list[list[int]] = starts.searchsorted(np.array(spans, dtype=np.int64)).tolist()
    return bounds


def _slice_long_stretches(tokens: Ints, length: int) -> Ints:
    edges = np.concatenate((np.zeros(1, np.int64), tokens, np.array([length], np.int64)))
    long = np.flatnonzero(np.diff(edges) > LONG_STRETCH)
    if not len(long):
        return tokens
    slices = [np.arange(edges[i] + (SLICE if i else 0), edges[i + 1], SLICE, dtype=np.int64) for i in long]
    return np.sort(np.concatenate((tokens, *slices)))

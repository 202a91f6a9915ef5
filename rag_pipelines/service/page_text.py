"""A document's text in pieces for its page: the cited span marked, and what is withheld told in its place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Piece:
    """Some text, marked or not; or, with `withheld` passages, the place of what is left out."""

    text: str
    marked: bool = False
    withheld: int = 0


def pieces(text: str, span: tuple[int, int], left_out: Sequence[Mapping[str, int]]) -> list[Piece]:
    """The whole text in its order; an empty span marks nothing."""
    gaps = {(gap["start"], gap["end"]): gap["passages"] for gap in left_out}
    bounds = {0, len(text), *span, *(bound for gap in gaps for bound in gap)}
    for start, end in gaps:  # a span that begins or ends inside a gap does not part it
        bounds -= {bound for bound in span if start < bound < end}
    cuts = sorted(bounds)
    found = []
    for start, end in pairwise(cuts):
        withheld = gaps.get((start, end), 0)
        marked = span[0] <= start and end <= span[1] and not withheld
        found.append(Piece("" if withheld else text[start:end], marked, withheld))
    return found

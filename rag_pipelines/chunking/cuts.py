"""Content-defined cut points: where a sequence of atoms is cut depends on what stands near the cut.

Greedy packing would move every later boundary when a paragraph is inserted. Here a cut is *anchored* where
its key is the lowest within a radius, and only the stretch between two anchors is packed, so an edit reaches
no further than the anchors around it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import xxhash

KEY_CHARS = 48
RADIUS = 0.75
"""Of an anchor, in limits: larger fills chunks better, smaller keeps edits more local."""
SLACK = 0.25
"""How far a group may be from the mean size of its stretch: room for choosing a good place."""


class Atom(NamedTuple):
    """A piece that is not cut any more: its span in characters, in units, and how bad a cut before it is (0 best)."""

    start: int
    end: int
    low: int
    high: int
    grade: int

    @property
    def cost(self) -> int:
        """Units in it."""
        return self.high - self.low


Key = tuple[int, int]


def pack(text: str, atoms: Sequence[Atom], limit: int) -> list[tuple[int, int]]:
    """Group consecutive atoms into spans of at most `limit` units; one that costs more is a group of its own."""
    if not atoms:
        return []
    places = [*(atom.low for atom in atoms), atoms[-1].high]
    if places[-1] - places[0] <= limit:
        return [(atoms[0].start, atoms[-1].end)]
    keys = [_key(text, atom) for atom in atoms]
    anchors = [0, *_anchors(places, keys, int(limit * RADIUS)), len(atoms)]
    cuts: list[int] = []
    for low, high in pairwise(anchors):
        cuts.extend(_cut_stretch(places, keys, low, high, limit))
    cuts.append(len(atoms))
    return [(atoms[a].start, atoms[b - 1].end) for a, b in pairwise(cuts)]


def _key(text: str, atom: Atom) -> Key:
    head = text[atom.start : min(atom.end, atom.start + KEY_CHARS)]
    return atom.grade, xxhash.xxh32_intdigest(head.encode("utf-8", "surrogatepass"))


def _anchors(places: Sequence[int], keys: Sequence[Key], radius: int) -> list[int]:
    """Cuts with the lowest key within `radius` on both sides; the two ends count as lower than any."""
    found: list[int] = []
    rising: list[tuple[int, bool]] = []  # lowest so far, each with whether its left side is clear
    for at in range(1, len(keys)):
        while rising and keys[rising[-1][0]] > keys[at]:
            candidate, clear = rising.pop()
            if clear and places[at] - places[candidate] >= radius:
                found.append(candidate)
        left = places[rising[-1][0] if rising else 0]
        rising.append((at, places[at] - left >= radius))
    found.extend(at for at, clear in rising if clear and places[-1] - places[at] >= radius)
    return sorted(found)


def _cut_stretch(places: Sequence[int], keys: Sequence[Key], low: int, high: int, limit: int) -> list[int]:
    """First atoms of the groups between two anchors: as few groups as fit, cut where the key is lowest."""
    cuts = [low]
    while places[high] - places[low] > limit and high - low > 1:
        rest = places[high] - places[low]
        groups = -(-rest // limit)
        least = max(int(rest / groups * (1 - SLACK)), rest - (groups - 1) * limit)
        most = min(int(rest / groups * (1 + SLACK)), limit)
        nearest = bisect_left(places, places[low] + least, low + 1, high)
        furthest = bisect_right(places, places[low] + most, low + 1, high) - 1
        if furthest <= low or nearest > furthest:
            furthest = bisect_right(places, places[low] + limit, low + 1, high) - 1
        if furthest <= low:
            low += 1
        elif nearest > furthest:
            low = furthest
        else:
            low = min(range(nearest, furthest + 1), key=keys.__getitem__)
        cuts.append(low)
    return cuts

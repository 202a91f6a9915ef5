"""Which of several choices no other one beats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def pareto_front(quality: Sequence[float], costs: Mapping[str, Sequence[float]]) -> list[bool]:
    """For each choice whether none is at least as good in everything and better in something.

    `quality` is better high, each list of `costs` better low. Equal choices are all on the front.
    """
    rows = [(-value, *(costs[name][place] for name in costs)) for place, value in enumerate(quality)]
    return [not any(_beats(other, row) for other in rows) for row in rows]


def _beats(other: Sequence[float], row: Sequence[float]) -> bool:
    return all(a <= b for a, b in zip(other, row, strict=True)) and any(
        a < b for a, b in zip(other, row, strict=True)
    )

"""Draws quality against a cost as SVG that stands in the page: no script, readable by a screen reader."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markupsafe import Markup

_WIDTH, _HEIGHT = 720, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 64.0, 700.0, 14.0, 270.0
_TICKS = 4


@dataclass(frozen=True, slots=True)
class Dot:
    """A choice: its number and name in the table beside, what it costs and how good it is."""

    number: int
    name: str
    cost: float
    quality: float
    on_front: bool


def scatter(key: str, cost: str, measure: str, dots: Sequence[Dot]) -> Markup:
    """Cost from 0 to the right, quality upwards; filled dots are on the Pareto front. `cost` names its unit."""
    from markupsafe import Markup

    most = _round_up(max(dot.cost for dot in dots))
    low, high = _range([dot.quality for dot in dots])
    parts = []
    for tick in range(_TICKS + 1):
        share = tick / _TICKS
        x, y = _LEFT + share * (_RIGHT - _LEFT), _BOTTOM - share * (_BOTTOM - _TOP)
        parts.append(
            Markup('<line class="axis" x1="{x}" x2="{x}" y1="{}" y2="{}"/>').format(
                _TOP, _BOTTOM, x=round(x, 1)
            )
            + Markup('<text x="{}" y="{}" text-anchor="middle">{:g}</text>').format(
                round(x, 1), _BOTTOM + 16, share * most
            )
            + Markup('<line class="axis" x1="{}" x2="{}" y1="{y}" y2="{y}"/>').format(
                _LEFT, _RIGHT, y=round(y, 1)
            )
            + Markup('<text x="{}" y="{}" text-anchor="end">{:.3f}</text>\n').format(
                _LEFT - 6, round(y + 4, 1), low + share * (high - low)
            )
        )
    for dot in dots:
        x = round(_LEFT + dot.cost / most * (_RIGHT - _LEFT), 1)
        y = round(_BOTTOM - (dot.quality - low) / (high - low) * (_BOTTOM - _TOP), 1)
        parts.append(
            Markup(
                '<g><title>{}</title><circle class="{}" cx="{}" cy="{}" r="5"/><text x="{}" y="{}">{}</text></g>\n'
            ).format(dot.name, "front" if dot.on_front else "beaten", x, y, x + 7, y - 5, dot.number)
        )
    parts.append(Markup('<text x="{}" y="{}" text-anchor="end">{}</text>').format(_RIGHT, _BOTTOM + 36, cost))
    best = ", ".join(f"{dot.number} ({dot.name})" for dot in dots if dot.on_front)
    return Markup(
        '<svg viewBox="0 0 {} {}" role="img" aria-labelledby="{key}-title {key}-text">\n'
        '<title id="{key}-title">{} against {}</title>\n'
        '<desc id="{key}-text">On the front: {}; the table holds the numbers.</desc>\n{}</svg>'
    ).format(_WIDTH, _HEIGHT, measure, cost, best, Markup("").join(parts), key=key)


def _round_up(value: float) -> float:
    """The next number with one or two digits that looks well at the end of an axis."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if step * power >= value * (1 - 1e-9))


def _range(values: Sequence[float]) -> tuple[float, float]:
    """A little more than the values span, within 0 and 1."""
    low, high = min(values), max(values)
    room = max(0.01, (high - low) * 0.1)
    return max(0.0, low - room), min(1.0, high + room)

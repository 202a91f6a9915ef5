"""A scatter plot as SVG, written by hand: a plotting library would be a dependency for one picture."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

SIZE, MARGIN = 520, 56
Points = Sequence[tuple[float, float]]


def scatter_svg(title: str, x_label: str, y_label: str, points: Points, curves: Sequence[Points] = ()) -> str:
    """Points, each place once, and grey curves in the unit square, with a tick each fifth."""
    side = SIZE - 2 * MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIZE} {SIZE}" font-family="sans-serif" font-size="12">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{SIZE}" height="{SIZE}" fill="white"/>',
        f'<rect x="{MARGIN}" y="{MARGIN}" width="{side}" height="{side}" fill="none" stroke="#444"/>',
        f'<text x="{SIZE / 2}" y="{MARGIN / 2}" text-anchor="middle" font-size="14">{escape(title)}</text>',
        f'<text x="{SIZE / 2}" y="{SIZE - 12}" text-anchor="middle">{escape(x_label)}</text>',
        f'<text x="16" y="{SIZE / 2}" text-anchor="middle" transform="rotate(-90 16 {SIZE / 2})">'
        f"{escape(y_label)}</text>",
    ]
    for tick in range(6):
        x, y = _place(tick / 5, tick / 5)
        parts += [
            f'<text x="{x:.1f}" y="{SIZE - MARGIN + 18}" text-anchor="middle">{tick / 5:.1f}</text>',
            f'<text x="{MARGIN - 8}" y="{y + 4:.1f}" text-anchor="end">{tick / 5:.1f}</text>',
        ]
    for curve in curves:
        path = " ".join("{:.1f},{:.1f}".format(*_place(x, y)) for x, y in curve)
        parts.append(f'<polyline points="{path}" fill="none" stroke="#999" stroke-dasharray="4 3"/>')
    places = dict.fromkeys("{:.1f},{:.1f}".format(*_place(x, y)) for x, y in points)
    parts.append('<g fill="#1f5fa8" fill-opacity="0.45">')
    for left, _, top in (place.partition(",") for place in places):
        parts.append(f'<circle cx="{left}" cy="{top}" r="2.2"/>')
    return "\n".join([*parts, "</g>", "</svg>", ""])


def _place(x: float, y: float) -> tuple[float, float]:
    side = SIZE - 2 * MARGIN
    return MARGIN + x * side, SIZE - MARGIN - y * side

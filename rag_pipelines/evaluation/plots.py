"""Draws a report's plots as SVG that stands in the page: no script, readable by a screen reader."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rag_pipelines.evaluation.significance import Interval

if TYPE_CHECKING:
    from markupsafe import Markup

WIDTH = 720
_LEFT, _RIGHT = 110.0, 696.0
_ROW, _TOP = 28, 8
_TICKS = 5
_BARS_LEFT, _BARS_RIGHT, _BARS_HEIGHT, _BARS_MARGIN = 100, 700, 240, 16


def intervals(measures: Mapping[str, Interval], others: Mapping[str, float] | None = None) -> Markup:
    """A row a measure on a scale from 0 to 1: mean, interval, and the other run's mean as an open square."""
    from markupsafe import Markup

    height = _TOP + _ROW * len(measures) + 8
    parts = [
        Markup('<line class="axis" x1="{0}" x2="{0}" y1="{1}" y2="{2}"/>').format(_x(tick), _TOP, height)
        + Markup('<text x="{}" y="{}" text-anchor="middle">{:.1f}</text>\n').format(
            _x(tick), height + 15, tick
        )
        for tick in (number / _TICKS for number in range(_TICKS + 1))
    ]
    words: list[str] = []
    for row, (name, interval) in enumerate(measures.items()):
        y = _TOP + _ROW * row + 18.0
        word = f"{name} {interval.mean:.3f} ({interval.low:.3f} to {interval.high:.3f})"
        parts.append(
            Markup(
                '<text x="4" y="{}">{}</text>'
                '<line class="mark" x1="{}" x2="{}" y1="{y}" y2="{y}" stroke-width="2"/>'
                '<circle class="mark" cx="{}" cy="{y}" r="4"/>\n'
            ).format(y + 4, name, _x(interval.low), _x(interval.high), _x(interval.mean), y=y)
        )
        if others is not None and name in others:
            x = round(_x(others[name]) - 5, 1)
            parts.append(
                Markup('<rect class="other" x="{}" y="{}" width="10" height="10"/>').format(x, y - 5)
            )
            word += f", the other run {others[name]:.3f}"
        words.append(word)
    return _figure(
        "intervals",
        height + 20,
        "Means and 95% intervals of the measures",
        "; ".join([*words, "the table above holds the same numbers"]) + ".",
        parts,
    )


def bars(measure: str, differences: Sequence[float]) -> Markup:
    """A stroke a query from the largest gain to the largest loss, on a scale of the largest of both."""
    from markupsafe import Markup

    ordered = sorted(differences, reverse=True)
    largest = max((abs(value) for value in ordered), default=0.0) or 1.0
    middle = _BARS_HEIGHT / 2
    reach = middle - _BARS_MARGIN
    parts = [
        Markup('<line class="axis" x1="{}" x2="{}" y1="{y}" y2="{y}"/>').format(_BARS_LEFT, _BARS_RIGHT, y=y)
        + Markup('<text x="{}" y="{}" text-anchor="end">{}</text>\n').format(_BARS_LEFT - 8, y + 4, label)
        for y, label in (
            (_BARS_MARGIN, f"+{largest:.2f}"),
            (middle, "0"),
            (_BARS_HEIGHT - _BARS_MARGIN, f"-{largest:.2f}"),
        )
    ]
    step = (_BARS_RIGHT - _BARS_LEFT) / max(1, len(ordered))
    strokes: dict[str, list[str]] = {"win": [], "loss": []}
    for position, value in enumerate(ordered):
        if value:
            x = _BARS_LEFT + (position + 0.5) * step
            end = middle - value / largest * reach
            strokes["win" if value > 0 else "loss"].append(f"M{x:.1f} {middle:g}V{end:.1f}")
    thickness = round(min(12.0, max(0.6, step * 0.8)), 2)
    parts += [
        Markup('<path class="{}" d="{}" stroke-width="{}"/>').format(name, "".join(drawn), thickness)
        for name, drawn in strokes.items()
        if drawn
    ]
    wins, losses = len(strokes["win"]), len(strokes["loss"])
    return _figure(
        "bars",
        _BARS_HEIGHT,
        f"Difference in {measure} of every query, sorted",
        f"This run is better on {wins} queries, worse on {losses}, "
        f"and equal on {len(ordered) - wins - losses}.",
        parts,
    )


def _x(value: float) -> float:
    return round(_LEFT + min(1.0, max(0.0, value)) * (_RIGHT - _LEFT), 1)


def _figure(name: str, height: float, title: str, description: str, parts: Sequence[Markup]) -> Markup:
    from markupsafe import Markup

    return Markup(
        '<svg viewBox="0 0 {width} {height:g}" role="img" aria-labelledby="{name}-title {name}-text">\n'
        '<title id="{name}-title">{title}</title>\n<desc id="{name}-text">{description}</desc>\n{body}</svg>'
    ).format(
        width=WIDTH,
        height=height,
        name=name,
        title=title,
        description=description,
        body=Markup("").join(parts),
    )

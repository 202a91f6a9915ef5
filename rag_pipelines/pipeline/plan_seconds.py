"""How long the stages take on this machine, by what past runs recorded of themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rag_pipelines.catalog import planning
from rag_pipelines.catalog.store import Catalog

AMOUNTS: dict[str, tuple[str, ...]] = {
    "list": ("listed",),
    "parse": ("fetched",),
    "chunk": ("chunked",),
    "embed": ("embedded",),
    "stage": ("points_added", "points_removed"),
    "publish": ("published_chunks",),
}
"""What the time of a stage is in proportion to, beside a fixed start."""

DEFAULTS: dict[str, tuple[float, float]] = {
    "list": (50.0, 0.3),
    "parse": (500.0, 8.0),
    "chunk": (50.0, 6.0),
    "embed": (1000.0, 12.0),
    "stage": (200.0, 1.5),
    "publish": (300.0, 0.5),
}
"""Milliseconds (fixed, each) of a machine with two cores, until there is a run to learn from."""


def estimate_seconds(catalog: Catalog, amounts: Mapping[str, float]) -> tuple[dict[str, float], bool]:
    """Seconds of each stage with something to do, and whether every one of them could be learnt from past runs."""
    names = {*(f"ms_{stage}" for stage in AMOUNTS), *(name for each in AMOUNTS.values() for name in each)}
    history = planning.newest_counts(catalog, names)
    seconds: dict[str, float] = {}
    learnt = True
    for stage, amount in amounts.items():
        if amount > 0:
            past = [
                (float(sum(counts.get(name, 0) for name in AMOUNTS[stage])), float(counts[f"ms_{stage}"]))
                for counts in history
                if f"ms_{stage}" in counts
            ]
            fixed, each = fit(past, DEFAULTS[stage][0]) if past else DEFAULTS[stage]
            learnt = learnt and bool(past)
            seconds[stage] = round((fixed + each * amount) / 1000, 3)
    return seconds, learnt


def fit(past: Sequence[tuple[float, float]], start: float) -> tuple[float, float]:
    """(fixed, each) of `milliseconds = fixed + each * amount`, least squares over (amount, milliseconds).

    Where that has no answer that makes sense, as after a single run, the fixed part is taken to be `start`.
    """
    amount = sum(n for n, _ in past) / len(past)
    time = sum(ms for _, ms in past) / len(past)
    spread = sum((n - amount) ** 2 for n, _ in past)
    if spread > 0:
        each = sum((n - amount) * (ms - time) for n, ms in past) / spread
        fixed = time - each * amount
        if each > 0 and fixed >= 0:
            return fixed, each
    fixed = min(start, time)
    return fixed, (time - fixed) / amount if amount > 0 else 0.0

"""Writes a run, or two, as one HTML page that needs nothing else: no script, no font, no other file."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from rag_pipelines.evaluation.measures import judged_units
from rag_pipelines.evaluation.plots import bars, intervals
from rag_pipelines.evaluation.runs import PassageRef, Run, write_whole
from rag_pipelines.evaluation.significance import (
    RESAMPLES,
    holm,
    paired_differences,
    randomisation_test,
)
from rag_pipelines.evaluation.suites import Suite
from rag_pipelines.evaluation.summary import Difference, Slice, Summary, compare, summarise

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATE = "report.html.jinja"
PASSAGES = 5
CHARACTERS = 600
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")

TextOf = Callable[[PassageRef], str | None]


@dataclass(frozen=True, slots=True)
class _Row:
    """One value of a slice in the first measure."""

    value: str
    queries: int
    ours: float
    theirs: float | None
    difference: float | None
    p_holm: float | None


@dataclass(frozen=True, slots=True)
class _Shown:
    """A passage as the page shows it; `text` None where it is no longer stored."""

    ref: PassageRef
    text: str | None


@dataclass(frozen=True, slots=True)
class _Case:
    """One query with what was judged and what each run returned."""

    query_id: str
    text: str
    ours: float
    theirs: float | None
    judged: tuple[tuple[str, int, int | None, int | None], ...]
    lists: tuple[tuple[str, tuple[_Shown, ...]], ...]


def render(
    suite: Suite,
    run: Run,
    against: Run | None = None,
    *,
    summary: Summary | None = None,
    differences: Mapping[str, Difference] | None = None,
    text_of: TextOf,
    queries: int = 10,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> str:
    """The page. `summary` of the run and `differences` from `against` are computed where they are not given.

    Slices are shown as far as the summary has them. `text_of` reads a passage's text again, for the `queries`
    queries that fared worst. Whoever may read the page reads these texts: ask only for what its readers may
    see. Raises ConfigError where the runs are not of the same suite.
    """
    measure = run.measures[0]
    if summary is None:
        summary = summarise(suite, run, seed=seed, resamples=resamples)
    other = None if against is None else summarise(suite, against, seed=seed, resamples=resamples)
    if against is not None and differences is None:
        differences = compare(run, against, seed=seed, resamples=resamples)
    paired = None
    if against is not None and measure in against.measures:
        paired = paired_differences(run.values(measure), against.values(measure))
    template = template_environment().from_string(
        resources.files("rag_pipelines.evaluation").joinpath(TEMPLATE).read_text(encoding="utf-8")
    )
    page = template.render(
        suite=suite,
        run=run,
        against=against,
        summary=summary,
        other=other,
        differences=differences,
        measure=measure,
        interval_plot=intervals(
            summary.measures,
            None if other is None else {name: interval.mean for name, interval in other.measures.items()},
        ),
        bar_plot=None if paired is None else bars(measure, list(paired.values())),
        slices=_slice_tables(summary, run, against if paired else None, measure, seed, resamples),
        cases=_cases(suite, run, against, paired, text_of, queries),
    )
    return printable(page)


def template_environment() -> Environment:
    """What pages are rendered with: everything escaped, and nothing missing without an error."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"p": _p_value, "signed": _signed}
    return environment


def printable(page: str) -> str:
    """The page without the characters that no browser shows and no file should hold."""
    return _CONTROL.sub("\ufffd", page)


def write_report(path: Path, html: str) -> None:
    """Write the page, all of it or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, html.encode())


def _p_value(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _signed(value: float) -> str:
    """With its sign, which a zero that rounding left below 0 must not have."""
    return f"{round(value, 4) + 0.0:+.4f}"


def _slice_tables(
    summary: Summary, run: Run, against: Run | None, measure: str, seed: int, resamples: int
) -> dict[str, list[_Row]]:
    """By slice, its values; p adjusted for the values of the slice."""
    tables: dict[str, list[_Row]] = {}
    by_name: dict[str, list[Slice]] = {}
    for one in summary.slices:
        by_name.setdefault(one.name, []).append(one)
    for name, values in by_name.items():
        theirs: list[float | None] = [None] * len(values)
        adjusted: list[float | None] = [None] * len(values)
        if against is not None:
            ours_of, theirs_of = run.values(measure), against.values(measure)
            tests = [
                randomisation_test(
                    [ours_of[query_id] for query_id in one.query_ids],
                    [theirs_of[query_id] for query_id in one.query_ids],
                    resamples=resamples,
                    seed=seed,
                )
                for one in values
            ]
            theirs = [
                one.measures[measure].mean - test.difference for one, test in zip(values, tests, strict=True)
            ]
            adjusted = list(holm([test.p_value for test in tests]))
        tables[name] = [
            _Row(
                one.value,
                len(one.query_ids),
                one.measures[measure].mean,
                mean,
                None if mean is None else one.measures[measure].mean - mean,
                p_holm,
            )
            for one, mean, p_holm in zip(values, theirs, adjusted, strict=True)
        ]
    return tables


def _cases(
    suite: Suite,
    run: Run,
    against: Run | None,
    paired: Mapping[str, float] | None,
    text_of: TextOf,
    count: int,
) -> list[_Case]:
    """Against another run the queries that lost most; else those that measure lowest, of equal ones by id."""
    measure = run.measures[0]
    values = run.values(measure)
    others = {} if against is None or paired is None else against.values(measure)
    if paired is not None:
        worst = [
            query_id
            for query_id in sorted(paired, key=lambda one: (paired[one], one))
            if paired[query_id] < 0
        ]
    else:
        worst = [
            query_id
            for query_id in sorted(values, key=lambda one: (values[one], one))
            if values[query_id] < 1
        ]
    runs = [("This run", run)] + ([] if against is None else [("Other run", against)])
    cases: list[_Case] = []
    for query_id in worst[:count]:
        places = [
            {place.unit: number for number, place in enumerate(one.places.get(query_id, ()), 1)}
            for _, one in runs
        ]
        cases.append(
            _Case(
                query_id=query_id,
                text=suite.queries[query_id].text,
                ours=values[query_id],
                theirs=others.get(query_id),
                judged=tuple(
                    (unit, grade, places[0].get(unit), places[-1].get(unit))
                    for unit, grade in judged_units(suite, query_id).items()
                    if grade > 0
                ),
                lists=tuple((name, _shown(one.queries[query_id].passages, text_of)) for name, one in runs),
            )
        )
    return cases


def _shown(passages: Sequence[PassageRef], text_of: TextOf) -> tuple[_Shown, ...]:
    shown = []
    for ref in passages[:PASSAGES]:
        text = text_of(ref)
        if text is not None and len(text) > CHARACTERS:
            text = text[:CHARACTERS] + "…"
        shown.append(_Shown(ref, text))
    return tuple(shown)

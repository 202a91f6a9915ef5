"""What a run says as a whole and by slice, and how two runs of one suite differ."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from rag_pipelines.core.errors import ConfigError
from rag_pipelines.evaluation.abstention import Abstention, abstention
from rag_pipelines.evaluation.running import check_run_of
from rag_pipelines.evaluation.runs import Run
from rag_pipelines.evaluation.significance import (
    RESAMPLES,
    Alternative,
    Interval,
    holm,
    interval_of_mean,
    paired_differences,
    randomisation_test,
)
from rag_pipelines.evaluation.suites import DOCUMENT_SLICES, IndexDocument, Suite, name_of

SIGNIFICANT = 0.05
UNKNOWN = "(unknown)"
_EQUAL = 1e-9

Slices = Mapping[str, Mapping[str, tuple[str, ...]]]
"""Name of a slice -> its values -> ids of the queries that belong to each."""


@dataclass(frozen=True, slots=True)
class Slice:
    """The measures of the queries with one value; a query of several values is in the slice of each."""

    name: str
    value: str
    query_ids: tuple[str, ...]
    measures: Mapping[str, Interval]


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds of a search."""

    p50: float
    p95: float


@dataclass(frozen=True, slots=True)
class Cost:
    """What the answers cost: `cpu_ms` is the mean processor time of a search in this process, all threads together.

    What another process computes (a server of the engine or of models) is not in it. `chunks` and `bytes` are of
    the version, see IndexSize. None where the run does not know.
    """

    cpu_ms: float | None
    chunks: int | None
    bytes: int | None


@dataclass(frozen=True, slots=True)
class Summary:
    """A run in numbers: means over `queries` judged queries, of which `empty` got no passage and count as 0.

    `short` of them got all passages they asked for and still fewer documents than a measure looks at.
    """

    suite: str
    label: str
    queries: int
    empty: int
    short: int
    measures: Mapping[str, Interval]
    slices: tuple[Slice, ...]
    latency: Latency
    cost: Cost
    abstention: Abstention | None

    def as_json(self) -> dict[str, Any]:
        """Values that json.dumps takes; a slice has the number of its queries in place of their ids."""
        data = asdict(self)
        for row in data["slices"]:
            row["queries"] = len(row.pop("query_ids"))
        return data


@dataclass(frozen=True, slots=True)
class Difference:
    """One measure of two runs; `interval` is of the paired difference ours - theirs, `p_holm` adjusted p."""

    measure: str
    ours: float
    theirs: float
    interval: Interval
    p_value: float
    p_holm: float
    wins: int
    losses: int
    ties: int

    @property
    def verdict(self) -> str:
        """`better` or `worse` where the adjusted p is below 0.05."""
        if self.p_holm >= SIGNIFICANT:
            return "no significant difference"
        return "better" if self.interval.mean > 0 else "worse"


def slices_of(suite: Suite, documents: Iterable[IndexDocument] = ()) -> dict[str, dict[str, tuple[str, ...]]]:
    """The judged queries by every slice the suite asks for.

    A query is where its relevant documents are, in several slices where they differ; for a key of the
    queries' metadata it is where that says.
    """
    wanted = [name for name in suite.config.slices if name in DOCUMENT_SLICES]
    values: dict[str, dict[str, set[str]]] = {name: {} for name in wanted}
    for document in documents if wanted else ():
        judged = name_of(suite.config, document)
        if judged is not None:
            for name in wanted:
                found = getattr(document, name)
                values[name].setdefault(judged, set()).add(UNKNOWN if found is None else str(found))
    slices: dict[str, dict[str, tuple[str, ...]]] = {}
    for name in suite.config.slices:
        members: dict[str, list[str]] = {}
        for query_id in suite.judged:
            if name in values:
                relevant = [
                    judgement.document for judgement in suite.judgements[query_id] if judgement.grade > 0
                ]
                of_query = {value for document in relevant for value in values[name].get(document, {UNKNOWN})}
            else:
                of_query = _metadata_values(suite.queries[query_id].metadata.get(name))
            for value in of_query:
                members.setdefault(value, []).append(query_id)
        slices[name] = {value: tuple(members[value]) for value in sorted(members)}
    return slices


def _metadata_values(value: Any) -> set[str]:
    if isinstance(value, list) and value:
        return {found for item in value for found in _metadata_values(item)}
    if value is None or value in ("", []):
        return {UNKNOWN}
    return {str(value).lower() if isinstance(value, bool) else str(value)}


def summarise(
    suite: Suite, run: Run, slices: Slices | None = None, *, seed: int = 0, resamples: int = RESAMPLES
) -> Summary:
    """The run in numbers, with 95% bootstrap intervals over its queries.

    Raises ConfigError where the run is of other content of the suite.
    """
    check_run_of(suite, run)

    def intervals(query_ids: Collection[str] | None) -> dict[str, Interval]:
        found = {}
        for measure in run.measures:
            values = run.values(measure)
            wanted = sorted(values if query_ids is None else query_ids)
            found[measure] = interval_of_mean(
                [values[query_id] for query_id in wanted], resamples=resamples, seed=seed
            )
        return found

    judged = [query for query in run.queries.values() if query.measures]
    times = [query.ms for query in run.queries.values()]
    return Summary(
        suite=run.suite,
        label=run.label,
        queries=len(judged),
        empty=sum(query.returned == 0 for query in judged),
        short=len(run.short),
        measures=intervals(None),
        slices=tuple(
            Slice(name, value, query_ids, intervals(query_ids))
            for name, by_value in (slices or {}).items()
            for value, query_ids in by_value.items()
        ),
        latency=Latency(percentile(times, 50), percentile(times, 95)),
        cost=cost_of(run),
        abstention=abstention(suite, run),
    )


def cost_of(run: Run) -> Cost:
    """As far as the run knows it."""
    known = [query.cpu_ms for query in run.queries.values() if query.cpu_ms is not None]
    return Cost(
        cpu_ms=float(np.mean(known)) if known else None,
        chunks=None if run.size is None else run.size.chunks,
        bytes=None if run.size is None else run.size.bytes,
    )


def compare(
    ours: Run,
    theirs: Run,
    query_ids: Collection[str] | None = None,
    *,
    alternative: Alternative = "two-sided",
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> dict[str, Difference]:
    """Every measure that both runs have, paired by query, in our order; p adjusted for all of them.

    `query_ids` compares a slice. Raises ConfigError where the runs are not of the same suite.
    """
    check_same_suite(ours, theirs)
    measures = [measure for measure in ours.measures if measure in theirs.measures]
    rows: list[tuple[Interval, float, list[float]]] = []
    for measure in measures:
        left, right = ours.values(measure), theirs.values(measure)
        differences = paired_differences(left, right, query_ids)
        ordered = list(differences.values())
        test = randomisation_test(
            [left[query_id] for query_id in differences],
            [right[query_id] for query_id in differences],
            alternative=alternative,
            resamples=resamples,
            seed=seed,
        )
        rows.append((interval_of_mean(ordered, resamples=resamples, seed=seed), test.p_value, ordered))
    adjusted = holm([p_value for _, p_value, _ in rows])
    found: dict[str, Difference] = {}
    for measure, (interval, p_value, ordered), p_holm in zip(measures, rows, adjusted, strict=True):
        wins, losses = sum(d > _EQUAL for d in ordered), sum(d < -_EQUAL for d in ordered)
        found[measure] = Difference(
            measure=measure,
            ours=_mean(ours, measure, query_ids),
            theirs=_mean(theirs, measure, query_ids),
            interval=interval,
            p_value=p_value,
            p_holm=p_holm,
            wins=wins,
            losses=losses,
            ties=len(ordered) - wins - losses,
        )
    return found


def _mean(run: Run, measure: str, query_ids: Collection[str] | None) -> float:
    values = run.values(measure)
    return float(
        np.mean([values[query_id] for query_id in (values if query_ids is None else set(query_ids))])
    )


def check_same_suite(ours: Run, theirs: Run) -> None:
    """Raises ConfigError where the two runs cannot be compared query by query."""
    problem = None
    if ours.suite != theirs.suite:
        problem = f"one is of suite {ours.suite}, the other of {theirs.suite}"
    elif ours.suite_hash != theirs.suite_hash:
        problem = f"the content of suite {ours.suite} changed between them"
    elif ours.level != theirs.level:
        problem = f"one is judged by {ours.level}, the other by {theirs.level}"
    elif not set(ours.measures) & set(theirs.measures):
        problem = "they have no measure in common"
    if problem:
        raise ConfigError(
            f"{ours.label} and {theirs.label} cannot be compared: {problem}; run the suite on both again"
        )


def percentile(values: Sequence[float], percent: float) -> float:
    """Interpolated linearly between the two nearest values; 0 of none."""
    return float(np.percentile(values, percent)) if len(values) else 0.0

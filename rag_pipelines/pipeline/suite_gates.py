"""Asks the candidate, and the version it would replace, the questions of the index's suites."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rag_pipelines.config.gates import LatencyGate, NotWorse, SuiteGate
from rag_pipelines.core.checks import Check
from rag_pipelines.core.errors import ConfigError
from rag_pipelines.core.ports import Progress
from rag_pipelines.core.types import OPERATOR
from rag_pipelines.evaluation.asking import ask_index, documents_of
from rag_pipelines.evaluation.records import store_run
from rag_pipelines.evaluation.runs import Run
from rag_pipelines.evaluation.significance import holm
from rag_pipelines.evaluation.suites import Suite, named_suite
from rag_pipelines.evaluation.summary import Slices, compare, percentile, slices_of, summarise
from rag_pipelines.pipeline.candidates import Candidate, opened_searcher
from rag_pipelines.pipeline.workspace import Workspace

SHOWN = 20


def suite_name(suite: str) -> str:
    """What the check of a suite is called."""
    return f"suite_{suite}"


def load_suites(workspace: Workspace, gates: Sequence[SuiteGate]) -> list[Suite]:
    """The suites of the gates. Raises ConfigError where one is missing, or lacks a measure that is gated."""
    configs = workspace.environment.configs
    found = []
    for gate in gates:
        suite = named_suite(configs, gate.suite)
        wanted = {*gate.floors, *(gate.not_worse.measures if gate.not_worse else ())}
        missing = sorted(wanted - set(suite.config.measures))
        if missing:
            raise ConfigError(
                f"a gate is on {', '.join(missing)} of suite {gate.suite}, which measures "
                f"{', '.join(suite.config.measures)}; add it to `measures` in the suite's YAML"
            )
        found.append(suite)
    return found


def suite_checks(
    workspace: Workspace,
    candidate: Candidate,
    gates: Sequence[SuiteGate],
    latency: LatencyGate | None,
    progress: Progress,
) -> Iterator[Check]:
    """One check a suite, and one of the time that all of their questions took."""
    times: list[float] = []
    for gate, suite in zip(gates, load_suites(workspace, gates), strict=True):
        ours = ask_index(suite, candidate.searcher, OPERATOR, candidate.number, progress)
        store_run(workspace.catalog, workspace.environment.home, ours)
        times += [query.ms for query in ours.queries.values()]
        theirs = None
        if gate.not_worse is not None and candidate.live is not None:
            with opened_searcher(workspace, candidate.index) as published:
                theirs = ask_index(suite, published, OPERATOR, candidate.live.version, progress)
        slices = slices_of(suite, documents_of(candidate.searcher, candidate.number))
        yield _suite_check(gate, suite, ours, theirs, slices)
    if latency is not None:
        yield latency_check(latency, times)


def _suite_check(gate: SuiteGate, suite: Suite, ours: Run, theirs: Run | None, slices: Slices) -> Check:
    summary = summarise(suite, ours)
    low = [
        f"{measure} is {summary.measures[measure].mean:.3f}, below its floor of {floor:g}"
        for measure, floor in gate.floors.items()
        if summary.measures[measure].mean < floor
    ]
    losses = find_losses(gate.not_worse, ours, theirs, slices) if gate.not_worse and theirs else []
    worse = [loss.sentence() for loss in losses if loss.significant]
    problems = [*low, *worse]
    reason = f"suite {suite.name}: {'; '.join(problems)}" if problems else ""
    metadata: dict[str, Any] = {
        "queries": summary.queries,
        "measures": {name: asdict(found) for name, found in summary.measures.items()},
        "floors": dict(gate.floors),
        "p50_ms": round(summary.latency.p50, 1),
        "p95_ms": round(summary.latency.p95, 1),
        "compared_with": theirs.version if theirs else None,
        "comparisons": [loss.as_json() for loss in losses[:SHOWN]],
    }
    return Check(suite_name(suite.name), not problems, reason, metadata=metadata)


@dataclass(frozen=True, slots=True)
class Comparison:
    """One measure of candidate and live version, over a whole suite or one slice of it."""

    measure: str
    where: str
    queries: int
    ours: float
    theirs: float
    p_value: float
    significant: bool

    def sentence(self) -> str:
        """What was lost, where, and how certain that is."""
        place = f" on {self.where}" if self.where else ""
        return (
            f"{self.measure}{place} fell from {self.theirs:.3f} to {self.ours:.3f} over {self.queries} questions "
            f"(p {self.p_value:.3f})"
        )

    def as_json(self) -> dict[str, Any]:
        """For the verdict."""
        return asdict(self)


def find_losses(rule: NotWorse, ours: Run, theirs: Run, slices: Slices) -> list[Comparison]:
    """Every comparison the gate asks for, the likeliest losses first; p adjusted for all of them together."""
    groups: dict[str, tuple[str, ...] | None] = {"": None}
    for name, by_value in (slices if rule.slices else {}).items():
        groups |= {
            f"{name} {value}": ids for value, ids in by_value.items() if len(ids) >= rule.least_queries
        }
    rows = []
    for where, ids in groups.items():
        differences = compare(ours, theirs, ids, alternative="less")
        rows += [(where, len(ids) if ids is not None else None, differences[name]) for name in rule.measures]
    adjusted = holm([difference.p_value for _, _, difference in rows])
    found = [
        Comparison(
            difference.measure,
            where,
            count if count is not None else difference.wins + difference.losses + difference.ties,
            difference.ours,
            difference.theirs,
            p_value,
            p_value < rule.alpha and difference.theirs - difference.ours > rule.tolerance,
        )
        for (where, count, difference), p_value in zip(rows, adjusted, strict=True)
    ]
    return sorted(found, key=lambda one: (one.p_value, one.where, one.measure))


def latency_check(gate: LatencyGate, times: Sequence[float]) -> Check:
    """Percentiles of the milliseconds that questions took, against the budget."""
    found: Mapping[str, float] = {"p50_ms": percentile(times, 50), "p95_ms": percentile(times, 95)}
    limits = {name: value for name, value in gate.model_dump().items() if value is not None}
    over = [
        f"{name.removesuffix('_ms')} is {found[name]:.0f} ms, over its budget of {limit:g} ms"
        for name, limit in limits.items()
        if found[name] > limit
    ]
    reason = f"answers take too long: {'; '.join(over)}" if over else ""
    figures = {name: round(value, 1) for name, value in found.items()}
    return Check("latency", not over, reason, metadata={**figures, "questions": len(times), "budget": limits})

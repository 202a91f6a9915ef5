"""Comparing a candidate's answers with those of the live version, on rankings written by hand."""

from __future__ import annotations

import msgspec
import pytest
from pydantic import ValidationError

from rag_pipelines.config.gates import GatesConfig, LatencyGate, NotWorse, SuiteGate
from rag_pipelines.evaluation.runs import QueryRun, Run
from rag_pipelines.pipeline.suite_gates import find_losses, latency_check

BASE = Run(
    "pages", "hash", "knowledge", 1, "", "2026-01-01T00:00:00+00:00", "document", 10, ("RR@10",), {}, {}
)
HALF = tuple(f"q{number:02d}" for number in range(10))
REST = tuple(f"q{number:02d}" for number in range(10, 20))


def run(values: dict[str, float], version: int = 1) -> Run:
    """A run that measured these."""
    queries = {name: QueryRun(1.0, 1, {"RR@10": value}) for name, value in values.items()}
    return msgspec.structs.replace(BASE, queries=queries, version=version)


BEFORE = run(dict.fromkeys(HALF + REST, 1.0))


def test_a_loss_that_no_coin_explains_is_found() -> None:
    after = run({**dict.fromkeys(HALF, 0.5), **dict.fromkeys(REST, 1.0)}, 2)
    (loss,) = find_losses(NotWorse(measures=("RR@10",)), after, BEFORE, {})
    assert (loss.ours, loss.theirs, loss.queries, loss.significant) == (0.75, 1.0, 20, True)
    # Ten losses of the same size: all ten coins have to fall on one side, 1 in 1024.
    assert loss.p_value == pytest.approx(1 / 1024)
    assert loss.sentence() == "RR@10 fell from 1.000 to 0.750 over 20 questions (p 0.001)"


def test_a_few_lost_questions_are_no_proof() -> None:
    after = run({**dict.fromkeys(HALF + REST, 1.0), "q00": 0.0, "q01": 0.0, "q02": 0.0}, 2)
    (loss,) = find_losses(NotWorse(measures=("RR@10",)), after, BEFORE, {})
    assert loss.p_value == pytest.approx(1 / 8)
    assert not loss.significant


def test_what_a_slice_loses_is_found_though_the_whole_gains() -> None:
    before = run({**dict.fromkeys(HALF, 1.0), **dict.fromkeys(REST, 0.1)})
    after = run({**dict.fromkeys(HALF, 0.6), **dict.fromkeys(REST, 1.0)}, 2)
    slices = {"source": {"docs": HALF, "wiki": REST, "mail": HALF[:3]}}
    rule = NotWorse(measures=("RR@10",))
    found = find_losses(rule, after, before, slices)
    assert [(one.where, one.significant) for one in found] == [
        ("source docs", True),
        ("", False),
        ("source wiki", False),
    ]
    # One of three comparisons, so its p counts three times (Holm); three questions are too few to be a slice.
    assert found[0].p_value == pytest.approx(3 / 1024)
    assert [
        one.where for one in find_losses(NotWorse(measures=("RR@10",), slices=False), after, before, slices)
    ] == [""]


def test_a_tolerated_loss_is_accepted_however_certain() -> None:
    after = run(dict.fromkeys(HALF + REST, 0.99), 2)
    (strict,) = find_losses(NotWorse(measures=("RR@10",)), after, BEFORE, {})
    (lenient,) = find_losses(NotWorse(measures=("RR@10",), tolerance=0.02), after, BEFORE, {})
    assert (strict.significant, lenient.significant) == (True, False)


def test_equal_answers_are_never_a_loss() -> None:
    (same,) = find_losses(NotWorse(measures=("RR@10",)), run(dict.fromkeys(HALF + REST, 1.0), 2), BEFORE, {})
    assert (same.p_value, same.significant) == (1.0, False)


def test_the_budget_is_on_percentiles_of_all_questions() -> None:
    times = [10.0] * 95 + [500.0] * 5
    over = latency_check(LatencyGate(p50_ms=20, p95_ms=30), [*times, 500.0])
    assert over.reason == "answers take too long: p95 is 500 ms, over its budget of 30 ms"
    assert latency_check(LatencyGate(p50_ms=20), times).passed


@pytest.mark.parametrize(
    ("gates", "words"),
    [
        ({"suites": [{"suite": "a", "not_worse": None}]}, "has neither floors nor not_worse"),
        ({"suites": [{"suite": "a"}, {"suite": "a"}]}, "suites names a more than once"),
        ({"latency": {"p95_ms": 5}}, "name at least one"),
        ({"suites": [{"suite": "a"}], "latency": {}}, "needs p50_ms or p95_ms"),
        ({"suites": [{"suite": "a", "floors": {"nDCG": 0.5}}]}, "nDCG"),
        ({"suites": [{"suite": "a", "floors": {"nDCG@10": 1.5}}]}, "less than or equal to 1"),
    ],
)
def test_a_gate_that_gates_nothing_is_refused(gates: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        GatesConfig.model_validate(gates)


def test_by_default_a_suite_must_not_get_worse() -> None:
    assert SuiteGate.model_validate({"suite": "a"}).not_worse == NotWorse(measures=("nDCG@10",), slices=True)

"""Rows of stored runs, on both databases."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from rag_pipelines.catalog import evaluations
from rag_pipelines.catalog.evaluation_tables import evaluations as table
from rag_pipelines.catalog.store import Catalog


def row(run: str, minute: int = 0, **values: Any) -> dict[str, Any]:
    return {
        "run": run,
        "suite": "sample",
        "suite_hash": "a" * 64,
        "index_name": "knowledge",
        "version": 3,
        "fingerprint": "f" * 16,
        "started_at": f"2026-11-22T10:{minute:02d}:00+00:00",
        "principal": "ana\x00",
        "queries": 2,
        "measures": {"nDCG@10": {"mean": 0.5, "low": 0.25, "high": float("nan")}},
        "latency": {"p50": 1.5, "p95": 2.5},
        "cost": {"cpu_ms": None, "chunks": 7, "bytes": 70},
        **values,
    }


def save(catalog: Catalog, *rows: dict[str, Any]) -> list[int]:
    with catalog.begin() as tx:
        return [evaluations.save_evaluation(tx, one) for one in rows]


def test_a_run_has_one_row_and_keeps_it(catalog: Catalog) -> None:
    first, second = save(catalog, row("a"), row("b", version=None))
    assert second > first
    assert save(catalog, row("a", queries=9)) == [first]
    found = evaluations.evaluation(catalog, first)
    assert found is not None
    assert (found["run"], found["queries"], found["version"]) == ("a", 2, 3)
    assert found["measures"] == {"nDCG@10": {"mean": 0.5, "low": 0.25, "high": None}}
    assert found["principal"] == "ana\ufffd"
    other = evaluations.evaluation(catalog, second)
    assert other is not None
    assert other["version"] is None
    assert evaluations.evaluation(catalog, second + 1) is None
    assert evaluations.known_runs(catalog, ["a", "c"]) == {"a"}


def test_a_second_row_of_a_run_is_refused_by_the_database(catalog: Catalog) -> None:
    save(catalog, row("a"))
    with pytest.raises(sa.exc.IntegrityError), catalog.begin() as tx:
        tx.execute(sa.insert(table).values(**row("a")))


def test_the_newest_come_first(catalog: Catalog) -> None:
    save(catalog, row("a", 5), row("b", 7), row("c", 6, suite="other"), row("d", 7, index_name="second"))
    assert [one["run"] for one in evaluations.list_evaluations(catalog)] == ["d", "b", "c", "a"]
    assert [one["run"] for one in evaluations.list_evaluations(catalog, limit=2)] == ["d", "b"]
    assert [one["run"] for one in evaluations.list_evaluations(catalog, suite="sample")] == ["d", "b", "a"]
    assert [one["run"] for one in evaluations.list_evaluations(catalog, "sample", "knowledge")] == ["b", "a"]

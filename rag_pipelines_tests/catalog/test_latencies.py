"""How long changes took; every figure is computed by hand here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import sqlalchemy as sa

from rag_pipelines.catalog import latencies
from rag_pipelines.catalog.control_tables import latencies as table
from rag_pipelines.catalog.latencies import DELETE, EDIT, REVOKE, nearest_rank
from rag_pipelines.catalog.store import Catalog, Row
from rag_pipelines_tests.catalog.rows import INDEX, SOURCE, listed, quarantine, refused, save


def at(second: float) -> str:
    return f"2026-01-01T00:{int(second) // 60:02d}:{second % 60:06.3f}+00:00"


def event(doc_id: str, kind: str = EDIT, tick: int = 1, source: str = SOURCE, index: str = INDEX) -> Row:
    row = {"doc_id": doc_id, "source": source, "touched": tick}
    return latencies.event(index, row, kind, at(0), at(10))


def expect(catalog: Catalog, *events: Row) -> None:
    with catalog.begin() as tx:
        latencies.expect(tx, events)


def done(catalog: Catalog) -> set[tuple[str, str]]:
    """What arrived: (doc_id, kind)."""
    with catalog.begin() as tx:
        rows = tx.execute(sa.select(table).where(table.c.effective_at.is_not(None)))
        return {(row.doc_id, row.kind) for row in rows}


def complete(catalog: Catalog, seconds: Mapping[str, float], kind: str = EDIT) -> None:
    with catalog.begin() as tx:
        for doc_id, second in seconds.items():
            tx.execute(
                sa.update(table)
                .where(table.c.doc_id == doc_id, table.c.kind == kind)
                .values(effective_at=at(second))
            )


def test_an_event_waits_until_its_change_has_arrived(catalog: Catalog) -> None:
    expect(catalog, event("a"), event("b", DELETE), event("c", REVOKE), event("d", tick=2))
    expect(catalog, event("e", source="other"), event("f", index="second"))
    assert latencies.latency_summary(catalog, SOURCE) == {}
    with catalog.begin() as tx:
        latencies.arrived(tx, INDEX, SOURCE, 1)
    assert done(catalog) == {("a", EDIT), ("b", DELETE)}
    with catalog.begin() as tx:
        latencies.arrived(tx, INDEX, SOURCE, 2)
    assert done(catalog) == {("a", EDIT), ("b", DELETE), ("d", EDIT)}


def test_an_event_is_expected_once_and_completed_once(catalog: Catalog) -> None:
    expect(catalog, event("a"))
    with catalog.begin() as tx:
        latencies.arrived(tx, INDEX, SOURCE, 1)
    complete(catalog, {"a": 30})
    expect(catalog, event("a"))
    with catalog.begin() as tx:
        latencies.arrived(tx, INDEX, SOURCE, 1)
        latencies.arrived_for(tx, INDEX, ["a"], EDIT)
    assert latencies.latency_summary(catalog, SOURCE)["edit_to_searchable"]["p50"] == 30.0
    expect(catalog, event("a", tick=2))
    assert latencies.latency_summary(catalog, SOURCE)["edit_to_searchable"]["count"] == 1


def test_what_is_quarantined_has_not_arrived(catalog: Catalog) -> None:
    good, bad = listed("a.md"), listed("b.md")
    save(catalog, good, bad)
    expect(catalog, event(good["doc_id"]), event(bad["doc_id"]))
    quarantine(catalog, refused(bad, "parse", "v1"))
    with catalog.begin() as tx:
        latencies.arrived(tx, INDEX, SOURCE, 1)
    assert done(catalog) == {(good["doc_id"], EDIT)}


def test_what_is_applied_in_place_arrives_document_by_document(catalog: Catalog) -> None:
    expect(
        catalog,
        event("a", REVOKE),
        event("a", DELETE),
        event("b", REVOKE),
        event("a", REVOKE, index="second"),
    )
    with catalog.begin() as tx:
        latencies.arrived_for(tx, INDEX, ["a", "unknown"], REVOKE)
    assert done(catalog) == {("a", REVOKE)}
    assert latencies.latency_summary(catalog, SOURCE)["revoke_to_invisible"]["count"] == 1


def test_the_figures_of_a_source(catalog: Catalog) -> None:
    names = [f"doc{number:02d}" for number in range(20)]
    expect(catalog, *(event(name) for name in names), event("gone", DELETE), event("other", source="mail"))
    complete(catalog, {name: 11.0 + number for number, name in enumerate(names)})
    complete(catalog, {"gone": 12.5}, DELETE)
    assert latencies.latency_summary(catalog, SOURCE) == {
        "edit_to_searchable": {
            "p50": 20.0,
            "p95": 29.0,
            "pipeline_p50": 10.0,
            "pipeline_p95": 19.0,
            "count": 20,
        },
        "delete_to_invisible": {
            "p50": 12.5,
            "p95": 12.5,
            "pipeline_p50": 2.5,
            "pipeline_p95": 2.5,
            "count": 1,
        },
    }
    assert latencies.latency_summary(catalog, "mail") == {}


def test_figures_are_of_the_newest_events(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latencies, "WINDOW", 2)
    expect(catalog, *(event(name) for name in "abc"))
    complete(catalog, {"a": 500, "b": 501, "c": 20})
    found = latencies.latency_summary(catalog, SOURCE)["edit_to_searchable"]
    assert (found["p50"], found["p95"], found["count"]) == (500.0, 501.0, 2)


def test_old_events_are_forgotten_and_pending_ones_kept(catalog: Catalog) -> None:
    expect(catalog, *(event(name) for name in "abc"))
    complete(catalog, {"a": 20, "b": 40})
    with catalog.begin() as tx:
        latencies.forget_before(tx, at(30))
        left = {row.doc_id for row in tx.execute(sa.select(table))}
    assert left == {"b", "c"}


@pytest.mark.parametrize(
    ("values", "share", "rank"),
    [
        ([7.0], 0.5, 7.0),
        ([1, 2], 0.5, 1),
        ([1, 2, 3], 0.5, 2),
        ([1, 2, 3], 0.95, 3),
        (range(1, 101), 0.95, 95),
    ],
)
def test_a_nearest_rank(values: Any, share: float, rank: float) -> None:
    assert nearest_rank(list(values), share) == rank

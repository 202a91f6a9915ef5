"""Deletions that wait for a person: one request a source, brought up to date, decided once."""

from __future__ import annotations

import sqlalchemy as sa

from rag_pipelines.catalog import approvals
from rag_pipelines.catalog.control_tables import approvals as table
from rag_pipelines.catalog.store import Catalog, rows_of

HELD = [("id-a", "a.md"), ("id-b", "b.md")]


def hold(catalog: Catalog, source: str, held: list[tuple[str, str]], reason: str = "too many") -> int:
    with catalog.begin() as tx:
        return approvals.hold(tx, source, reason, held)


def statuses(catalog: Catalog) -> list[tuple[str, str, str | None]]:
    with catalog.begin() as tx:
        rows = rows_of(tx.execute(sa.select(table).order_by(table.c.id)))
    return [(row["source"], row["status"], row["decided_by"]) for row in rows]


def test_a_request_lists_what_it_is_about(catalog: Catalog) -> None:
    assert approvals.pending_approvals(catalog) == []
    number = hold(catalog, "handbook", [HELD[1], HELD[0]])
    [found] = approvals.pending_approvals(catalog)
    assert (found["id"], found["source"], found["kind"]) == (number, "handbook", "deletions")
    assert (found["status"], found["reason"]) == ("pending", "too many")
    assert (found["count"], found["documents"]) == (2, ["a.md", "b.md"])
    assert found["requested_at"].startswith("20")
    assert (found["decided_at"], found["decided_by"]) == (None, None)


def test_a_second_listing_brings_the_waiting_request_up_to_date(catalog: Catalog) -> None:
    first = hold(catalog, "handbook", HELD)
    [before] = approvals.pending_approvals(catalog)
    assert hold(catalog, "handbook", [HELD[1], ("id-c", "c.md")], "more") == first
    [found] = approvals.pending_approvals(catalog)
    assert (found["reason"], found["documents"]) == ("more", ["b.md", "c.md"])
    assert found["requested_at"] == before["requested_at"]


def test_every_source_has_a_request_of_its_own(catalog: Catalog) -> None:
    one, other = hold(catalog, "handbook", HELD[:1]), hold(catalog, "mail", HELD[1:])
    assert one != other
    assert [row["source"] for row in approvals.pending_approvals(catalog)] == ["handbook", "mail"]
    [only] = approvals.pending_approvals(catalog, "mail")
    assert (only["id"], only["documents"]) == (other, ["b.md"])
    with catalog.begin() as tx:
        approvals.withdraw(tx, "handbook")
    assert statuses(catalog) == [("handbook", "withdrawn", None), ("mail", "pending", None)]


def test_approving_returns_the_documents_and_ends_the_wait(catalog: Catalog) -> None:
    number = hold(catalog, "handbook", HELD)
    hold(catalog, "mail", [("id-z", "z.eml")])
    with catalog.begin() as tx:
        assert sorted(approvals.decide(tx, number, "ana")) == ["id-a", "id-b"]
    assert statuses(catalog) == [("handbook", "approved", "ana"), ("mail", "pending", None)]
    with catalog.begin() as tx:
        approvals.withdraw(tx, "handbook")
    assert statuses(catalog)[0] == ("handbook", "approved", "ana"), "a decision is not taken back"
    assert hold(catalog, "handbook", HELD) > number


def test_of_thousands_of_documents_the_first_are_shown_and_all_are_counted(catalog: Catalog) -> None:
    many = [(f"id-{number}", f"{number:05d}.md") for number in range(2_300)]
    number = hold(catalog, "handbook", many)
    [found] = approvals.pending_approvals(catalog)
    assert found["count"] == 2_300
    assert found["documents"] == [f"{number:05d}.md" for number in range(1_000)]
    hold(catalog, "handbook", many[1_200:])
    [found] = approvals.pending_approvals(catalog)
    assert (found["count"], found["documents"][0]) == (1_100, "01200.md")
    with catalog.begin() as tx:
        assert len(approvals.decide(tx, number, "ana")) == 1_100

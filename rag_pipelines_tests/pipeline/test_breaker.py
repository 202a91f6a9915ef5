"""Which deletions go, which have moved, and which wait for a person."""

from __future__ import annotations

import pytest

from rag_pipelines.config.models import SourceLimits
from rag_pipelines.pipeline.breaker import Verdict, divide


def decide(
    live: int, missing: int, listed: int | None = None, limits: SourceLimits | None = None
) -> tuple[int, int]:
    """(deleted, held) of so many missing ones, with the default limits: more than 20% and at least 10."""
    gone = [(f"id{number}", f"{number}.md", f"v{number}") for number in range(missing)]
    verdict = divide(limits or SourceLimits(), live, live - missing if listed is None else listed, gone, {})
    assert bool(verdict.reason) == bool(verdict.held)
    return len(verdict.deleted), len(verdict.held)


@pytest.mark.parametrize(
    ("live", "missing", "outcome"),
    [
        (5, 3, (3, 0)),
        (12, 9, (9, 0)),
        (12, 10, (0, 10)),
        (50, 10, (10, 0)),
        (49, 10, (0, 10)),
        (1000, 200, (200, 0)),
        (1000, 201, (0, 201)),
        (1, 1, (0, 1)),
        (0, 0, (0, 0)),
    ],
    ids=["below floor", "nine", "ten of twelve", "a fifth", "above", "200", "201", "all of them", "nothing"],
)
def test_more_than_a_fifth_and_at_least_ten_are_held(
    live: int, missing: int, outcome: tuple[int, int]
) -> None:
    assert decide(live, missing) == outcome


def test_an_empty_listing_never_deletes() -> None:
    never = SourceLimits(max_delete_fraction=1.0, max_delete_floor=0)
    assert decide(3, 3, listed=0, limits=never) == (0, 3)
    assert decide(3, 3, listed=1, limits=never) == (3, 0), (
        "a row that the configuration leaves out is a listing"
    )


def test_the_limits_of_a_source_are_its_own() -> None:
    assert decide(100, 1, limits=SourceLimits(max_delete_fraction=0.0, max_delete_floor=0)) == (0, 1)
    assert decide(100, 1, limits=SourceLimits(max_delete_fraction=0.0, max_delete_floor=2)) == (1, 0)
    assert decide(100, 99, limits=SourceLimits(max_delete_fraction=1.0)) == (99, 0)


def test_what_moved_is_not_counted_as_deleted() -> None:
    gone = [(f"id{number}", f"{number}.md", f"v{number % 12}") for number in range(24)]
    added = {f"new{number}": f"v{number}" for number in range(12)}
    moved = divide(SourceLimits(), 24, 24, gone[:12], added)
    assert (sorted(moved.deleted), moved.moved) == (sorted(doc_id for doc_id, *_ in gone[:12]), 12)
    assert not moved.held
    both = divide(SourceLimits(), 24, 12, gone, added)
    assert (both.moved, len(both.deleted), len(both.held)) == (12, 12, 12), "a version moves once"
    assert {doc_id for doc_id, _ in both.held}.isdisjoint(both.deleted)
    assert divide(SourceLimits(), 24, 12, [], added) == Verdict((), 0)


def test_the_reason_says_what_was_seen() -> None:
    gone = [(str(number), f"{number}.md", f"v{number}") for number in range(15)]
    limits = SourceLimits()
    assert divide(limits, 30, 15, gone, {}).reason == (
        "15 of 30 documents are missing from the listing, more than 20% and at least 10"
    )
    assert divide(limits, 15, 0, gone, {}).reason == "the listing was empty, while 15 documents are known"

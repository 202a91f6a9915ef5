"""Searches and feedback on both databases: whose they are, what is forgotten when, and what judges are shown."""

from __future__ import annotations

from typing import Any

import pytest

from rag_pipelines.catalog import feedback, searches
from rag_pipelines.catalog.feedback import Feedback, save_feedback
from rag_pipelines.catalog.memory_tables import feedback as feedback_rows
from rag_pipelines.catalog.memory_tables import searches as search_rows
from rag_pipelines.catalog.searches import Search, erase_person, forget_texts, person, query_hash
from rag_pipelines.catalog.store import Catalog, Row, rows_of
from rag_pipelines.core.errors import NotFound
from rag_pipelines.core.ids import document_id
from rag_pipelines.evaluation.asked import asked_of
from rag_pipelines.evaluation.candidates import Asked
from rag_pipelines_tests.catalog.rows import SOURCE, listed, save

GUIDE, LOST = document_id(SOURCE, "guide.md"), document_id(SOURCE, "lost.md")


def search(request: str, subject: str = "ana", query: str | None = "how?", **values: Any) -> Search:
    """Two passages of the guide and one of a document that the catalog does not know."""
    key = "00" * 32 if query is not None else None
    shown = (("c1", GUIDE, 1), ("c2", GUIDE, 2), ("c3", LOST, 3))
    given = {"at": "2026-11-01", "index": "knowledge", "version": 3, "tenant": "acme", **values}
    return Search(request=request, subject=subject, passages=shown, query=query, query_key=key, **given)


def saved(catalog: Catalog, *found: Search) -> None:
    with catalog.begin() as tx:
        searches.save_searches(tx, found)


def say(
    catalog: Catalog, request: str, useful: bool, citation: str | None, subject: str = "ana", **values: Any
) -> Row:
    with catalog.begin() as tx:
        given = Feedback(request, useful, citation, values.get("comment"))
        return save_feedback(
            tx, values.get("index", "knowledge"), values.get("tenant", "acme"), subject, given
        )


def table_of(catalog: Catalog, table: Any) -> list[Row]:
    with catalog.begin() as tx:
        return rows_of(tx.execute(table.select().order_by(table.c.id)))


def test_the_hash_of_a_text_needs_the_key_of_its_search() -> None:
    # printf 'how?' | openssl dgst -sha256 -mac HMAC -macopt hexkey:$(printf '00%.0s' $(seq 32))
    assert query_hash("00" * 32, "how?") == "ef3bbfeda621500f0791fde6e6842115f588351fd16c3bf7d5920702fcb13392"
    assert query_hash("01" * 32, "how?") != query_hash("00" * 32, "how?")
    assert len(searches.new_query_key()) == 64
    assert searches.new_query_key() != searches.new_query_key()


def test_two_people_are_never_one() -> None:
    assert person("acme", "ana") == person("acme", "ana")
    assert person("a\nb", "c") != person("a", "b\nc")
    assert len(person("a" * 9999, "b" * 9999)) == 64


@pytest.mark.parametrize(
    "whose",
    [{"subject": "bo"}, {"tenant": "globex"}, {"index": "other"}],
    ids=["another subject", "another tenant", "another index"],
)
def test_feedback_needs_a_request_of_ones_own(catalog: Catalog, whose: dict[str, str]) -> None:
    saved(catalog, search("r1"))
    with pytest.raises(NotFound, match="no such request of yours"):
        say(catalog, "r1", True, None, **whose)
    with pytest.raises(feedback.NotShown):
        say(catalog, "r1", True, "c9")
    assert table_of(catalog, feedback_rows) == []


def test_feedback_keeps_what_was_shown_and_what_was_said_last(catalog: Catalog) -> None:
    saved(catalog, search("r1", variant="wide"))
    first = say(catalog, "r1", True, "c1", comment="nul \x00 and \ud800")
    assert (first["version"], first["variant"], first["comment"]) == (3, "wide", "nul \ufffd and \ufffd")
    assert first["passages"] == [["c1", GUIDE, 1], ["c2", GUIDE, 2], ["c3", LOST, 3]]
    assert say(catalog, "r1", False, "c1")["id"] == first["id"]
    assert say(catalog, "r1", True, None)["id"] != first["id"]
    rows = table_of(catalog, feedback_rows)
    assert [(row["citation"], row["useful"], row["comment"]) for row in rows] == [
        ("c1", False, None),
        ("", True, None),
    ]


def test_texts_go_with_their_keys_a_batch_at_a_time(catalog: Catalog) -> None:
    saved(catalog, *(search(f"r{n}", at=f"2026-0{n}-01") for n in range(1, 6)), search("r6", query=None))
    with catalog.begin() as tx:
        assert [forget_texts(tx, "2026-04-01", 2), forget_texts(tx, "2026-04-01", 2)] == [2, 1]
        assert forget_texts(tx, "2026-04-01", 2) == 0
    kept = [
        (row["request"], row["query"], row["query_key"] is None) for row in table_of(catalog, search_rows)
    ]
    assert kept == [
        ("r1", None, True),
        ("r2", None, True),
        ("r3", None, True),
        ("r4", "how?", False),
        ("r5", "how?", False),
        ("r6", None, True),
    ]
    with catalog.begin() as tx:
        assert forget_texts(tx, None) == 2
        assert searches.forget_searches(tx, "2026-03-01") == 2
    assert [row["request"] for row in table_of(catalog, search_rows)] == ["r3", "r4", "r5", "r6"]


def test_a_person_is_erased_from_both_tables_and_nobody_else(catalog: Catalog) -> None:
    saved(catalog, search("r1"), search("r2", "bo"), search("r3", tenant="globex"))
    say(catalog, "r1", True, None)
    say(catalog, "r2", True, None, "bo")
    with catalog.begin() as tx:
        assert erase_person(tx, "acme", "ana") == (1, 1)
    assert [row["request"] for row in table_of(catalog, search_rows)] == ["r2", "r3"]
    assert [row["request"] for row in table_of(catalog, feedback_rows)] == ["r2"]
    with catalog.begin() as tx:
        assert searches.forget_feedback(tx, "2999") == 1


def test_judges_are_shown_what_was_asked_and_rated(catalog: Catalog) -> None:
    save(catalog, listed("guide.md", metadata={"product": "P-1"}))
    saved(catalog, search("r1"), search("r2", "bo", "why?", answerable=False), search("r3", index="other"))
    saved(catalog, search("r4", query=None))
    say(catalog, "r1", True, "c2")
    say(catalog, "r2", False, "c3", "bo")
    say(catalog, "r2", False, None, "bo")
    say(catalog, "r4", True, "c1")
    ana, bo = person("acme", "ana"), person("acme", "bo")
    assert asked_of(catalog, "knowledge") == (
        Asked("how?", ana, SOURCE, "guide.md", GUIDE, (("product", "P-1"),), helpful=True),
        Asked("why?", bo, "", "", LOST, helpful=False),
        Asked("how?", ana),
        Asked("why?", bo, answerable=False),
    )

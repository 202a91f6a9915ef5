"""Listings, exclusions, quarantine, and which documents must be parsed."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from rag_pipelines.catalog import documents, reports
from rag_pipelines.catalog.documents import KnownDocument
from rag_pipelines.catalog.shards import register_source
from rag_pipelines.catalog.store import Catalog, reading
from rag_pipelines.core.ids import document_id
from rag_pipelines.core.types import Access, Classification
from rag_pipelines_tests.catalog.rows import (
    LIMITS,
    PARSERS,
    SINCE,
    SOURCE,
    due,
    listed,
    parsed,
    quarantine,
    refused,
    save,
)


def live(catalog: Catalog, source: str = SOURCE) -> dict[str, str]:
    with reading(catalog.engine) as tx:
        return {uri: version for _, uri, version in documents.live_documents(tx, source)}


def gone(catalog: Catalog, *uris: str) -> None:
    with catalog.begin() as tx:
        documents.mark_gone(tx, [document_id(SOURCE, uri) for uri in uris])


def reasons(catalog: Catalog) -> dict[str, str]:
    return {row["uri"]: row["reason"] for row in reports.quarantined(catalog, SOURCE)}


def test_registering_tells_whether_the_number_of_shards_changed(catalog: Catalog) -> None:
    with catalog.begin() as tx:
        assert register_source(tx, SOURCE, 4) is False
        assert register_source(tx, SOURCE, 16) is True
        assert register_source(tx, "other", 16) is False


def test_a_source_before_and_after_its_first_sync(catalog: Catalog) -> None:
    assert documents.source_row(catalog, SOURCE) is None
    with catalog.begin() as tx:
        register_source(tx, SOURCE, 4)
        register_source(tx, "other", 4)
        documents.update_source(tx, SOURCE, listed_at=SINCE, probe_token="abc")
    row = documents.source_row(catalog, SOURCE)
    assert row is not None
    assert (row["listed_at"], row["probe_token"], row["error"]) == (SINCE, "abc", None)
    other = documents.source_row(catalog, "other")
    assert other is not None
    assert other["listed_at"] is None


def test_known_documents_are_what_the_next_listing_is_compared_with(catalog: Catalog) -> None:
    row = listed("a.md", "v1", acl=["user:ana", "group:staff"], classification="restricted", row_hash="h1")
    save(catalog, row, listed("b.md"), listed("c.md"))
    gone(catalog, "b.md")
    ids = {uri: document_id(SOURCE, uri) for uri in ("a.md", "b.md", "never.md")}
    with catalog.begin() as tx:
        known = documents.known_documents(tx, list(ids.values()))
    assert sorted(known) == sorted([ids["a.md"], ids["b.md"]])
    assert known[ids["a.md"]] == KnownDocument(
        ids["a.md"],
        True,
        "v1",
        "h1",
        Access("acme", Classification.RESTRICTED, ("user:ana", "group:staff")),
    )
    assert not known[ids["b.md"]].live


def test_a_listing_leaves_what_later_stages_recorded(catalog: Catalog) -> None:
    save(catalog, listed("a.md", "v1"), parse=True)
    save(catalog, listed("a.md", "v2", size=7))
    row = documents.document_row(catalog, document_id(SOURCE, "a.md"))
    assert row is not None
    assert (row["version"], row["raw_version"], row["size"], row["parse_fp"]) == ("v2", "v1", 7, "markdown1")
    assert documents.document_row(catalog, document_id(SOURCE, "none.md")) is None


def test_gone_documents_leave_the_listing_and_the_quarantine_and_come_back(catalog: Catalog) -> None:
    rows = [listed("a.md"), listed("b.md"), listed("c.md", source="other")]
    save(catalog, *rows)
    quarantine(catalog, *(refused(row, "parse", f"v1 markdown1 {LIMITS}") for row in rows[:2]))
    gone(catalog, "a.md")
    assert live(catalog) == {"b.md": "v1"}
    assert live(catalog, "other") == {"c.md": "v1"}
    assert reasons(catalog) == {"b.md": "is encrypted"}
    assert due(catalog) == []
    save(catalog, listed("a.md"))
    assert live(catalog) == {"a.md": "v1", "b.md": "v1"}
    assert due(catalog) == ["a.md"]


def test_exclusions_are_those_of_the_last_listing(catalog: Catalog) -> None:
    def replace(source: str, **current: str) -> None:
        with catalog.begin() as tx:
            documents.replace_exclusions(tx, source, {f"{name}.tmp": why for name, why in current.items()})

    def found(source: str) -> dict[str, str]:
        return {row["uri"]: row["reason"] for row in reports.excluded(catalog, source)}

    replace(SOURCE, a="not included", b="not included")
    replace("other", a="too large")
    before = {row["uri"]: row["since"] for row in reports.excluded(catalog, SOURCE)}
    with catalog.begin() as tx:
        tx.execute(sa.text("UPDATE exclusions SET since = 'earlier'"))
    replace(SOURCE, a="not included", b="excluded by **/b*", c="a link")
    assert found(SOURCE) == {"a.tmp": "not included", "b.tmp": "excluded by **/b*", "c.tmp": "a link"}
    after = {row["uri"]: row["since"] for row in reports.excluded(catalog, SOURCE)}
    assert after["a.tmp"] == "earlier"
    assert after["b.tmp"] >= before["b.tmp"]
    replace(SOURCE)
    assert found(SOURCE) == {}
    assert found("other") == {"a.tmp": "too large"}


def test_kinds_are_those_of_live_documents(catalog: Catalog) -> None:
    save(catalog, listed("a.md"), listed("b.md"), listed("c.pdf"), listed("d"), listed("e.txt"))
    save(catalog, listed("f.rst", source="other"))
    gone(catalog, "e.txt")
    with catalog.begin() as tx:
        assert sorted(documents.parse_kinds(tx, SOURCE)) == ["", ".md", ".pdf"]


def test_what_was_never_parsed_is_due_with_the_parser_that_is_wanted(catalog: Catalog) -> None:
    save(catalog, listed("a.md"), listed("b.pdf"), listed("c.md", source="other"))
    rows = documents.parse_due(catalog, SOURCE, [0], PARSERS, LIMITS)
    assert {row["uri"]: row["wanted_fp"] for row in rows} == {"a.md": "markdown1", "b.pdf": "pdf1"}


def test_only_the_shards_that_were_named_are_looked_at(catalog: Catalog) -> None:
    save(catalog, listed("a.md", shard=0), listed("b.md", shard=1), listed("c.md", shard=3))
    assert due(catalog, [1, 3]) == ["b.md", "c.md"]
    assert due(catalog, [2]) == []


def test_what_is_parsed_is_due_again_after_a_change_of_version_or_parser(catalog: Catalog) -> None:
    rows = [listed("a.md"), listed("b.pdf"), listed("c")]
    save(catalog, *rows)
    parsers = {**PARSERS, "": "text1"}
    with catalog.begin() as tx:
        documents.save_parsed(tx, [parsed(row, parsers[row["kind"]]) for row in rows])
    assert due(catalog, parsers=parsers) == []
    assert due(catalog, parsers=parsers, limits="limits2") == []
    assert due(catalog, parsers={**parsers, ".pdf": "pdf2"}) == ["b.pdf"]
    assert due(catalog, parsers={**parsers, "": "text2"}) == ["c"]
    save(catalog, listed("a.md", "v2"))
    assert due(catalog, parsers=parsers) == ["a.md"]


def test_what_is_quarantined_waits_for_another_input(catalog: Catalog) -> None:
    row = listed("a.md")
    save(catalog, row)
    quarantine(catalog, refused(row, "parse", f"v1 markdown1 {LIMITS}"))
    assert due(catalog) == []
    assert due(catalog, limits="limits2") == ["a.md"]
    assert due(catalog, parsers={**PARSERS, ".md": "markdown2"}) == ["a.md"]
    save(catalog, listed("a.md", "v2"))
    assert due(catalog) == ["a.md"]
    assert reasons(catalog) == {"a.md": "is encrypted"}


def test_a_fetch_that_may_succeed_later_stays_due(catalog: Catalog) -> None:
    one, other = listed("a.md"), listed("b.md")
    save(catalog, one, other)
    quarantine(
        catalog,
        refused(one, "fetch", "", reason="timed out"),
        refused(other, "fetch", f"v1 markdown1 {LIMITS}", reason="does not exist"),
    )
    assert due(catalog) == ["a.md"]
    assert reasons(catalog) == {"a.md": "timed out", "b.md": "does not exist"}


def test_parsing_lifts_the_quarantine_of_fetch_and_parse_only(catalog: Catalog) -> None:
    row, other = listed("a.md"), listed("b.md")
    save(catalog, row, other)
    quarantine(catalog, *(refused(row, stage, "") for stage in ("fetch", "parse")))
    quarantine(catalog, refused(row, "chunk", "", index_name="knowledge"), refused(other, "parse", ""))
    with catalog.begin() as tx:
        documents.save_parsed(tx, [parsed(row)])
    assert sorted((r["uri"], r["stage"]) for r in reports.quarantined(catalog)) == [
        ("a.md", "chunk"),
        ("b.md", "parse"),
    ]


def test_lifting_is_for_one_index(catalog: Catalog) -> None:
    row = listed("a.md")
    save(catalog, row)
    quarantine(catalog, *(refused(row, "chunk", "", index_name=name) for name in ("one", "two")))
    with catalog.begin() as tx:
        documents.lift_quarantine(tx, [row["doc_id"]], ["chunk"], "one")
    assert [r["index_name"] for r in reports.quarantined(catalog)] == ["two"]


def test_a_document_that_goes_back_to_its_good_version_leaves_the_quarantine(catalog: Catalog) -> None:
    good = listed("a.md", "v1")
    save(catalog, good, listed("b.md"), parse=True)
    bad = listed("a.md", "v2")
    save(catalog, bad)
    quarantine(catalog, refused(bad, "parse", f"v2 markdown1 {LIMITS}"))
    assert due(catalog) == []
    assert reasons(catalog) == {"a.md": "is encrypted"}
    save(catalog, good)
    assert due(catalog) == []
    assert reasons(catalog) == {}


def test_a_document_whose_new_parser_refused_it_leaves_with_the_old_one(catalog: Catalog) -> None:
    row = listed("a.md")
    save(catalog, row, parse=True)
    newer = {**PARSERS, ".md": "markdown2"}
    quarantine(catalog, refused(row, "parse", f"v1 markdown2 {LIMITS}"))
    assert due(catalog, parsers=newer) == []
    assert reasons(catalog) == {"a.md": "is encrypted"}
    assert due(catalog) == []
    assert reasons(catalog) == {}


def test_a_second_refusal_keeps_the_first_date(catalog: Catalog) -> None:
    row = listed("a.md")
    save(catalog, row)
    quarantine(catalog, refused(row, "parse", "one", since=SINCE))
    quarantine(
        catalog, refused(row, "parse", "two", reason="is empty", since="2026-02-02T00:00:00.000+00:00")
    )
    [found] = reports.quarantined(catalog)
    assert (found["reason"], found["input"], found["since"]) == ("is empty", "two", SINCE)


def test_equal_bytes_under_an_equal_parser_are_found_wherever_they_lie(catalog: Catalog) -> None:
    one, other, third = listed("a.md"), listed("b.md", source="other"), listed("c.md")
    save(catalog, one, other, third)
    with catalog.begin() as tx:
        documents.save_parsed(
            tx,
            [
                parsed(one, raw_hash="same", parsed_hash="text"),
                parsed(other, "markdown2", raw_hash="same", parsed_hash="other text"),
            ],
        )
        found = documents.parsed_before(
            tx, [("same", "markdown1"), ("same", "markdown3"), ("different", "markdown1")]
        )
    assert {key: row["parsed_hash"] for key, row in found.items()} == {("same", "markdown1"): "text"}


def test_ten_thousand_documents(catalog: Catalog) -> None:
    rows = [listed(f"folder/{number}.md") for number in range(10_000)]
    ids = [row["doc_id"] for row in rows]
    save(catalog, *rows)
    with catalog.begin() as tx:
        strangers = [document_id("other", str(number)) for number in range(30_000)]
        assert len(documents.known_documents(tx, [*ids, *strangers])) == 10_000
    assert len(due(catalog)) == 10_000
    with catalog.begin() as tx:
        documents.save_parsed(tx, [parsed(row) for row in rows[:2_000]])
        documents.save_quarantined(
            tx, [refused(row, "parse", f"v1 markdown1 {LIMITS}") for row in rows[2_000:9_990]]
        )
    assert len(due(catalog)) == 10
    with catalog.begin() as tx:
        documents.mark_gone(tx, ids[:9_000])
        documents.replace_exclusions(tx, SOURCE, {f"{number}.tmp": "no" for number in range(10_000)})
    assert reports.source_totals(catalog, SOURCE) == {
        "documents": 1_000,
        "parsed": 0,
        "bytes": 100_000,
        "quarantined": 990,
        "excluded": 10_000,
        "media_types": {},
    }


def test_a_suffix_of_its_own_for_every_document(catalog: Catalog) -> None:
    """As papers named 2101.01234 have."""
    rows = [listed(f"2101.{number:05d}", kind=f".{number:05d}") for number in range(10_000)]
    save(catalog, *rows, listed("a.pdf"))
    parsers = {row["kind"]: "text1" for row in rows} | {".pdf": "pdf1"}
    found = documents.parse_due(catalog, SOURCE, [0], parsers, LIMITS)
    assert len(found) == 10_001
    assert {row["wanted_fp"] for row in found if row["uri"] != "a.pdf"} == {"text1"}
    assert [row["wanted_fp"] for row in found if row["uri"] == "a.pdf"] == ["pdf1"]


@pytest.mark.parametrize("kinds", [{}, {".md": "markdown1"}])
def test_a_kind_that_appeared_since_is_due(catalog: Catalog, kinds: dict[str, str]) -> None:
    save(catalog, listed("a.md"), listed("b.new"))
    assert due(catalog, parsers=kinds) == ["a.md", "b.new"]

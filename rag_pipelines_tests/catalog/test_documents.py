"""Listings, exclusions, quarantine, and which documents must be parsed."""

from __future__ import annotations

import sqlalchemy as sa

from rag_pipelines.catalog import documents, reports
from rag_pipelines.catalog.documents import KnownDocument
from rag_pipelines.catalog.shards import register_source
from rag_pipelines.catalog.store import Catalog, reading
from rag_pipelines.core.ids import document_id
from rag_pipelines.core.types import Access, Classification
from rag_pipelines_tests.catalog.rows import (
    LIMITS,
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
        documents.mark_gone(tx, [document_id(SOURCE, uri) for uri in uris], 1)


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
        rights = documents.known_rights(tx, list(ids.values()))
    assert sorted(known) == sorted([ids["a.md"], ids["b.md"]])
    assert known[ids["a.md"]] == KnownDocument(live=True, version="v1", row_hash="h1")
    assert not known[ids["b.md"]].live
    assert sorted(rights) == sorted(known)
    assert rights[ids["a.md"]] == Access("acme", Classification.RESTRICTED, ("user:ana", "group:staff"))


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


def test_live_documents_are_counted_and_picked_out(catalog: Catalog) -> None:
    rows = [listed("a.md"), listed("b.md"), listed("c.md", source="other"), listed("d.md")]
    ids = [row["doc_id"] for row in rows]
    save(catalog, *rows)
    gone(catalog, "d.md")
    with catalog.begin() as tx:
        assert [documents.count_live(tx, name) for name in (SOURCE, "other", "unknown")] == [2, 1, 0]
        found = documents.live_among(tx, [*ids[1:], "unknown"])
        assert documents.live_among(tx, []) == {}
    assert found == {SOURCE: [ids[1]], "other": [ids[2]]}


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
    assert documents.parse_kinds(catalog, SOURCE) == ["", ".md", ".pdf"]
    some = [document_id(SOURCE, uri) for uri in ("a.md", "e.txt")]
    assert documents.parse_kinds(catalog, SOURCE, some) == [".md"]


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
        documents.mark_gone(tx, ids[:9_000], 1)
        documents.replace_exclusions(tx, SOURCE, {f"{number}.tmp": "no" for number in range(10_000)})
    assert reports.source_totals(catalog, SOURCE) == {
        "documents": 1_000,
        "parsed": 0,
        "bytes": 100_000,
        "quarantined": 990,
        "excluded": 10_000,
        "media_types": {},
    }

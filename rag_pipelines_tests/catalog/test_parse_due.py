"""Which documents must be parsed: by version, parser and limits, and until a refused one changes."""

from __future__ import annotations

import pytest

from rag_pipelines.catalog import documents, reports
from rag_pipelines.catalog.store import Catalog
from rag_pipelines.core.ids import document_id
from rag_pipelines_tests.catalog.rows import (
    LIMITS,
    PARSERS,
    SOURCE,
    due,
    listed,
    parsed,
    quarantine,
    refused,
    save,
)


def reasons(catalog: Catalog) -> dict[str, str]:
    return {row["uri"]: row["reason"] for row in reports.quarantined(catalog, SOURCE)}


def test_what_was_never_parsed_is_due_with_the_parser_that_is_wanted(catalog: Catalog) -> None:
    save(catalog, listed("a.md"), listed("b.pdf"), listed("c.md", source="other"))
    rows = documents.parse_due(catalog, SOURCE, [0], PARSERS, LIMITS)
    assert {row["uri"]: row["wanted_fp"] for row in rows} == {"a.md": "markdown1", "b.pdf": "pdf1"}


def test_only_the_shards_that_were_named_are_looked_at(catalog: Catalog) -> None:
    save(catalog, listed("a.md", shard=0), listed("b.md", shard=1), listed("c.md", shard=3))
    assert due(catalog, [1, 3]) == ["b.md", "c.md"]
    assert due(catalog, [2]) == []


def test_only_the_documents_that_were_named_are_looked_at(catalog: Catalog) -> None:
    names = [f"{number}.md" for number in range(700)]
    save(catalog, *(listed(name) for name in names), listed("elsewhere.md", shard=2))
    some = [document_id(SOURCE, name) for name in (*names[:600], "elsewhere.md", "unknown.md")]
    rows = documents.parse_due(catalog, SOURCE, [0, 1], PARSERS, LIMITS, some)
    assert [row["uri"] for row in rows] == sorted(names[:600])
    assert documents.parse_due(catalog, SOURCE, [0, 1], PARSERS, LIMITS, []) == []


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

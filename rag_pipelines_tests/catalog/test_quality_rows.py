"""What a candidate is judged by: rows of the change, on both databases."""

from __future__ import annotations

import sqlalchemy as sa

from rag_pipelines.catalog import approvals, chunks, quality_rows
from rag_pipelines.catalog import points as point_rows
from rag_pipelines.catalog.duplicates import save_members
from rag_pipelines.catalog.quality_rows import Shown
from rag_pipelines.catalog.store import Catalog
from rag_pipelines.catalog.tables import documents
from rag_pipelines.core.ids import content_hash, document_id
from rag_pipelines_tests.catalog.rows import (
    FIRST,
    INDEX,
    SECOND,
    SINCE,
    SOURCE,
    chunk,
    listed,
    parsed,
    point,
    quarantine,
    refused,
    save,
)
from rag_pipelines_tests.catalog.test_duplicate_reports import member, named


def staged(catalog: Catalog) -> None:
    """Version 1 has a, b and c; version 2 takes b away and adds to d; version 3 adds to a."""
    with catalog.begin() as tx:
        first = [point(name, 1, name[0], chunk={"ordinal": 0}) for name in ("a1", "b1", "c1")]
        point_rows.intend_points(tx, first, [], 1)
        point_rows.intend_points(
            tx, [point("d1", 2, "d", source="wiki", chunk={"ordinal": 0})], [(FIRST, "b1")], 2
        )
        point_rows.intend_points(tx, [point("a2", 3, "a", chunk={"ordinal": 1})], [], 3)
        point_rows.intend_points(tx, [point("e1", 2, "e", collection=SECOND)], [], 2)


def test_changed_documents_are_those_that_gained_or_lost_points_since_a_version(catalog: Catalog) -> None:
    staged(catalog)
    changed = quality_rows.changed_documents
    assert changed(catalog, Shown(FIRST, 2), 1) == {"d": ("wiki", 1), "b": (SOURCE, 0)}
    assert changed(catalog, Shown(FIRST, 3), 2) == {"a": (SOURCE, 1)}
    assert changed(catalog, Shown(FIRST, 3), 1) == {"a": (SOURCE, 1), "d": ("wiki", 1), "b": (SOURCE, 0)}
    assert changed(catalog, Shown(FIRST, 3), 3) == {}
    assert changed(catalog, Shown(FIRST, 2), None) == {"a": (SOURCE, 1), "c": (SOURCE, 1), "d": ("wiki", 1)}


def test_points_are_those_that_the_version_shows(catalog: Catalog) -> None:
    staged(catalog)

    def shown(version: int) -> dict[str, list[str]]:
        found = quality_rows.points_shown(catalog, Shown(FIRST, version), ["a", "b", "d", "e"])
        return {doc_id: [row["point_id"] for row in rows] for doc_id, rows in found.items()}

    assert shown(1) == {"a": ["a1"], "b": ["b1"]}
    assert shown(3) == {"a": ["a1", "a2"], "d": ["d1"]}


def test_a_sample_goes_round_from_where_it_starts(catalog: Catalog) -> None:
    staged(catalog)

    def sampled(limit: int, start: str) -> list[str]:
        return [row["doc_id"] for row in quality_rows.sampled_points(catalog, Shown(FIRST, 3), limit, start)]

    assert sampled(10, "") == ["a", "a", "c", "d"]
    assert sampled(3, "c1") == ["c", "d", "a"]
    assert sampled(1, "zz") == ["a"]
    own = quality_rows.few_points(catalog, Shown(FIRST, 3), "wiki", 5)
    assert [(row["doc_id"], row["chunk"]) for row in own] == [("d", {"ordinal": 0})]
    assert len(quality_rows.few_points(catalog, Shown(FIRST, 3), SOURCE, 2)) == 2


def test_documents_that_were_cut_into_nothing(catalog: Catalog) -> None:
    rows = [listed(f"{name}.md", name) for name in "abcd"]
    save(catalog, *rows, parse=True)
    with catalog.begin() as tx:
        for at, row in enumerate(rows):
            found = {"a": [chunk(row["doc_id"], 0, "Leave.")]}.get(row["uri"][0], [])
            cut = {**row, **parsed(row)}
            chunk_fp = chunks.COLLAPSED if row["uri"] == "c.md" else "rule"
            chunks.replace_chunks(tx, INDEX, cut, found, cut["parsed_hash"], chunk_fp)
            tx.execute(sa.update(documents).where(documents.c.doc_id == row["doc_id"]).values(touched=at + 1))
    b, d = rows[1]["doc_id"], rows[3]["doc_id"]
    assert quality_rows.uncut_documents(catalog, INDEX, [SOURCE, "wiki"], 10) == {b: SOURCE, d: SOURCE}
    assert quality_rows.uncut_documents(catalog, INDEX, [SOURCE], 2) == {d: SOURCE}
    assert quality_rows.uncut_documents(catalog, "other", [SOURCE], 10) == {}


def test_a_collapsed_document_names_what_stands_for_it(catalog: Catalog) -> None:
    save(
        catalog,
        listed("a", source="docs"),
        listed("b", source="docs"),
        listed("c", source="docs"),
        parse=True,
    )
    both = [member("docs/a", "docs/a", "docs/a"), member("docs/b", "docs/a", "docs/a")]
    with catalog.begin() as tx:
        save_members(tx, [*both, member("docs/c", "docs/c", "docs/c")])
        for name in ("a", "b"):
            row = {**listed(name, source="docs"), "parsed_hash": content_hash("v1")}
            chunks.replace_chunks(tx, INDEX, row, [], "x", chunks.COLLAPSED if name == "b" else "rule")
    ids = [named(f"docs/{name}") for name in "abc"]
    states = quality_rows.document_states(catalog, INDEX, ids)
    assert [states[doc_id]["representative"] for doc_id in ids] == [None, ids[0], None]
    assert [states[doc_id]["uri"] for doc_id in ids] == ["a", "b", "c"]
    mates = quality_rows.cluster_mates(catalog, INDEX, ids, 10)
    pair = {ids[0]: (content_hash("v1"), "a"), ids[1]: (content_hash("v1"), "b")}
    assert mates == {ids[0]: pair, ids[1]: pair}
    assert quality_rows.raw_names(catalog, ids[:1]) == {ids[0]: content_hash("v1")}


def test_refusals_and_approvals_count_from_a_moment_on(catalog: Catalog) -> None:
    rows = [listed("a.md"), listed("b.md"), listed("c.md")]
    save(catalog, *rows)
    quarantine(
        catalog,
        refused(rows[0], "parse", "x", since="2026-01-02T00:00:00.000+00:00"),
        refused(rows[0], "chunk", "x", since="2026-01-02T00:00:00.000+00:00", index_name=INDEX),
        refused(rows[1], "parse", "x", since="2026-01-04T00:00:00.000+00:00"),
        refused(rows[2], "chunk", "x", since="2026-01-04T00:00:00.000+00:00", index_name="other"),
    )
    assert quality_rows.quarantined_counts(catalog, INDEX, "") == {SOURCE: 2}
    assert quality_rows.quarantined_counts(catalog, INDEX, "2026-01-03T00:00:00.000+00:00") == {SOURCE: 1}
    with catalog.begin() as tx:
        waiting = approvals.hold(
            tx, SOURCE, "many", [(document_id(SOURCE, f"{n}.md"), f"{n}.md") for n in range(3)]
        )
    assert quality_rows.approved_deletions(catalog, SINCE) == {}
    with catalog.begin() as tx:
        approvals.decide(tx, waiting, "ana")
    assert quality_rows.approved_deletions(catalog, SINCE) == {SOURCE: 3}
    assert quality_rows.approved_deletions(catalog, "2999-01-01") == {}

"""Counts that people read; each is computed by hand here."""

from __future__ import annotations

import threading

from rag_pipelines.catalog import chunks, documents, reports
from rag_pipelines.catalog.store import Catalog
from rag_pipelines_tests.catalog.rows import INDEX, SOURCE, chunk, listed, parsed, quarantine, refused, save


def test_a_run_adds_up_what_its_stages_report(catalog: Catalog) -> None:
    with catalog.begin() as tx:
        reports.add_counts(tx, "run1", SOURCE, {"listed": 3, "added": 3})
        reports.add_counts(tx, "run1", "other", {"listed": 1})
        reports.add_counts(tx, "run2", SOURCE, {"listed": 9})
    with catalog.begin() as tx:
        reports.add_counts(tx, "run1", SOURCE, {"added": 2, "embedded": 0})
        reports.add_counts(tx, "run1", SOURCE, {})
    assert reports.run_counts(catalog, "run1") == {
        SOURCE: {"listed": 3, "added": 5, "embedded": 0},
        "other": {"listed": 1},
    }
    assert reports.run_counts(catalog, "unknown") == {}


def test_counts_of_stages_that_report_at_the_same_time_are_all_added(catalog: Catalog) -> None:
    with catalog.begin() as tx:
        reports.add_counts(tx, "run1", SOURCE, {"parsed": 0})
    at_once = threading.Barrier(4)

    def report() -> None:
        at_once.wait()
        for _ in range(10):
            with catalog.begin() as tx:
                reports.add_counts(tx, "run1", SOURCE, {"parsed": 1})

    threads = [threading.Thread(target=report) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert reports.run_counts(catalog, "run1") == {SOURCE: {"parsed": 40}}


def test_the_totals_of_a_source(catalog: Catalog) -> None:
    rows = [listed(f"{name}.md", size=size) for name, size in (("a", 10), ("b", 20), ("c", None), ("d", 40))]
    gone, elsewhere = listed("gone.md", size=500), listed("x.md", source="other")
    save(catalog, *rows, gone, elsewhere)
    with catalog.begin() as tx:
        documents.save_parsed(
            tx,
            [
                parsed(rows[0]),
                parsed(rows[1]),
                parsed(rows[2], media_type="text/csv"),
                parsed(gone),
                parsed(elsewhere),
            ],
        )
        documents.replace_exclusions(tx, SOURCE, {"a.tmp": "no", "b.tmp": "no"})
        documents.mark_gone(tx, [gone["doc_id"]], 1)
    quarantine(
        catalog,
        refused(rows[3], "fetch", ""),
        refused(rows[3], "parse", ""),
        refused(rows[0], "chunk", "", index_name=INDEX),
        refused(elsewhere, "parse", ""),
    )
    assert reports.source_totals(catalog, SOURCE) == {
        "documents": 4,
        "parsed": 3,
        "bytes": 70,
        "quarantined": 2,
        "excluded": 2,
        "media_types": {"text/markdown": 2, "text/csv": 1},
    }
    assert reports.source_totals(catalog, "unknown") == {
        "documents": 0,
        "parsed": 0,
        "bytes": 0,
        "quarantined": 0,
        "excluded": 0,
        "media_types": {},
    }


def test_the_totals_of_an_index(catalog: Catalog) -> None:
    one, other, empty = listed("a.md"), listed("b.md", source="other"), listed("c.md")
    save(catalog, one, other, empty, parse=True)
    with catalog.begin() as tx:
        for row, texts in ((one, ["x", "y"]), (other, ["z"]), (empty, [])):
            made = [chunk(row["doc_id"], position, text) for position, text in enumerate(texts)]
            chunks.replace_chunks(tx, INDEX, row, made, "text", "rule")
    assert reports.index_totals(catalog, INDEX) == {"documents": 2, "chunks": 3}
    assert reports.index_totals(catalog, INDEX, SOURCE) == {"documents": 1, "chunks": 2}
    assert reports.index_totals(catalog, "unknown") == {"documents": 0, "chunks": 0}


def test_the_newest_refusals_come_first(catalog: Catalog) -> None:
    rows = [listed("a.md"), listed("b.md"), listed("c.md", source="other")]
    save(catalog, *rows)
    for day, row in zip((2, 3, 1), rows, strict=True):
        quarantine(catalog, refused(row, "parse", "", since=f"2026-01-0{day}T00:00:00.000+00:00"))
    assert [row["uri"] for row in reports.quarantined(catalog)] == ["b.md", "a.md", "c.md"]
    assert [row["uri"] for row in reports.quarantined(catalog, "other")] == ["c.md"]


def test_samples_are_the_most_recently_revised(catalog: Catalog) -> None:
    rows = [listed(f"{number}.md") for number in range(5)]
    save(catalog, *rows, listed("never-parsed.md"))
    with catalog.begin() as tx:
        documents.save_parsed(tx, [parsed(row, revised_at=f"2026-01-0{9 - n}") for n, row in enumerate(rows)])
    found = reports.sample_documents(catalog, SOURCE, 3)
    assert [row["uri"] for row in found] == ["0.md", "1.md", "2.md"]
    assert len(reports.sample_documents(catalog, SOURCE)) == 5

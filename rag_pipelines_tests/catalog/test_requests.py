"""Requests to do part of a source again, and what they make the stages forget."""

from __future__ import annotations

from rag_pipelines.catalog import chunks, documents, reindexing, reports, requests, staged
from rag_pipelines.catalog.store import Catalog
from rag_pipelines.core.ids import document_id
from rag_pipelines_tests.catalog.rows import (
    INDEX,
    LIMITS,
    SOURCE,
    chunk,
    due,
    listed,
    quarantine,
    refused,
    save,
)


def test_a_request_that_waits_is_not_made_twice(catalog: Catalog) -> None:
    first = requests.request_reindex(catalog, SOURCE, "guide/", force=False, by="ana")
    again = requests.request_reindex(catalog, SOURCE, "guide/", force=False, by="bo")
    forced = requests.request_reindex(catalog, SOURCE, "guide/", force=True, by="bo")
    other = requests.request_reindex(catalog, "mail", "guide/", force=False, by="bo")
    assert again == first
    assert (first["status"], first["requested_by"], first["detail"]) == ("pending", "ana", "")
    assert [row["id"] for row in requests.pending_requests(catalog)] == [
        first["id"],
        forced["id"],
        other["id"],
    ]
    requests.update_request(catalog, first["id"], requests.STARTED, "run 7")
    assert requests.request_reindex(catalog, SOURCE, "guide/", force=False, by="bo")["id"] > other["id"]


def test_what_became_of_a_request(catalog: Catalog) -> None:
    number = requests.request_reindex(catalog, SOURCE, "", force=False, by="ana")["id"]
    requests.update_request(catalog, number, requests.FAILED, "the source cannot be listed")
    found = requests.reindex_request(catalog, number)
    assert found is not None
    assert (found["status"], found["detail"]) == ("failed", "the source cannot be listed")
    assert found["updated_at"] >= found["requested_at"]
    assert requests.pending_requests(catalog) == []
    assert requests.reindex_request(catalog, number + 1) is None


def test_documents_are_chosen_by_the_beginning_of_their_uri(catalog: Catalog) -> None:
    names = ["guide/a.md", "guide/b.md", "Guide/c.md", "guide%/d.md", "other/guide/e.md", "guide/gone.md"]
    save(catalog, *(listed(name) for name in names), listed("guide/f.md", source="mail"))
    with catalog.begin() as tx:
        documents.mark_gone(tx, [document_id(SOURCE, "guide/gone.md")], 1)

    def under(prefix: str) -> list[str]:
        by_id = {document_id(SOURCE, name): name for name in names}
        with catalog.begin() as tx:
            return sorted(by_id[name] for name in reindexing.documents_under(tx, SOURCE, prefix))

    assert under("guide/") == ["guide/a.md", "guide/b.md"]
    assert under("guide%") == ["guide%/d.md"]
    assert under("gu_de") == []
    assert under("") == sorted(names[:5])


def test_what_was_refused_is_due_again_and_stays_listed(catalog: Catalog) -> None:
    rows = [listed("a.md"), listed("b.md")]
    save(catalog, *rows)
    quarantine(catalog, *(refused(row, "parse", f"v1 markdown1 {LIMITS}") for row in rows))
    assert due(catalog) == []
    with catalog.begin() as tx:
        reindexing.retry_refused(tx, [rows[0]["doc_id"]])
    assert due(catalog) == ["a.md"]
    assert len(reports.quarantined(catalog)) == 2


def test_forgotten_results_are_made_again_and_stay_in_force_until_then(catalog: Catalog) -> None:
    rows = [listed("a.md"), listed("b.md")]
    save(catalog, *rows, parse=True)
    with catalog.begin() as tx:
        for row in rows:
            stored = documents.document_row(catalog, row["doc_id"])
            assert stored is not None
            made = [chunk(row["doc_id"], 0, "Hello")]
            chunks.replace_chunks(tx, INDEX, stored, made, stored["parsed_hash"], "rule")
        reindexing.forget_results(tx, [rows[0]["doc_id"]])
    assert due(catalog) == ["a.md"]
    assert [
        row["uri"] for row in chunks.chunk_due(catalog, INDEX, SOURCE, [0], {"text/markdown": "rule"})
    ] == ["a.md"]
    [kept, _] = sorted(staged.stage_state(catalog, INDEX, SOURCE, [0]), key=lambda row: str(row["uri"]))
    assert (kept["i_chunk_count"], kept["parsed_hash"]) == (1, kept["i_chunked_from"])

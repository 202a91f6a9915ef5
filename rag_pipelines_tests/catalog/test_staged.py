"""What was staged of each document, and which sources are staged in part only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rag_pipelines.catalog import chunks, documents, marks, staged
from rag_pipelines.catalog.store import Catalog
from rag_pipelines_tests.catalog.rows import FIRST, INDEX, SOURCE, chunk, listed, save


def test_interrupted_sources_are_known_until_they_are_whole(catalog: Catalog) -> None:
    with catalog.begin() as tx:
        for source in ("b", "a", "b"):
            staged.begin_staging(tx, INDEX, source)
        staged.begin_staging(tx, "second", "c")
    assert staged.unfinished_sources(catalog, INDEX) == ["a", "b"]
    with catalog.begin() as tx:
        staged.end_staging(tx, INDEX, "b")
    assert staged.unfinished_sources(catalog, INDEX) == ["a"]
    assert staged.unfinished_sources(catalog, "second") == ["c"]


def record(catalog: Catalog, row: Mapping[str, Any], **values: Any) -> None:
    with catalog.begin() as tx:
        staged.save_staged(tx, INDEX, [{"doc_id": row["doc_id"], **values}])


def test_the_state_of_staging(catalog: Catalog) -> None:
    one, other = listed("a.md", shard=0), listed("b.md", shard=1)
    save(catalog, one, other, parse=True)
    with catalog.begin() as tx:
        for row in (one, other):
            made = [chunk(row["doc_id"], 0, "Hello")]
            chunks.replace_chunks(tx, INDEX, row, made, "text", "rule")
            chunks.replace_chunks(tx, "second", row, made, "text", "rule")
    record(catalog, one, collection=FIRST, staged_key="key", access_key="rights")
    record(catalog, other, access_key="rights")
    found = {row["uri"]: row for row in staged.stage_state(catalog, INDEX, SOURCE, [0, 1])}
    assert sorted(found) == ["a.md", "b.md"]
    labels = ("i_chunked_from", "i_chunk_fp", "i_chunk_count", "i_collection", "i_staged_key", "i_access_key")
    assert [found["a.md"][name] for name in labels] == ["text", "rule", 1, FIRST, "key", "rights"]
    assert [found["b.md"][name] for name in labels] == ["text", "rule", 1, None, None, "rights"]
    assert [row["uri"] for row in staged.stage_state(catalog, INDEX, SOURCE, [1])] == ["b.md"]
    second = staged.stage_state(catalog, "second", SOURCE, [0])
    assert [row["i_staged_key"] for row in second] == [None]
    [only] = staged.stage_state(catalog, INDEX, SOURCE, [0, 1], [other["doc_id"], "unknown"])
    assert (only["uri"], only["i_point_count"]) == ("b.md", 0)
    assert staged.stage_state(catalog, INDEX, SOURCE, [0, 1], []) == []


def test_a_document_that_is_in_no_collection_any_more_has_to_be_staged_again(catalog: Catalog) -> None:
    one, other = listed("a.md"), listed("b.md")
    save(catalog, one, other, parse=True)
    with catalog.begin() as tx:
        for row in (one, other):
            chunks.replace_chunks(tx, INDEX, row, [chunk(row["doc_id"], 0, "Hello")], "text", "rule")
    for row in (one, other):
        record(catalog, row, collection=FIRST, staged_key="key", access_key="rights", point_count=1)
    with catalog.begin() as tx:
        staged.restage(tx, INDEX, [one["doc_id"]])
        staged.restage(tx, "second", [other["doc_id"]])
    found = {row["uri"]: row for row in staged.stage_state(catalog, INDEX, SOURCE, [0])}
    labels = ("i_staged_key", "i_point_count", "i_access_key", "i_chunk_count")
    assert [found["a.md"][name] for name in labels] == [None, 0, "rights", 1]
    assert [found["b.md"][name] for name in labels] == ["key", 1, "rights", 1]


def test_sources_are_elsewhere_until_every_chunked_shard_was_staged_here(catalog: Catalog) -> None:
    def mark(stage: str, source: str, shards: list[int], fingerprint: str) -> None:
        with catalog.begin() as tx:
            marks.save_marks(tx, stage, INDEX, source, shards, fingerprint, 1)

    def elsewhere(space: str) -> list[str]:
        with catalog.begin() as tx:
            return staged.sources_elsewhere(tx, INDEX, space)

    assert elsewhere("aaaa") == []
    mark("chunk", "b", [0, 1], "rules")
    mark("chunk", "a", [0], "rules")
    assert elsewhere("aaaa") == ["a", "b"]
    mark("stage", "a", [0], "aaaa:layout")
    mark("stage", "b", [0], "aaaa:layout")
    assert elsewhere("aaaa") == ["b"]
    mark("stage", "b", [1], "bbbb:layout")
    assert elsewhere("aaaa") == ["b"]
    mark("stage", "b", [1], "aaaa:other layout")
    assert elsewhere("aaaa") == []
    assert elsewhere("bbbb") == ["a", "b"]
    assert elsewhere("aaa") == ["a", "b"]
    mark("chunk", "a", [1], "rules")
    assert elsewhere("aaaa") == ["a"]


def test_cutting_again_keeps_where_a_document_is_staged(catalog: Catalog) -> None:
    row = listed("a.md")
    save(catalog, row, parse=True)
    with catalog.begin() as tx:
        chunks.replace_chunks(tx, INDEX, row, [chunk(row["doc_id"], 0, "Hello")], "text", "rule")
    record(catalog, row, collection=FIRST, staged_key="key", access_key="rights")
    with catalog.begin() as tx:
        chunks.replace_chunks(tx, INDEX, row, [], "other", "rule")
    [found] = staged.stage_state(catalog, INDEX, SOURCE, [0])
    assert (found["i_chunked_from"], found["i_chunk_count"]) == ("other", 0)
    assert (found["i_collection"], found["i_staged_key"]) == (FIRST, "key")


def test_a_gone_document_is_in_the_state_until_it_is_forgotten(catalog: Catalog) -> None:
    row = listed("a.md")
    save(catalog, row, parse=True)
    with catalog.begin() as tx:
        chunks.replace_chunks(tx, INDEX, row, [chunk(row["doc_id"], 0, "Hello")], "text", "rule")
        documents.mark_gone(tx, [row["doc_id"]], 1)
    [found] = staged.stage_state(catalog, INDEX, SOURCE, [0])
    assert not found["live"]
    with catalog.begin() as tx:
        staged.forget_documents(tx, INDEX, [row["doc_id"]])
    assert staged.stage_state(catalog, INDEX, SOURCE, [0]) == []


def test_documents_without_a_place_in_the_index_are_found(catalog: Catalog) -> None:
    placed, outside, gone = listed("a.md"), listed("b.md"), listed("c.md")
    elsewhere = [listed("d.md", shard=3), listed("e.md", source="other")]
    save(catalog, placed, outside, gone, *elsewhere)
    with catalog.begin() as tx:
        chunks.replace_chunks(tx, INDEX, placed, [chunk(placed["doc_id"], 0, "Hello")], "text", "rule")
        documents.mark_gone(tx, [gone["doc_id"]], 1)
    [found] = staged.unstaged_documents(catalog, INDEX, SOURCE, [0, 1])
    assert (found["uri"], found["acl"], found["i_access_key"]) == ("b.md", ["group:staff"], None)
    second = staged.unstaged_documents(catalog, "second", SOURCE, [0, 1])
    assert sorted(row["uri"] for row in second) == ["a.md", "b.md"]
    only = [placed["doc_id"], outside["doc_id"]]
    assert [row["uri"] for row in staged.unstaged_documents(catalog, INDEX, SOURCE, [0], only)] == ["b.md"]
    assert staged.unstaged_documents(catalog, INDEX, SOURCE, [0], []) == []

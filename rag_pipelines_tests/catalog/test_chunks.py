"""Which documents must be cut and which texts embedded; what replacing chunks counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rag_pipelines.catalog import chunks, documents, reports
from rag_pipelines.catalog.store import Catalog
from rag_pipelines.core.ids import content_hash
from rag_pipelines_tests.catalog.rows import INDEX, SOURCE, chunk, listed, parsed, quarantine, refused, save

RULES = {"text/markdown": "headings1", "text/csv": "tokens1"}


def due(
    catalog: Catalog,
    index: str = INDEX,
    rules: Mapping[str, str] = RULES,
    shards: Sequence[int] = (0, 1, 2, 3),
) -> list[str]:
    return [row["uri"] for row in chunks.chunk_due(catalog, index, SOURCE, shards, rules)]


def cut(catalog: Catalog, row: Mapping[str, Any], *texts: str, index: str = INDEX) -> tuple[int, int]:
    """Replace the chunks of a document, as the pipeline does."""
    made = [chunk(row["doc_id"], position, text) for position, text in enumerate(texts)]
    with catalog.begin() as tx:
        stored = documents.document_row(catalog, row["doc_id"])
        assert stored is not None
        rule = RULES.get(stored["media_type"] or "")
        return chunks.replace_chunks(tx, index, stored, made, stored["parsed_hash"], rule)


def test_only_parsed_documents_are_due_and_each_index_has_its_own(catalog: Catalog) -> None:
    one, table = listed("a.md"), listed("b.csv", shard=1)
    save(catalog, one, table, listed("never-parsed.md"))
    with catalog.begin() as tx:
        documents.save_parsed(tx, [parsed(one), parsed(table, media_type="text/csv")])
    assert sorted(chunks.media_types(catalog, SOURCE)) == ["text/csv", "text/markdown"]
    assert chunks.media_types(catalog, "other") == []
    assert due(catalog) == ["a.md", "b.csv"]
    assert due(catalog, shards=[1]) == ["b.csv"]
    cut(catalog, one, "Hello")
    cut(catalog, table, "1,2")
    assert due(catalog) == []
    assert due(catalog, index="second") == ["a.md", "b.csv"]


def test_only_the_documents_that_were_named_are_looked_at(catalog: Catalog) -> None:
    rows = [listed(name) for name in ("a.md", "b.md", "c.md")]
    save(catalog, *rows, parse=True)
    only = [rows[1]["doc_id"], "unknown"]
    found = chunks.chunk_due(catalog, INDEX, SOURCE, [0], RULES, only)
    assert [row["uri"] for row in found] == ["b.md"]
    assert chunks.chunk_due(catalog, INDEX, SOURCE, [0], RULES, []) == []
    assert chunks.media_types(catalog, SOURCE, only) == ["text/markdown"]
    assert chunks.media_types(catalog, SOURCE, ["unknown"]) == []
    for row in rows:
        cut(catalog, row, "shared", row["uri"])
    due_texts = chunks.embedding_due(catalog, INDEX, SOURCE, [0], "model1", only)
    assert sorted(due_texts) == sorted([(content_hash("shared"), 3), (content_hash("b.md"), 3)])
    assert chunks.embedding_due(catalog, INDEX, SOURCE, [0], "model1", []) == []


def test_a_new_text_or_rule_makes_a_document_due_and_an_equal_text_does_not(catalog: Catalog) -> None:
    one, table = listed("a.md"), listed("b.csv")
    save(catalog, one, table)
    with catalog.begin() as tx:
        documents.save_parsed(tx, [parsed(one, text="same"), parsed(table, media_type="text/csv")])
    cut(catalog, one, "Hello")
    cut(catalog, table, "1,2")
    assert due(catalog, rules={**RULES, "text/csv": "tokens2"}) == ["b.csv"]
    assert due(catalog, rules={**RULES, "text/markdown": "headings2"}) == ["a.md"]
    with catalog.begin() as tx:
        documents.save_parsed(tx, [parsed(one, "markdown2", text="same")])
    assert due(catalog) == []
    with catalog.begin() as tx:
        documents.save_parsed(tx, [parsed(one, "markdown2", text="other")])
    assert due(catalog) == ["a.md"]


def test_replacing_counts_the_chunks_that_came_and_went(catalog: Catalog) -> None:
    row = listed("a.md")
    save(catalog, row, parse=True)
    assert cut(catalog, row, "one", "two", "three") == (3, 0)
    assert cut(catalog, row, "zero", "one", "three") == (1, 1)
    assert cut(catalog, row, "zero", "one", "three") == (0, 0)
    assert cut(catalog, row, index="second") == (0, 0)
    with catalog.begin() as tx:
        found = chunks.chunks_of(tx, INDEX, [row["doc_id"], "unknown"])
    assert [(c["ordinal"], c["text"]) for c in found[row["doc_id"]]] == [
        (0, "zero"),
        (1, "one"),
        (2, "three"),
    ]
    assert found[row["doc_id"]][2]["start"] == 200
    assert found[row["doc_id"]][2]["end"] == 205
    assert found[row["doc_id"]][2]["heading_path"] == ["Guide", "Leave"]
    assert found["unknown"] == []


def test_a_gone_document_is_due_until_its_chunks_are_gone(catalog: Catalog) -> None:
    row, empty = listed("a.md"), listed("empty.md")
    save(catalog, row, empty, parse=True)
    cut(catalog, row, "one")
    cut(catalog, empty)
    with catalog.begin() as tx:
        documents.mark_gone(tx, [row["doc_id"], empty["doc_id"]], 1)
    assert due(catalog) == ["a.md"]
    assert cut(catalog, row) == (0, 1)
    assert due(catalog) == []


def test_a_document_that_comes_back_before_it_was_staged_gets_its_chunks_again(catalog: Catalog) -> None:
    row = listed("a.md")
    save(catalog, row, parse=True)
    cut(catalog, row, "one")
    with catalog.begin() as tx:
        documents.mark_gone(tx, [row["doc_id"]], 1)
    cut(catalog, row)
    save(catalog, row)
    assert due(catalog) == ["a.md"]
    assert cut(catalog, row, "one") == (1, 0)
    assert due(catalog) == []


def test_a_refused_document_waits_for_another_text_or_rule(catalog: Catalog) -> None:
    row = listed("a.md")
    save(catalog, row, parse=True)
    text = content_hash("v1")
    quarantine(catalog, refused(row, "chunk", f"{text} headings1", index_name=INDEX))
    assert due(catalog) == []
    assert due(catalog, index="second") == ["a.md"]
    assert due(catalog, rules={**RULES, "text/markdown": "headings2"}) == ["a.md"]
    with catalog.begin() as tx:
        documents.save_parsed(tx, [parsed(row, text="other")])
    assert due(catalog) == ["a.md"]
    assert len(reports.quarantined(catalog)) == 1


def test_a_document_that_goes_back_to_its_good_text_leaves_the_quarantine(catalog: Catalog) -> None:
    row = listed("a.md")
    save(catalog, row, parse=True)
    cut(catalog, row, "one")
    with catalog.begin() as tx:
        documents.save_parsed(tx, [parsed(row, text="bad")])
    quarantine(
        catalog,
        refused(row, "chunk", f"{content_hash('bad')} headings1", index_name=INDEX),
        refused(row, "chunk", f"{content_hash('bad')} headings1", index_name="second"),
    )
    assert due(catalog) == []
    with catalog.begin() as tx:
        documents.save_parsed(tx, [parsed(row)])
    assert due(catalog) == []
    assert [found["index_name"] for found in reports.quarantined(catalog)] == ["second"]


def test_each_distinct_text_is_embedded_once_a_model(catalog: Catalog) -> None:
    one, other = listed("a.md", shard=0), listed("b.md", shard=1)
    save(catalog, one, other, parse=True)
    cut(catalog, one, "same", "only here")
    cut(catalog, other, "same")
    cut(catalog, other, "another index", index="second")
    same, only = content_hash("same"), content_hash("only here")

    def wanted(shards: Sequence[int] = (0, 1), model: str = "model1") -> list[tuple[str, int]]:
        return sorted(chunks.embedding_due(catalog, INDEX, SOURCE, shards, model))

    assert wanted() == sorted([(same, 3), (only, 3)])
    assert wanted([1]) == [(same, 3)]
    with catalog.begin() as tx:
        chunks.save_embeddings(tx, "model1", {same: b"12"})
    assert wanted() == [(only, 3)]
    assert len(wanted(model="model2")) == 2
    with catalog.begin() as tx:
        chunks.save_embeddings(tx, "model1", {same: b"other", only: b"\x00\xff"})
        assert chunks.load_embeddings(tx, "model1", [same, only, "unknown"]) == {
            same: b"12",
            only: b"\x00\xff",
        }
        assert chunks.load_embeddings(tx, "model2", [same, only]) == {}
    assert wanted() == []


def test_what_is_embedded_is_the_header_and_the_text(catalog: Catalog) -> None:
    row = listed("a.md")
    save(catalog, row, parse=True)
    plain, headed = chunk(row["doc_id"], 0, "Plain"), chunk(row["doc_id"], 1, "Text", header="Guide > Leave")
    with catalog.begin() as tx:
        chunks.replace_chunks(tx, INDEX, {**row, "parsed_hash": "x"}, [plain, headed], "x", "y")
        texts = chunks.embed_texts(tx, INDEX, [plain.embed_hash, headed.embed_hash, "unknown"])
    assert texts == {plain.embed_hash: "Plain", headed.embed_hash: "Guide > Leave\nText"}
    assert {name: content_hash(text) for name, text in texts.items()} == {name: name for name in texts}
    assert sorted(chunks.sample_chunk_texts(catalog, INDEX, 10)) == ["Guide > Leave\nText", "Plain"]
    assert len(list(chunks.sample_chunk_texts(catalog, INDEX, 1))) == 1


def test_thousands_of_chunks(catalog: Catalog) -> None:
    row = listed("a.md")
    save(catalog, row, parse=True)
    texts = [f"passage {number}" for number in range(3_000)]
    assert cut(catalog, row, *texts) == (3_000, 0)
    hashes = [content_hash(text) for text in texts]
    with catalog.begin() as tx:
        chunks.save_embeddings(tx, "model1", dict.fromkeys(hashes[:2_990], b"12"))
        assert len(chunks.load_embeddings(tx, "model1", hashes)) == 2_990
        assert len(chunks.embed_texts(tx, INDEX, hashes)) == 3_000
    assert len(chunks.embedding_due(catalog, INDEX, SOURCE, [0], "model1")) == 10


def test_a_document_that_came_back_with_other_bytes_has_no_text_and_loses_its_chunks(
    catalog: Catalog,
) -> None:
    same, other = listed("a.md"), listed("b.md")
    save(catalog, same, other, parse=True)
    for row in (same, other):
        cut(catalog, row, "one")
    ids = [row["doc_id"] for row in (same, other)]
    with catalog.begin() as tx:
        documents.mark_gone(tx, ids, 1)
    save(catalog, same, listed("b.md", "v2"))
    with catalog.begin() as tx:
        documents.forget_past(tx, ids)
    rows = [documents.document_row(catalog, doc_id) for doc_id in ids]
    assert [row and row["parsed_hash"] for row in rows] == [content_hash("v1"), None]
    assert [row and row["raw_version"] for row in rows] == ["v1", None]
    assert due(catalog) == ["b.md"]
    assert cut(catalog, other) == (0, 1)
    assert due(catalog) == []

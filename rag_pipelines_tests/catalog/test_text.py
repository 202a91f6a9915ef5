"""Whatever characters sources and documents hold, one of them never fails the batch of the others."""

from __future__ import annotations

from typing import Any

import pytest

from rag_pipelines.catalog import chunks, documents, reports
from rag_pipelines.catalog.store import Catalog, reading
from rag_pipelines.catalog.values import storable, storable_json
from rag_pipelines.core.ids import document_id
from rag_pipelines_tests.catalog.rows import INDEX, SOURCE, chunk, listed, parsed, quarantine, refused, save

UNCHANGED = [
    "Größe ✓ 🙂 \u202e عربي",
    "'; DROP TABLE documents; --",
    '100% "quoted" \\ back :name ?',
    " spaces \t and\nlines ",
    "\ufffe\uffff\x01\x7f",
    "x" * 100_000,
    "",
]
REPLACED = [("a\x00b", "a\ufffdb"), ("\ud83d half \udc00", "\ufffd half \ufffd"), ("\x00", "\ufffd")]
TEXTS = [*((text, text) for text in UNCHANGED), *REPLACED]
IDS = [ascii(text)[:20] for text, _ in TEXTS]


@pytest.mark.parametrize(("text", "stored"), TEXTS, ids=IDS)
def test_documents_hold_any_text(catalog: Catalog, text: str, stored: str) -> None:
    uri = f"{text}.md"
    row = listed(uri, f"v{text}", metadata={text: [text, {"deep": text}]}, tenant=f"t{text}", acl=[text])
    save(catalog, row, listed("neighbour.md"))
    with catalog.begin() as tx:
        documents.save_parsed(tx, [parsed(row, title=text, link=text, revision=text, media_type=text)])
        documents.update_source(tx, SOURCE, error=text, probe_token=text)
    found = documents.document_row(catalog, document_id(SOURCE, uri))
    assert found is not None
    assert (found["uri"], found["version"], found["tenant"]) == (f"{stored}.md", f"v{stored}", f"t{stored}")
    assert (found["title"], found["link"], found["revision"]) == (stored, stored, stored)
    assert found["metadata"] == {stored: [stored, {"deep": stored}]}
    assert found["acl"] == [stored]
    assert found["media_type"] == stored[:255]
    source = documents.source_row(catalog, SOURCE)
    assert source is not None
    assert (source["error"], source["probe_token"]) == (stored, stored)


@pytest.mark.parametrize(("text", "stored"), TEXTS, ids=IDS)
def test_refusals_hold_any_text_and_still_match_their_input(catalog: Catalog, text: str, stored: str) -> None:
    row = listed("a.md", f"v{text}")
    save(catalog, row)
    quarantine(catalog, refused(row, "parse", f"v{text} markdown1 limits1", reason=text))
    assert documents.parse_due(catalog, SOURCE, [0], {".md": "markdown1"}, "limits1") == []
    assert [found["reason"] for found in reports.quarantined(catalog)] == [stored]
    with catalog.begin() as tx:
        documents.replace_exclusions(tx, SOURCE, {f"{text}.tmp": text})
        documents.replace_exclusions(tx, SOURCE, {f"{text}.tmp": text})
    [excluded] = reports.excluded(catalog, SOURCE)
    assert (excluded["uri"], excluded["reason"]) == (f"{stored}.tmp", stored)


@pytest.mark.parametrize(("text", "stored"), TEXTS, ids=IDS)
def test_chunks_hold_any_text_at_its_offsets(catalog: Catalog, text: str, stored: str) -> None:
    row = listed("a.md")
    save(catalog, row, parse=True)
    made = chunk(row["doc_id"], 0, text, header=text)
    with catalog.begin() as tx:
        chunks.replace_chunks(tx, INDEX, row, [made], "hash", "fp")
    with reading(catalog.engine) as tx:
        [found] = chunks.chunks_of(tx, INDEX, [row["doc_id"]])[row["doc_id"]]
        texts = chunks.embed_texts(tx, INDEX, [made.embed_hash])
    assert (found["text"], found["header"]) == (stored, stored)
    assert found["end"] - found["start"] == len(found["text"])
    assert texts == {made.embed_hash: f"{stored}\n{stored}" if stored else stored}


def test_uris_longer_than_an_index_entry(catalog: Catalog) -> None:
    """Postgres refuses index entries above 2,704 bytes, after compression: the text must not repeat."""
    uri = "".join(document_id("s", str(number)) for number in range(250))
    save(catalog, listed(uri))
    quarantine(catalog, refused(listed(uri), "parse", uri))
    with catalog.begin() as tx:
        documents.replace_exclusions(tx, SOURCE, {f"{uri}.tmp": "not included"})
    assert [row["uri"] for row in reports.excluded(catalog, SOURCE)] == [f"{uri}.tmp"]


def test_exclusions_that_only_differ_in_what_cannot_be_stored(catalog: Catalog) -> None:
    with catalog.begin() as tx:
        documents.replace_exclusions(tx, SOURCE, {"a\x00": "one", "a\ufffd": "two"})
    found = [(row["uri"], row["reason"]) for row in reports.excluded(catalog, SOURCE)]
    assert sorted(found) == [("a\ufffd", "one"), ("a\ufffd", "two")]


def test_descriptions_are_cut_to_their_columns_on_both_engines(catalog: Catalog) -> None:
    row = listed("a.md", kind="." + "k" * 300)
    save(catalog, row)
    with catalog.begin() as tx:
        documents.save_parsed(tx, [parsed(row, parser="p" * 300, media_type="m" * 300, language="l" * 300)])
    found = documents.document_row(catalog, row["doc_id"])
    assert found is not None
    lengths = {name: len(found[name]) for name in ("kind", "parser", "media_type", "language")}
    assert lengths == {"kind": 255, "parser": 255, "media_type": 255, "language": 16}


def test_numbers_that_json_lacks_become_null(catalog: Catalog) -> None:
    metadata: dict[str, Any] = {"a": float("nan"), "b": [float("inf"), 1.5], "c": True, "d": None, "e": 2**60}
    row = listed("a.md", metadata=metadata)
    save(catalog, row)
    found = documents.document_row(catalog, row["doc_id"])
    assert found is not None
    assert found["metadata"] == {"a": None, "b": [None, 1.5], "c": True, "d": None, "e": 2**60}


def test_cleaning_keeps_the_length_and_what_is_clean() -> None:
    for text, stored in TEXTS:
        assert storable(text) == stored
        assert len(storable(text)) == len(text)
    assert storable_json(("a\x00", {"\x00": 1})) == ["a\ufffd", {"\ufffd": 1}]

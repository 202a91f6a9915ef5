from __future__ import annotations

import gzip
import io
import json
import tracemalloc
import uuid
from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import ValidationError

from rag_pipelines.core.errors import SourceError
from rag_pipelines.core.ports import FetchFailure, Source
from rag_pipelines.core.types import Excluded, RawDocument, SourceItem
from rag_pipelines.sources import OpenContext
from rag_pipelines.sources.records import RecordsParams
from rag_pipelines_tests.shared_data import shared_data
from rag_pipelines_tests.sources.conformance import Corpus, SourceConformance, items, texts, versions
from rag_pipelines_tests.sources.openers import (
    FIELDS,
    WRITERS,
    open_records,
    write_csv,
    write_jsonl,
    write_parquet,
)


class RecordsCorpus:
    has_probe = True

    def __init__(self, context: OpenContext, kind: str) -> None:
        self.context = context
        self.kind = kind
        self.rows: dict[str, str] = {}

    def put(self, changes: Mapping[str, str | None]) -> None:
        for name, text in changes.items():
            if text is None:
                del self.rows[name]
            else:
                self.rows[name] = "" if name.endswith(".tmp") else text
        path = self.context.base_dir / f"export.{self.kind}"
        WRITERS[self.kind](path, [{"id": name, "text": text} for name, text in self.rows.items()])

    def open(self) -> Source:
        return open_records(self.context, f"export.{self.kind}")

    def open_broken(self) -> Source:
        return open_records(self.context, f"nowhere.{self.kind}")


class TestRecords(SourceConformance):
    @pytest.fixture(params=["jsonl", "csv", "parquet"])
    def corpus(self, context: OpenContext, request: pytest.FixtureRequest) -> Corpus:
        return RecordsCorpus(context, request.param)


def test_a_folder_and_a_glob(context: OpenContext) -> None:
    root = context.base_dir / "export"
    (root / "part=1").mkdir(parents=True)
    write_jsonl(root / "part=1" / "a.jsonl", [{"id": "1", "text": "one"}])
    write_csv(root / "b.csv", [{"id": "2", "text": "two"}])
    write_parquet(root / "c.parquet", [{"id": "3", "text": "three"}])
    (root / "_SUCCESS").touch()
    source = open_records(context, "export")
    assert texts(source, items(source)) == {"1": "one", "2": "two", "3": "three"}
    assert [row.uri for row in source.list() if isinstance(row, Excluded)] == ["_SUCCESS"]
    assert set(versions(open_records(context, "export/**/*.jsonl"))) == {"1"}
    assert set(versions(open_records(context, "export", format="csv"))) == {"2"}
    assert set(versions(open_records(context, str(root / "*.{csv,parquet}")))) == {"2", "3"}
    with pytest.raises(SourceError, match="no file matches"):
        list(open_records(context, "export/*.tsv").list())
    write_jsonl(root / "d.jsonl", [{"id": "2", "text": "again"}])
    with pytest.raises(SourceError, match=r"'2': b\.csv line 2 and d\.jsonl line 1"):
        list(source.list())


def test_a_link_to_the_newest_export_is_followed(context: OpenContext) -> None:
    elsewhere = context.base_dir.parent / "exports"
    elsewhere.mkdir()
    write_jsonl(elsewhere / "2026.jsonl", [{"id": "1", "text": "one"}])
    (context.base_dir / "latest.jsonl").symlink_to(elsewhere / "2026.jsonl")
    source = open_records(context, "latest.jsonl")
    assert texts(source, items(source)) == {"1": "one"}


def test_on_an_object_store(context: OpenContext) -> None:
    import fsspec

    fs = fsspec.filesystem("memory")
    url = f"memory://{uuid.uuid4()}/export"
    buffer = io.BytesIO()
    with gzip.open(buffer, "wt") as out:
        out.write('{"id": "1", "text": "one"}\n{"id": "2", "text": "two"}\n')
    fs.pipe_file(f"{url}/a.jsonl.gz", buffer.getvalue())
    fs.pipe_file(f"{url}/b.csv", b"id,text\n3,three\n")
    write_parquet(context.base_dir / "c.parquet", [{"id": "4", "text": "four"}])
    fs.pipe_file(f"{url}/c.parquet", (context.base_dir / "c.parquet").read_bytes())
    source = open_records(context, url)
    expected = {"1": "one", "2": "two", "3": "three", "4": "four"}
    assert texts(source, items(source)) == expected
    assert texts(open_records(context, url), items(source)) == expected
    assert set(versions(open_records(context, f"{url}/*.csv"))) == {"3"}
    assert set(versions(open_records(context, f"{url}/a.jsonl.gz"))) == {"1", "2"}


def test_a_file_rewritten_between_listing_and_fetching(context: OpenContext) -> None:
    path = context.base_dir / "r.jsonl"
    write_jsonl(path, [{"id": str(n), "text": f"old {n}"} for n in range(5)])
    source = open_records(context, "r.jsonl")
    listed = items(source)
    write_jsonl(path, [{"id": str(n), "text": f"new {n}"} for n in (4, 3, 1, 0)])
    results = list(source.fetch(listed))
    assert [r.data.decode() if isinstance(r, RawDocument) else str(r.error)[:16] for r in results] == [
        "new 0",
        "new 1",
        "record 2 is gone",
        "new 3",
        "new 4",
    ]
    assert versions(source) == {r.uri: r.version for r in results if isinstance(r, RawDocument)}
    write_jsonl(path, [{"id": "1", "text": ""}, {"id": "2", "text": "back"}])
    (failed,) = source.fetch(listed[1:2])
    assert isinstance(failed, FetchFailure)
    assert "no text" in str(failed.error)


def test_fetch_without_change_reads_only_what_it_is_asked_for(
    context: OpenContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rag_pipelines.sources.record_readers import JsonLinesReader

    write_jsonl(context.base_dir / "r.jsonl", [{"id": str(n), "text": f"text {n}"} for n in range(100)])
    source = open_records(context, "r.jsonl")
    listed = items(source)
    decoded: list[int] = []
    decode = JsonLinesReader._decode

    def counted(self: JsonLinesReader, raw: bytes, number: int) -> dict[str, Any]:
        decoded.append(number)
        return decode(self, raw, number)

    monkeypatch.setattr(JsonLinesReader, "_decode", counted)
    assert len(texts(source, [listed[90], listed[10]])) == 2
    assert decoded == [11, 91]


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_texts_are_not_held_in_memory(context: OpenContext, kind: str) -> None:
    """20 MB of text pass through with a part of it in use."""
    rows = [{"id": str(n), "text": f"{n} " + "word " * 2000} for n in range(2000)]
    path = context.base_dir / f"r.{kind}"
    if kind == "parquet":
        write_parquet(path, rows, row_group_size=2000)
    else:
        WRITERS[kind](path, rows)
    del rows
    source = open_records(context, f"r.{kind}")
    tracemalloc.start()
    try:
        count = sum(isinstance(row, SourceItem) for row in source.list())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 2000
    assert peak < 8_000_000
    assert not list(context.work_dir.iterdir())


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"fields": {"id": "id"}}, "text"),
        ({"fields": {"id": "id", "text": "t", "txet": "x"}}, "Extra inputs"),
        ({"format": "xml"}, "jsonl"),
        ({"media_type": "markdown"}, "pattern"),
        ({"delimiter": "::"}, "at most 1"),
    ],
)
def test_wrong_parameters(params: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        RecordsParams(**{"url": "x", "fields": FIELDS, **params})


def test_an_unknown_suffix_needs_the_format(context: OpenContext) -> None:
    write_jsonl(context.base_dir / "export.dat", [{"id": "1", "text": "one"}])
    with pytest.raises(SourceError, match="set `format`"):
        list(open_records(context, "export.dat").list())
    assert set(versions(open_records(context, "export.dat", format="jsonl"))) == {"1"}


def test_a_real_corpus(context: OpenContext) -> None:
    corpus = shared_data("retrieval", "scifact", "corpus.jsonl")
    source = open_records(context, str(corpus), {"id": "_id", "title": "title", "text": "text"})
    listed = items(source)
    assert len(listed) == 5183
    wanted = listed[::-500]
    lines = {str(row["_id"]): row for row in map(json.loads, corpus.read_text("utf-8").splitlines())}
    for item, raw in zip(wanted, source.fetch(wanted), strict=True):
        assert isinstance(raw, RawDocument)
        line = lines[item.uri]
        assert raw.data.decode().endswith(line["text"])
        assert raw.data.decode().startswith(" ".join(line["title"].split()))
        assert raw.title == line["title"].strip()

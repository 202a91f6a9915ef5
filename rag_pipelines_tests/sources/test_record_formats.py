from __future__ import annotations

import gzip
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from rag_pipelines.core.errors import SourceError
from rag_pipelines.core.types import RawDocument
from rag_pipelines.sources import OpenContext
from rag_pipelines_tests.sources.conformance import items, texts, versions
from rag_pipelines_tests.sources.openers import (
    FIELDS,
    WRITERS,
    open_records,
    write_parquet,
)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"id": "1", "text": "x"}\n{"id": "2", "te\n', r"r\.jsonl, line 2: is not JSON"),
        ('{"id": "1", "text": "x"}\n\n[1]\n', r"r\.jsonl, line 3: is not a JSON object"),
        (
            '{"id": "1", "text": "x"}\n{"text": "y"}\n',
            r"r\.jsonl, line 2: has no id \(field 'id'\); its fields are: text",
        ),
        ('{"id": true, "text": "x"}\n', r"line 1: has no id"),
        ('{"id": "1", "txt": "x"}\n', r"no record of r\.jsonl has a field 'text'"),
        (
            '{"id": "1", "text": "x"}\n{"id": 2, "text": "y"}\n{"id": "1", "text": "z"}\n',
            r"'1': r\.jsonl line 1 and r\.jsonl line 3",
        ),
        ('{"id": "1", "text": "' + "\\", r"line 1: is not JSON"),
    ],
)
def test_a_broken_file_raises_and_names_the_line(context: OpenContext, content: str, message: str) -> None:
    (context.base_dir / "r.jsonl").write_text(content)
    with pytest.raises(SourceError, match=message):
        list(open_records(context, "r.jsonl").list())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"id,body\n1,x\n", r"has no column 'text'; it has body, id"),
        (b"id,text,text\n1,x,y\n", r"occurs twice"),
        (b"id,text\n1,x\n2\n", r"r\.csv, line 3: has 1 fields, the header has 2"),
        (b'id,text\n1,"x\ny"\n2,"open\n', r"r\.csv, line 4: is not CSV"),
        (b"id,text\n1,caf\xe9\n", r"r\.csv, line 2: is not utf-8 .*set `encoding`"),
    ],
)
def test_a_broken_csv_raises_and_names_the_line(context: OpenContext, content: bytes, message: str) -> None:
    (context.base_dir / "r.csv").write_bytes(content)
    with pytest.raises(SourceError, match=message):
        list(open_records(context, "r.csv").list())


def test_csv_as_it_comes(context: OpenContext) -> None:
    content = b'\xef\xbb\xbfid;text\r\n1;"line one\r\nsays ""hi"""\r\n\r\n2;' + b"long " * 40_000 + b"\r\n"
    (context.base_dir / "r.csv").write_bytes(content)
    source = open_records(context, "r.csv", delimiter=";")
    found = texts(source, items(source)[::-1])
    assert found == {"1": 'line one\r\nsays "hi"', "2": "long " * 40_000}
    (context.base_dir / "r.tsv").write_bytes(b"id\ttext\n1\tcaf\xe9\n")
    latin = open_records(context, "r.tsv", encoding="latin-1")
    assert texts(latin, items(latin)) == {"1": "café"}


def test_json_as_other_writers_emit_it(context: OpenContext) -> None:
    content = b'\xef\xbb\xbf{"id": 7, "text": "x", "score": NaN}\r\n\n{"id": "8", "text": "a\\ud800b"}'
    (context.base_dir / "r.jsonl").write_bytes(content)
    source = open_records(context, "r.jsonl", {**FIELDS, "metadata": ["score"]})
    assert texts(source, items(source)) == {"7": "x", "8": "a?b"}
    assert items(source)[0].metadata == {"score": None}


def test_parquet_types_and_nested_columns(context: OpenContext) -> None:
    rows = [
        {"id": n, "doc": {"text": f"text {n}", "when": datetime(2026, 1, n, tzinfo=UTC)}} for n in range(1, 8)
    ]
    write_parquet(context.base_dir / "r.parquet", rows, row_group_size=3)
    source = open_records(
        context,
        "r.parquet",
        {"id": "id", "text": "doc.text", "modified_at": "doc.when", "metadata": ["doc.when"]},
    )
    listed = items(source)
    assert [item.uri for item in listed] == ["1", "2", "3", "4", "5", "6", "7"]
    assert listed[1].modified_at == datetime(2026, 1, 2, tzinfo=UTC)
    assert listed[1].metadata == {"doc.when": "2026-01-02T00:00:00+00:00"}
    for order in ([6, 0, 3, 4], [4, 5], [2, 2, 0]):
        wanted = [listed[n] for n in order]
        assert [raw.data.decode() for raw in source.fetch(wanted) if isinstance(raw, RawDocument)] == [
            f"text {n + 1}" for n in order
        ]
    (context.base_dir / "r.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(SourceError, match=r"not a Parquet file"):
        list(source.list())


def test_parquet_goes_on_where_the_last_batch_ended(
    context: OpenContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rag_pipelines.sources import records
    from rag_pipelines.sources.record_readers import ParquetReader

    write_parquet(context.base_dir / "r.parquet", [{"id": str(n), "text": str(n)} for n in range(50)], 10)
    source = open_records(context, "r.parquet")
    listed = items(source)
    monkeypatch.setattr(records, "_BATCH_ITEMS", 7)
    started: list[int] = []
    begin = ParquetReader._from_group

    def counted(self: ParquetReader, group: int) -> Any:
        started.append(group)
        return begin(self, group)

    monkeypatch.setattr(ParquetReader, "_from_group", counted)
    assert list(texts(source, listed)) == [str(n) for n in range(50)]
    assert started == [0]
    assert list(texts(source, listed[::-1])) == [str(n) for n in range(49, -1, -1)]


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz"])
@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_compressed_files(context: OpenContext, kind: str, suffix: str) -> None:
    import bz2
    import lzma

    plain = context.base_dir / f"plain.{kind}"
    WRITERS[kind](plain, [{"id": str(n), "text": f"text {n}"} for n in range(100)])
    packers: dict[str, Callable[[bytes], bytes]] = {
        ".gz": gzip.compress,
        ".bz2": bz2.compress,
        ".xz": lzma.compress,
    }
    packed = context.base_dir / f"r.{kind}{suffix}"
    packed.write_bytes(packers[suffix](plain.read_bytes()))
    source = open_records(context, f"r.{kind}{suffix}")
    listed = items(source)
    assert texts(source, [listed[99], listed[0]]) == {"99": "text 99", "0": "text 0"}
    assert versions(source) == versions(open_records(context, f"plain.{kind}"))
    packed.write_bytes(packed.read_bytes()[:-20])
    with pytest.raises(SourceError, match=f"r.{kind}{suffix}"):
        list(source.list())

"""Opening connectors, and writing what they read."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from rag_pipelines.sources import OpenContext
from rag_pipelines.sources.filesystem import FilesystemParams, FilesystemSource
from rag_pipelines.sources.git import GitParams, GitSource
from rag_pipelines.sources.record_fields import RecordFields
from rag_pipelines.sources.records import RecordsParams, RecordsSource

FIELDS = {"id": "id", "text": "text"}


def open_filesystem(context: OpenContext, url: str, **params: Any) -> FilesystemSource:
    """The connector with these parameters."""
    return FilesystemSource(context, FilesystemParams(url=url, **params))


def open_git(context: OpenContext, url: str, **params: Any) -> GitSource:
    """The connector with these parameters."""
    return GitSource(context, GitParams(url=url, **params))


def open_records(
    context: OpenContext, url: str, fields: dict[str, Any] | None = None, **params: Any
) -> RecordsSource:
    """The connector with these parameters; fields `id` and `text` unless told."""
    return RecordsSource(context, RecordsParams(url=url, fields=RecordFields(**(fields or FIELDS)), **params))


def write_jsonl(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["id", "text"])
        writer.writeheader()
        writer.writerows(rows)


def write_parquet(path: Path, rows: list[dict[str, Any]], row_group_size: int = 2) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = None if rows else pa.schema([("id", pa.string()), ("text", pa.string())])
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path, row_group_size=row_group_size)


WRITERS = {"jsonl": write_jsonl, "csv": write_csv, "parquet": write_parquet}

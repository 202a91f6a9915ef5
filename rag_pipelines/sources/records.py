"""Connector `records`: JSONL, CSV or Parquet files, one document a record."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Literal

from pydantic import Field

from rag_pipelines.config.base import Model
from rag_pipelines.core.errors import SourceError
from rag_pipelines.core.ports import FetchFailure
from rag_pipelines.core.types import Excluded, RawDocument, SourceItem
from rag_pipelines.sources.connector import OpenContext
from rag_pipelines.sources.failures import as_source_error
from rag_pipelines.sources.record_fields import Record, RecordFields, RecordMapper, Unusable
from rag_pipelines.sources.record_files import RecordFile, RecordFiles
from rag_pipelines.sources.record_index import Location, RecordIndex
from rag_pipelines.sources.record_readers import CsvReader, JsonLinesReader, ParquetReader, Reader
from rag_pipelines.sources.storage import StorageOptions, StorageOptionsEnv, StorageUrl, read_options

_BATCH_ITEMS = 2048
_BATCH_BYTES = 32 * 2**20
_OPEN_FILES = 32
_SUFFIXES = {"text/plain": ".txt", "text/markdown": ".md", "text/html": ".html", "application/json": ".json"}


Discovered = tuple[list[RecordFile], list[Excluded]]


class RecordsParams(Model):
    """Which files, and which field is what."""

    url: StorageUrl
    fields: RecordFields
    format: Literal["auto", "jsonl", "csv", "parquet"] = Field(
        default="auto", description="auto: by the suffix"
    )
    media_type: str = Field(default="text/plain", pattern=r"^[\w.+-]+/[\w.+-]+$", description="of the text")
    version_field: str | None = Field(
        default=None,
        description="a field that changes with every edit; without it, the hash of what is mapped",
    )
    encoding: Literal["utf-8", "cp1252", "latin-1"] = Field(default="utf-8", description="CSV only")
    delimiter: str | None = Field(
        default=None, min_length=1, max_length=1, description="CSV; a comma, tab for .tsv"
    )
    storage_options: StorageOptions = Field(default_factory=dict)
    storage_options_env: StorageOptionsEnv = Field(default_factory=dict)


class RecordsSource:
    """Lists and reads records; the uri of a document is its mapped uri or its id."""

    def __init__(self, context: OpenContext, params: RecordsParams) -> None:
        self._params = params
        self._work_dir = context.work_dir
        self._files = RecordFiles(
            params.url,
            context.base_dir,
            params.format,
            lambda: read_options(params.storage_options, params.storage_options_env),
        )
        self._index: RecordIndex | None = None
        self._listed: Sequence[RecordFile] = ()

    def probe(self) -> str | None:
        """Hash over the names and etags or times of the files; None where the store tells neither."""
        total = hashlib.sha256()
        files, left_out = self._discover()
        for file in files:
            if file.token is None:
                return None
            total.update(f"{len(file.name)}:{file.name}{len(file.token)}:{file.token}".encode())
        for row in left_out:
            total.update(f"-{len(row.uri)}:{row.uri}".encode())
        return total.hexdigest()

    def list(self) -> Iterator[SourceItem | Excluded]:
        """Every record. Raises SourceError at the end where two of them have the same uri."""
        files, left_out = self._discover()
        index = RecordIndex(self._work_dir)
        mapper = self._mapper()
        rows = 0
        try:
            yield from left_out
            for number, file in enumerate(files):
                for row, offset, record in self._rows(file, mapper, number):
                    rows += 1
                    index.add(record.uri, Location(number, row, offset))
                    yield (
                        Excluded(record.uri, record.reason) if isinstance(record, Unusable) else _item(record)
                    )
            if rows and not mapper.text_seen:
                raise SourceError(
                    f"no record of {self._params.url} has a field {self._params.fields.text!r}; correct it"
                )
            self._check_unique(index, files)
        except BaseException:
            index.close()
            raise
        self._replace_index(index, files)

    def fetch(self, items: Iterable[SourceItem]) -> Iterator[RawDocument | FetchFailure]:
        """The records, from the places where they were listed if no file was written since."""
        readers: dict[int, Reader] = {}
        try:
            if self._index is None or self._discover()[0] != self._listed or self._unknown():
                for _row in self.list():
                    pass
            for batch in _batches(items):
                yield from self._fetch_batch(batch, readers)
        except (OSError, EOFError, ValueError) as error:
            raise as_source_error(error, f"cannot read {self._params.url}") from error
        finally:
            for reader in readers.values():
                reader.close()

    def close(self) -> None:
        """Drop the index."""
        self._replace_index(None, ())
        self._files.close()

    def _mapper(self) -> RecordMapper:
        return RecordMapper(self._params.fields, self._params.media_type, self._params.version_field)

    def _unknown(self) -> bool:
        return any(file.token is None for file in self._listed)

    def _discover(self) -> Discovered:
        try:
            return self._files.discover()
        except Exception as error:
            raise as_source_error(error, f"cannot list {self._params.url}") from error

    def _replace_index(self, index: RecordIndex | None, files: Sequence[RecordFile]) -> None:
        if self._index is not None:
            self._index.close()
        self._index, self._listed = index, files

    def _rows(
        self, file: RecordFile, mapper: RecordMapper, number: int
    ) -> Iterator[tuple[int, int, Record | Unusable]]:
        reader = self._reader(file, seekable=False)
        try:
            for row, offset, fields in reader.rows():
                try:
                    yield row, offset, mapper.map(fields)
                except ValueError as error:
                    raise SourceError(
                        f"{file.name}, {reader.unit} {row}: {error}; correct `fields` or the record"
                    ) from error
        except Exception as error:
            raise as_source_error(error, f"cannot read {file.name}") from error
        finally:
            reader.close()

    def _reader(self, file: RecordFile, *, seekable: bool) -> Reader:
        names = self._mapper().names()
        try:
            stream = self._files.open(file, seekable=seekable, scratch=self._work_dir)
            if file.kind == "parquet":
                return ParquetReader(file.name, stream, names)
            if file.kind == "csv":
                return CsvReader(file.name, stream, names, self._params.encoding, self._params.delimiter)
            return JsonLinesReader(file.name, stream)
        except Exception as error:
            raise as_source_error(error, f"cannot open {file.name}") from error

    def _check_unique(self, index: RecordIndex, files: Sequence[RecordFile]) -> None:
        twice = index.finish()
        if twice is not None:
            uri, first, second = twice
            places = " and ".join(
                f"{files[at.file].name} {'row' if files[at.file].kind == 'parquet' else 'line'} {at.row}"
                for at in (first, second)
            )
            raise SourceError(
                f"two records are {uri!r}: {places}; map `fields.id` (or `fields.uri`) to something unique"
            )

    def _fetch_batch(
        self, batch: Sequence[SourceItem], readers: dict[int, Reader]
    ) -> Iterator[RawDocument | FetchFailure]:
        """Reads in the order of the files, yields in the order of the items."""
        index = self._index
        places = [None if index is None else index.find(item.uri) for item in batch]
        mapper = self._mapper()
        records: dict[Location, Record | Unusable] = {}
        wanted = sorted({place for place in places if place is not None})
        for number, group in groupby(wanted, key=lambda place: place.file):
            if number not in readers:
                if len(readers) >= _OPEN_FILES:
                    readers.pop(next(iter(readers))).close()
                readers[number] = self._reader(self._listed[number], seekable=True)
            in_file = tuple(group)
            for place, fields in zip(in_file, readers[number].pick(in_file), strict=False):
                records[place] = mapper.map(fields)
        for item, at in zip(batch, places, strict=True):
            yield self._result(item, None if at is None else records.get(at))

    def _result(self, item: SourceItem, record: Record | Unusable | None) -> RawDocument | FetchFailure:
        if record is None:
            gone = f"record {item.uri} is gone since it was listed; the next sync will remove it"
            return FetchFailure(item, SourceError(gone))
        if record.uri != item.uri:
            moved = f"the file of record {item.uri} was written while it was read; the next sync tries again"
            return FetchFailure(item, SourceError(moved, transient=True))
        if isinstance(record, Unusable):
            return FetchFailure(
                item, SourceError(f"record {item.uri} cannot be used any more: {record.reason}")
            )
        stem = re.sub(r"[^\w.-]+", "_", record.record_id)[:100]
        return RawDocument(
            uri=record.uri,
            version=record.version,
            data=record.data,
            name=stem + _SUFFIXES.get(self._params.media_type, ""),
            media_type=self._params.media_type,
            title=record.title,
            link=record.uri if re.match(r"^https?://", record.uri) else None,
        )


def _item(record: Record) -> SourceItem:
    return SourceItem(
        uri=record.uri,
        version=record.version,
        modified_at=record.modified_at,
        size=len(record.data),
        acl=record.acl,
        tenant=record.tenant,
        classification=record.classification,
        metadata=record.metadata,
    )


def _batches(items: Iterable[SourceItem]) -> Iterator[list[SourceItem]]:
    batch: list[SourceItem] = []
    size = 0
    for item in items:
        batch.append(item)
        size += 65536 if item.size is None else item.size
        if len(batch) >= _BATCH_ITEMS or size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch

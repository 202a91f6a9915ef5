"""Reading JSON Lines, CSV and Parquet: all rows in order, or some rows by their place."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any, Protocol

import msgspec

from rag_pipelines.core.errors import SourceError
from rag_pipelines.sources.record_index import Location

MAX_LINE = 256 * 2**20
_BOM = b"\xef\xbb\xbf"
_PARQUET_BATCH = 256

Row = tuple[int, int, dict[str, Any]]


class Reader(Protocol):
    """One open file."""

    unit: str

    def rows(self) -> Iterator[Row]:
        """Row number, byte offset and fields of every record, in order."""

    def pick(self, places: Iterable[Location]) -> Iterator[dict[str, Any]]:
        """The records at these places of this file, which come in ascending order."""

    def close(self) -> None:
        """Close the file."""


class JsonLinesReader:
    """One JSON object a line, UTF-8; blank lines are skipped."""

    unit = "line"

    def __init__(self, name: str, stream: IO[bytes]) -> None:
        self._name = name
        self._stream = stream
        self._decoder = msgspec.json.Decoder()

    def rows(self) -> Iterator[Row]:
        """Raises SourceError that names the line which is no JSON object."""
        offset = 0
        for number, raw in enumerate(_lines(self._stream, self._name), start=1):
            if not raw.isspace():
                yield number, offset, self._decode(raw, number)
            offset += len(raw)

    def pick(self, places: Iterable[Location]) -> Iterator[dict[str, Any]]:
        """Seeks."""
        for place in places:
            self._stream.seek(place.offset)
            yield self._decode(self._stream.readline(), place.row)

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def _decode(self, raw: bytes, number: int) -> dict[str, Any]:
        raw = raw.removeprefix(_BOM)
        try:
            record = self._decoder.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError):
            record = self._decode_leniently(raw, number)
        if not isinstance(record, dict):
            raise SourceError(f"{self._name}, line {number}: is not a JSON object; write one object a line")
        return record

    def _decode_leniently(self, raw: bytes, number: int) -> Any:
        """NaN and lone surrogates, which other writers emit, are read by the standard library."""
        try:
            return json.loads(raw)
        except (ValueError, RecursionError) as error:
            raise SourceError(
                f"{self._name}, line {number}: is not JSON ({error}); export the file again or mend the line"
            ) from error


class CsvReader:
    """A header and rows of the same length; quoted fields may hold line breaks."""

    unit = "line"

    def __init__(
        self, name: str, stream: IO[bytes], names: Iterable[str], encoding: str, delimiter: str | None
    ) -> None:
        csv.field_size_limit(MAX_LINE)
        self._name = name
        self._stream = stream
        self._encoding = encoding
        self._delimiter = delimiter or ("\t" if ".tsv" in name.lower() else ",")
        self._header: list[str] = []
        self._names = tuple(names)

    def rows(self) -> Iterator[Row]:
        """Raises SourceError that names the line which has too many or too few fields."""
        self._stream.seek(0)
        cursor = _CsvCursor(self._stream, self._name, self._encoding, self._delimiter, 0, 0)
        header = cursor.next()
        if header is None:
            return
        self._check_header(header[1])
        while (found := cursor.next()) is not None:
            number, fields = found
            if fields:
                yield number, cursor.start, self._record(fields, number)

    def pick(self, places: Iterable[Location]) -> Iterator[dict[str, Any]]:
        """Seeks."""
        if not self._header:
            self._stream.seek(0)
            first = _CsvCursor(self._stream, self._name, self._encoding, self._delimiter, 0, 0).next()
            self._check_header(first[1] if first else [])
        for place in places:
            self._stream.seek(place.offset)
            cursor = _CsvCursor(
                self._stream, self._name, self._encoding, self._delimiter, place.offset, place.row - 1
            )
            found = cursor.next()
            yield self._record(found[1] if found else [], place.row)

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def _check_header(self, header: list[str]) -> None:
        if len(set(header)) != len(header):
            raise SourceError(f"{self._name}: a column name occurs twice in the header; rename one")
        check_columns(self._name, self._names, header)
        self._header = header

    def _record(self, fields: list[str], number: int) -> dict[str, Any]:
        if len(fields) != len(self._header):
            raise SourceError(
                f"{self._name}, line {number}: has {len(fields)} fields, the header has {len(self._header)}; "
                "export the file again or mend the line"
            )
        return dict(zip(self._header, fields, strict=True))


class _CsvCursor:
    """Parses from a place on and knows at which byte each record starts."""

    def __init__(
        self, stream: IO[bytes], name: str, encoding: str, delimiter: str, offset: int, line: int
    ) -> None:
        self._name = name
        self._lines = _lines(stream, name)
        self._encoding = encoding
        self._end = offset
        self._line = line
        self.start = offset
        self._parser = csv.reader(self._decoded(), delimiter=delimiter, strict=True)

    def next(self) -> tuple[int, list[str]] | None:
        """Line number and fields of the next record; `start` is its offset."""
        self.start = self._end
        number = self._line + 1
        try:
            fields = next(self._parser, None)
        except csv.Error as error:
            raise SourceError(
                f"{self._name}, line {number}: is not CSV ({error}); export the file again or mend the line"
            ) from error
        return None if fields is None else (number, fields)

    def _decoded(self) -> Iterator[str]:
        for raw in self._lines:
            self._line += 1
            text = raw.removeprefix(_BOM) if self._end == 0 else raw
            self._end += len(raw)
            try:
                yield text.decode(self._encoding)
            except UnicodeDecodeError as error:
                raise SourceError(
                    f"{self._name}, line {self._line}: is not {self._encoding} ({error.reason}); set `encoding`"
                ) from error


class ParquetReader:
    """Batches of rows; only the columns that are mapped are read."""

    unit = "row"

    def __init__(self, name: str, stream: IO[bytes], names: Iterable[str]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._stream = stream
        try:
            self._file = pq.ParquetFile(stream, pre_buffer=False, buffer_size=2**20)
        except pa.ArrowInvalid as error:
            raise SourceError(f"{name}: is not a Parquet file ({error}); export it again") from error
        columns = self._file.schema_arrow.names
        names = tuple(names)
        check_columns(name, names, columns)
        wanted = {name if name in columns else name.split(".")[0] for name in names}
        self._columns = [column for column in columns if column in wanted]
        sizes = [self._file.metadata.row_group(group).num_rows for group in range(self._file.num_row_groups)]
        self._starts = [sum(sizes[:group]) for group in range(len(sizes))]
        self._cursor: Iterator[Row] = iter(())
        self._next_row = 0

    def rows(self) -> Iterator[Row]:
        """Every row, numbered from 1."""
        return self._from_group(0)

    def pick(self, places: Iterable[Location]) -> Iterator[dict[str, Any]]:
        """Goes forward from where the last call ended, or skips to the row group that holds the row."""
        for place in places:
            group = max(g for g, start in enumerate(self._starts) if start < place.row)
            if place.row < self._next_row or self._next_row <= self._starts[group]:
                self._cursor = self._from_group(group)
            for number, _offset, record in self._cursor:
                self._next_row = number + 1
                if number == place.row:
                    yield record
                    break

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        self._stream.close()

    def _from_group(self, group: int) -> Iterator[Row]:
        number = self._starts[group] if self._starts else 0
        batches = self._file.iter_batches(
            batch_size=_PARQUET_BATCH, row_groups=list(range(group, len(self._starts))), columns=self._columns
        )
        for batch in batches:
            for record in batch.to_pylist():
                number += 1
                yield number, 0, record


def check_columns(file: str, names: Iterable[str], columns: Iterable[str]) -> None:
    """SourceError where a mapped field is no column of the file."""
    known = set(columns)
    for name in names:
        if name not in known and name.split(".")[0] not in known:
            raise SourceError(
                f"{file}: has no column {name!r}; it has {', '.join(sorted(known))}: correct `fields`"
            )


def _lines(stream: IO[bytes], name: str) -> Iterator[bytes]:
    read: Callable[[int], bytes] = stream.readline
    while raw := read(MAX_LINE + 1):
        if len(raw) > MAX_LINE:
            raise SourceError(f"{name}: has a line of more than {MAX_LINE} bytes; is it one object a line?")
        yield raw

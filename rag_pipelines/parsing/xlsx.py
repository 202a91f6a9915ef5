"""Excel: each sheet a heading, its rows as tables that can be read alone. Values as last calculated, no formulas."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterator
from datetime import date, datetime, time
from io import BytesIO
from typing import Any

from rag_pipelines.core.errors import ParseError
from rag_pipelines.core.types import ElementKind, ParsedDocument
from rag_pipelines.parsing.builder import DocumentBuilder
from rag_pipelines.parsing.cells import MAX_HEADER_ROWS, blocks, is_label_row, is_number
from rag_pipelines.parsing.ooxml import core_properties, open_archive

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
KIND = "Excel"
MAX_CELLS = 2_000_000


def parse_xlsx(data: bytes, name: str, version: int) -> ParsedDocument:
    """The document of a .xlsx or .xlsm file. Raises ParseError."""
    from lxml import etree
    from openpyxl.utils.exceptions import InvalidFileException

    with open_archive(data, KIND) as archive:
        metadata: dict[str, Any] = dict(core_properties(archive, KIND))
    try:
        return _read(data, version, metadata)
    except (
        InvalidFileException,
        zipfile.BadZipFile,
        etree.XMLSyntaxError,
        SyntaxError,
        struct.error,
    ) as error:
        raise ParseError(f"is a damaged Excel file: {error}") from error
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise ParseError(f"cannot be read as Excel: {type(error).__name__}: {error}") from error


def _read(data: bytes, version: int, metadata: dict[str, Any]) -> ParsedDocument:
    import warnings

    from openpyxl import load_workbook

    builder = DocumentBuilder()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        book = load_workbook(BytesIO(data), read_only=True, data_only=True, keep_links=False)
        try:
            cells = 0
            for number, sheet in enumerate(book.worksheets, start=1):
                cells = _sheet(builder, sheet, number, cells)
            names = [sheet.title for sheet in book.worksheets]
        finally:
            book.close()
    if not builder.length:
        raise ParseError("has no value on any sheet (formulas count once Excel calculated them)")
    metadata["sheets"] = names
    return builder.build(
        MEDIA_TYPE,
        f"xlsx/{version}",
        title=metadata.get("title"),
        pages=len(names),
        metadata=metadata,
    )


def _sheet(builder: DocumentBuilder, sheet: Any, number: int, cells: int) -> int:
    """Add one sheet; returns the number of filled cells so far."""
    named = False
    for table in _tables(sheet):
        cells += sum(1 for row in table for cell in row if cell)
        if cells > MAX_CELLS:
            raise ParseError(
                f"has more than {MAX_CELLS:,} filled cells; "
                "export it as CSV or Parquet and read it with a `records` source"
            )
        if not named:
            builder.add(ElementKind.HEADING, sheet.title, level=1, page=number)
            named = True
        for text, is_table in _texts(table):
            builder.add(ElementKind.TABLE if is_table else ElementKind.PARAGRAPH, text, page=number)
    return cells


def _texts(table: list[list[str]]) -> Iterator[tuple[str, bool]]:
    """Leading lines of one cell are captions, the rest is the table."""
    start = 0
    while start < len(table) and sum(1 for cell in table[start] if cell) == 1:
        start += 1
    if start == len(table) and start > 3:
        start = 0
    for row in table[:start]:
        yield next(cell for cell in row if cell), False
    if start < len(table):
        for text in blocks(table[start:]):
            yield text, True


def _tables(sheet: Any) -> Iterator[list[list[str]]]:
    """Runs of rows without an empty row between them; labels keep the numbers one empty row below.

    The stated dimensions are dropped: a lone cell in the far corner would make every row 16,384 wide.
    """
    sheet.reset_dimensions()
    run: list[list[str]] = []
    filled = empty = 0
    for values in sheet.iter_rows(values_only=True):
        row = [_value(value) for value in values]
        while row and not row[-1]:
            row.pop()
        if not row:
            empty += 1
            continue
        if run and empty and not (empty == 1 and _are_labels(run) and any(map(is_number, row))):
            yield run
            run, filled = [], 0
        run.append(row)
        empty = 0
        filled += len(row)
        if filled > MAX_CELLS:
            yield run
            run, filled = [], 0
    if run:
        yield run


def _are_labels(run: list[list[str]]) -> bool:
    """Whether the run ends in label rows and has nothing else but captions above them."""
    return (
        len(run) <= MAX_HEADER_ROWS + 2
        and is_label_row(run[-1])
        and not any(is_number(cell) for row in run for cell in row)
    )


def _value(value: Any) -> str:
    """As a reader of the sheet expects it: whole numbers without a point, midnight as a date."""
    if value is None or isinstance(value, bool):
        return "" if value is None else str(value).upper()
    if isinstance(value, float):
        return format(value, ".12g")
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat(" ", "seconds")
    text = value.isoformat() if isinstance(value, (date, time)) else str(value)
    return " ".join(text.split())

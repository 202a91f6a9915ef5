"""CSV and TSV: one list item a row, its cells named, so that a row found alone can be understood."""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections import Counter
from collections.abc import Iterator

from rag_pipelines.core.errors import ParseError
from rag_pipelines.core.types import ElementKind, ParsedDocument
from rag_pipelines.parsing.builder import DocumentBuilder, clean
from rag_pipelines.parsing.encoding import decode
from rag_pipelines.parsing.registry import CSV, TSV

VERSION = 1

_DELIMITERS = (",", ";", "\t", "|")
_SEPARATOR_LINE = re.compile(r"\Asep=(.)\n", re.I)
_NUMBER = re.compile(r"[-+]?[$\u20ac\u00a3]?[\d.,\s]*\d%?")
_NONE = "\x1f"
_MIN_AGREEMENT = 0.5
_SAMPLE_ROWS = 50
_NAMED_COLUMNS = 200


def parse_csv(data: bytes, name: str) -> ParsedDocument:
    """Rows of a comma, semicolon, tab or bar separated file."""
    return _parse(data, None, CSV)


def parse_tsv(data: bytes, name: str) -> ParsedDocument:
    """Rows of a tab separated file."""
    return _parse(data, "\t", TSV)


def _parse(data: bytes, delimiter: str | None, media_type: str) -> ParsedDocument:
    text, encoding = decode(data)
    text = clean(text)
    if stated := _SEPARATOR_LINE.match(text):
        delimiter, text = stated[1], text[stated.end() :]
    delimiter = delimiter or _sniff(text)
    rows = _rows(text, delimiter)
    sample = list(itertools.islice(rows, _SAMPLE_ROWS))
    builder = DocumentBuilder()
    while _is_caption(sample):
        builder.add(ElementKind.PARAGRAPH, "".join(sample.pop(0)))
    header = sample.pop(0) if _has_header(sample) else None
    count = 0
    for row in itertools.chain(sample, rows):
        builder.add(ElementKind.LIST_ITEM, _describe(row, header))
        count += 1
    if count == 0 and header:
        builder.add(ElementKind.TABLE, " | ".join(header))
    return builder.build(
        media_type,
        "csv",
        metadata={
            "encoding": encoding,
            "rows": count,
            "columns": (header or [])[:_NAMED_COLUMNS],
            "delimiter": delimiter if delimiter != _NONE else None,
        },
    )


def _rows(text: str, delimiter: str) -> Iterator[list[str]]:
    """Rows that hold something, cells on one line."""
    csv.field_size_limit(2**31 - 1)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    try:
        for row in reader:
            cells = [" ".join(cell.split()) for cell in row]
            if any(cells):
                yield cells
    except csv.Error as error:
        raise ParseError(f"is not a readable table: {error} (line {reader.line_num})") from error


def _sniff(text: str) -> str:
    """The delimiter that cuts the most of the first rows into the same number of cells, and that not one.

    Where rows agree on none it is a list of lines, and the answer a character that does not occur.
    """
    head = text[:65_536]
    if len(text) > len(head):
        head = head.rpartition("\n")[0] or head
    best, most = _NONE, (_MIN_AGREEMENT, 0)
    for delimiter in _DELIMITERS:
        widths = Counter(len(row) for row in itertools.islice(_rows(head, delimiter), _SAMPLE_ROWS))
        if not widths:
            continue
        width, agreeing = widths.most_common(1)[0]
        score = (agreeing / widths.total(), width)
        if width > 1 and score > most:
            best, most = delimiter, score
    return best


def _is_caption(sample: list[list[str]]) -> bool:
    """A line of one cell above rows of several."""
    return (
        len(sample) > 2
        and sum(map(bool, sample[0])) == 1
        and all(sum(map(bool, row)) > 1 for row in sample[1:3])
    )


def _has_header(sample: list[list[str]]) -> bool:
    """A first row of distinct names, none a number and none long."""
    if not sample or len(sample[0]) < 2:
        return False
    first = sample[0]
    named = [cell for cell in first if cell]
    return (
        len(named) >= max(2, len(first) - 1)
        and len(set(named)) == len(named)
        and not any(len(cell) > 100 or _NUMBER.fullmatch(cell) for cell in named)
    )


def _describe(row: list[str], header: list[str] | None) -> str:
    if header is None:
        return " | ".join(row).strip(" |")
    names = itertools.chain(header, itertools.repeat(""))
    return "; ".join(
        f"{name}: {cell}" if name else cell for name, cell in zip(names, row, strict=False) if cell
    )

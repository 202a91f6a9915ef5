"""The guard in front of office archives: bombs, lies, encryption and damage."""

from __future__ import annotations

import struct
import zipfile
from io import BytesIO

import pytest

from rag_pipelines.core.errors import ParseError
from rag_pipelines.parsing.office import parse_docx, parse_pptx, parse_xlsx
from rag_pipelines_tests.parsing.made_docx import docx_body, run

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
PARSERS = {"Word": parse_docx, "PowerPoint": parse_pptx, "Excel": parse_xlsx}


@pytest.mark.parametrize("kind", PARSERS)
@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "^is empty"),
        (OLE + "EncryptedPackage".encode("utf-16-le"), "^is encrypted and needs a password"),
        (OLE + b"\0" * 500, "^is an old binary office file"),
        (b"PK\x03\x04 truncated", "^is a damaged or truncated (Word|PowerPoint|Excel) file"),
        (b"plain text", "^is a damaged or truncated (Word|PowerPoint|Excel) file"),
    ],
)
def test_what_cannot_be_opened_says_why(kind: str, data: bytes, expected: str) -> None:
    with pytest.raises(ParseError, match=expected):
        PARSERS[kind](data, "a")


def test_bombs_end_before_a_library_sees_them() -> None:
    repeated = "<w:p/>" * 5_000_000
    with pytest.raises(ParseError, match=r"^expands to more than"):
        parse_docx(docx_body(repeated), "bomb.docx")


def test_a_directory_that_lies_about_sizes_gains_nothing() -> None:
    honest = docx_body(f"<w:p>{run('x' * 100_000)}</w:p>")
    info = zipfile.ZipFile(BytesIO(honest)).getinfo("word/document.xml")
    entry = honest.index(b"PK\x01\x02", honest.rindex(b"word/document.xml") - 46)
    lying = bytearray(honest)
    struct.pack_into("<I", lying, entry + 24, 300)
    assert (
        zipfile.ZipFile(BytesIO(bytes(lying))).getinfo("word/document.xml").file_size == 300 < info.file_size
    )
    with pytest.raises(ParseError, match=r"^is a damaged Word file: part word/document.xml"):
        parse_docx(bytes(lying), "a.docx")


def test_document_type_declarations_are_refused() -> None:
    out = BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("word/document.xml", '<!DOCTYPE x [<!ENTITY a "aaaa">]><x>&a;</x>')
    with pytest.raises(ParseError, match=r"^declares a document type"):
        parse_docx(out.getvalue(), "a.docx")


def test_deep_nesting_is_refused() -> None:
    body = "<w:sdt><w:sdtContent>" * 100 + f"<w:p>{run('deep')}</w:p>" + "</w:sdtContent></w:sdt>" * 100
    with pytest.raises(ParseError, match=r"^nests its content more than"):
        parse_docx(docx_body(body), "a.docx")

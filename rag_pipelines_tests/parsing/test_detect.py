"""Media types by content, and the reasons against what is no document."""

from __future__ import annotations

import gzip
import io
import tarfile

import pytest

from rag_pipelines.core.errors import ParseError
from rag_pipelines.parsing import registry as types
from rag_pipelines.parsing.detect import candidates, detect
from rag_pipelines.parsing.encoding import decode, looks_binary
from rag_pipelines_tests.parsing.hostile import PNG, docx_of, simple_pdf, zip_of
from rag_pipelines_tests.shared_data import shared_data

MAIL = b"From: a@example.org\r\nTo: b@example.org\r\nSubject: Hello\r\n\r\nBody."


def _tar() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a.txt"))
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "name", "declared", "expected"),
    [
        (b"# A page", "a.md", None, types.MARKDOWN),
        (b"# A page", "a.MDX", None, types.MARKDOWN),
        (b"Title\n=====", "a.rst", None, types.RST),
        (b"a,b\n1,2", "a.csv", None, types.CSV),
        (b"* Headline", "a.org", None, types.ORG),
        (b'{"a": 1}', "a.json", None, types.JSON),
        (b"words", "README", None, types.PLAIN),
        (b"words", "record-7", "text/markdown; charset=utf-8", types.MARKDOWN),
        (b"# words", "a.md", "text/plain", types.MARKDOWN),
        (b"<!-- x -->\n<!DOCTYPE html><p>Hi", "page", None, types.HTML),
        (b"<p>Hi</p><div>there</div>", "page.php5", None, types.HTML),
        (b"<!---->" * 500 + b"text", "page", None, types.PLAIN),
        (b'<?xml version="1.0"?>\n<html xmlns="http://www.w3.org/1999/xhtml"/>', "a", None, types.XHTML),
        (b"<feed><title>a</title><a>b</a><title>c</title></feed>", "a.xml", None, types.XML),
        (b"<!doctype html><p>Not found", "data.json", None, types.HTML),
        (MAIL, "a.eml", None, types.EMAIL),
        (MAIL, "a.txt", None, types.EMAIL),
        (b"From: here\nto there, nothing is as it was", "a.txt", None, types.PLAIN),
        (simple_pdf("x"), "a.docx", None, types.PDF),
        (simple_pdf("x"), "a.pdf", "application/octet-stream", types.PDF),
        (b"The header %PDF- starts a PDF file.", "a.txt", None, types.PLAIN),
        (docx_of(b""), "a.pdf", None, types.DOCX),
        (zip_of({"ppt/presentation.xml": b"x"}), "a", None, types.PPTX),
        (zip_of({"xl/workbook.xml": b"x"}), "a.zip", None, types.XLSX),
        (zip_of({"mimetype": b"application/epub+zip"}), "a", None, types.EPUB),
        (zip_of({"mimetype": types.ODT.encode()}), "a.docx", None, types.ODT),
        (b"{\\rtf1 hello}", "a.doc", None, types.RTF),
        (PNG, "a.txt", None, "image/png"),
        (b"ID3 tags, PAR1 and OTTO begin ordinary sentences.", "a.txt", None, types.PLAIN),
        ("Größe".encode("utf-16"), "a.md", None, types.MARKDOWN),
    ],
)
def test_media_type(data: bytes, name: str, declared: str | None, expected: str) -> None:
    assert detect(data, name, declared) == expected


@pytest.mark.parametrize(
    ("data", "name", "reason"),
    [
        (b"", "a.md", "is empty"),
        (b" \n\t\0", "a.md", "nothing but white space"),
        (b"just words", "a.docx", "holds plain text"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 7\n", "a.pdf", "Git LFS pointer"),
        (b"just words", "a.png", "holds plain text"),
        (b"\x7fELF\x02\x01\x01" + b"\0" * 100, "a.txt", "ELF program"),
        (gzip.compress(b"words", mtime=0), "a.md", "gzip archive"),
        (_tar(), "a.tar", "tar archive"),
        (zip_of({"a.txt": b"words"}), "a.docx", "zip archive, not a document"),
        (zip_of({"xl/workbook.bin": b"x"}), "a.xlsx", "xlsb"),
        (zip_of({"mimetype": b"application/vnd.oasis.opendocument.graphics"}), "a", "not supported"),
        (docx_of(b"<w:p/>" * 99)[:-30], "a.docx", "damaged or truncated"),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage\0".encode("utf-16-le"),
            "a.xlsx",
            "password",
        ),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "a.doc", "OLE container"),
        (b"SQLite format 3\0" + b"\0" * 100, "a.db", "SQLite"),
        (bytes(range(256)) * 10, "a.txt", "binary file"),
    ],
)
def test_reason(data: bytes, name: str, reason: str) -> None:
    with pytest.raises(ParseError, match=reason):
        detect(data, name)


def test_office_files_before_xml_are_told_apart_by_their_streams() -> None:
    folder = shared_data("documents", "unstructured-examples")
    found = {
        name: detect((folder / name).read_bytes(), "unnamed")
        for name in ("simple.doc", "fake-power-point.ppt", "tests-example.xls", "fake-email.msg")
    }
    assert list(found.values()) == [types.DOC, types.PPT, types.XLS, types.MSG]


def test_every_example_is_detected_as_its_suffix_says_or_refused_with_a_reason() -> None:
    folder = shared_data("documents", "unstructured-examples")
    surprises = {}
    for path in sorted(folder.rglob("*.*")):
        if path.suffix in {
            ".docx",
            ".pptx",
            ".xlsx",
            ".pdf",
            ".html",
            ".md",
            ".csv",
            ".eml",
            ".epub",
            ".odt",
        }:
            try:
                found = detect(path.read_bytes(), path.name)
            except ParseError as error:
                found = str(error)
            if found not in candidates(path.name):
                surprises[path.name] = found
    assert surprises == {
        "password_protected.xlsx": "is encrypted: an Office document that needs a password; store a copy without one",
        "empty.eml": "holds nothing but white space",
    }


TEXT = "Größe, Füße und Äpfel: schöne Straßen überall, größer noch als früher.\n" * 5
RUSSIAN = "Привет, мир. Это обычный русский текст, написанный для проверки кодировки.\n" * 5
JAPANESE = "これは日本語のテキストです。文字コードの判定を試験します。\n" * 5


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        *(
            (TEXT, name)
            for name in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be")
        ),
        *((TEXT, name) for name in ("latin-1", "cp1252")),
        *((RUSSIAN, name) for name in ("utf-8", "cp1251", "koi8-r", "utf-16", "utf-16-le", "utf-16-be")),
        *((JAPANESE, name) for name in ("utf-8", "shift_jis", "euc_jp", "iso2022_jp", "utf-16")),
    ],
)
def test_encodings(text: str, encoding: str) -> None:
    data = text.encode(encoding)
    assert decode(data)[0] == text
    assert not looks_binary(data)


def test_a_few_broken_bytes_do_not_turn_utf8_into_something_else() -> None:
    data = TEXT.encode() * 3 + b"\xff" + TEXT.encode()
    assert decode(data) == (TEXT * 3 + "\ufffd" + TEXT, "utf-8")


def test_small_numbers_are_not_taken_for_utf16() -> None:
    assert looks_binary(b"".join(value.to_bytes(2, "little") for value in range(1, 2000, 3)))

"""PDF files without text to be had: each says why."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from rag_pipelines.core.errors import ParseError
from rag_pipelines.parsing import ocr, programs
from rag_pipelines.parsing.pdf import parse
from rag_pipelines_tests.parsing.made_pdf import elements, pdf, prose, write


def reason(data: bytes) -> str:
    with pytest.raises(ParseError) as caught:
        parse(data, "a.pdf")
    return str(caught.value)


def test_encrypted_pdf_names_the_password() -> None:
    assert "is encrypted and needs a password" in reason(pdf(lambda c: write(c, ["secret"]), encrypt="pass"))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "empty"),
        (b"\0" * 300, "empty"),
        (b"<html>no</html>", "does not begin like one"),
        (b"%PDF-1.7\n" + b"x" * 200 + b"\n%%EOF", "damaged"),
    ],
)
def test_what_is_no_pdf_says_so(data: bytes, expected: str) -> None:
    assert expected in reason(data)


def test_truncated_pdf_is_refused_although_pages_could_be_saved() -> None:
    data = pdf(*[partial(write, lines=prose(n, 30)) for n in range(8)])
    assert "is truncated: the end of the PDF is missing" in reason(data[: len(data) * 2 // 3])


def test_blank_pages_are_no_text() -> None:
    assert "has no text on any page" in reason(pdf(lambda c: None, lambda c: None))


def scanned(canvas: Any) -> None:
    from PIL import Image
    from reportlab.lib.utils import ImageReader

    canvas.drawImage(ImageReader(Image.new("L", (60, 80), 200)), 0, 0, 595, 842)


def test_scanned_pdf_names_tesseract(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "find", lambda program: None)
    message = reason(pdf(scanned, scanned))
    assert "2 pages are pictures" in message
    assert "tesseract, which is not installed" in message


def test_scanned_page_beside_text_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "find", lambda program: None)
    document = parse(pdf(lambda c: write(c, prose(0, 5)), scanned), "a.pdf")
    assert document.metadata["pages_without_text"] == [2]
    assert document.pages == 2


def test_scanned_page_is_read_by_tesseract_where_it_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    fake = tmp_path / "tesseract"
    fake.write_text('#!/bin/sh\ntest -s "$1" && printf "Recognised line\\none\\n\\nSecond paragraph\\n\\f"\n')
    fake.chmod(0o755)
    monkeypatch.setattr(programs, "find", lambda program: fake)
    monkeypatch.setattr(ocr, "find", lambda program: fake)
    document = parse(pdf(lambda c: write(c, prose(0, 5)), scanned), "a.pdf")
    assert elements(document)[1:] == [
        ("paragraph", None, "Recognised line one"),
        ("paragraph", None, "Second paragraph"),
    ]
    assert document.elements[-1].page == 2


def test_too_many_pages_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rag_pipelines.parsing.pdf.MAX_PAGES", 2)
    assert "3 pages, more than 2" in reason(pdf(*[lambda c: write(c, ["x"])] * 3))


def test_page_with_impossibly_much_text_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rag_pipelines.parsing.pdf_words.MAX_PAGE_CHARS", 50)
    assert "characters on page 2, more than 50" in reason(
        pdf(lambda c: write(c, ["short"]), lambda c: write(c, prose(0, 2)))
    )


def test_pypdf_reads_what_pdfium_cannot_open(monkeypatch: pytest.MonkeyPatch) -> None:
    import pypdfium2

    def refuse(data: bytes) -> None:
        raise pypdfium2.PdfiumError("Failed to load document", err_code=3)

    monkeypatch.setattr(pypdfium2, "PdfDocument", refuse)
    document = parse(pdf(lambda c: write(c, ["Read by the second reader."])), "a.pdf")
    assert document.text == "Read by the second reader."
    assert document.parser.endswith("+pypdf")

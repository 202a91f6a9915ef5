"""PDF: text and places by pdfium, headings by outline and font size, pypdf as the second opinion.

pdfium is the only reader fast enough for books. What it cannot open, or finds next to nothing in, pypdf
tries again; pages that are pictures are read by tesseract where it is installed.
"""

from __future__ import annotations

import importlib
import re
import zlib
from io import BytesIO
from itertools import islice
from typing import Any

from rag_pipelines.core.errors import ParseError
from rag_pipelines.core.types import ElementKind, ParsedDocument
from rag_pipelines.parsing.builder import DocumentBuilder
from rag_pipelines.parsing.pdf_blocks import Block, count_words, page_blocks
from rag_pipelines.parsing.pdf_furniture import without_running_heads
from rag_pipelines.parsing.pdf_headings import OutlineEntry, mark_headings
from rag_pipelines.parsing.pdf_words import Segment, read_page

VERSION = 1
PROGRAMS = ("tesseract",)
MEDIA_TYPE = "application/pdf"
MAX_PAGES = 10_000
MAX_CHARS = 50_000_000
_MAX_BOOKMARKS = 20_000
_LITTLE_TEXT = 10  # characters on a page, below which its pictures are looked at
_SECOND_OPINION_PAGES = 50
_TAIL = 4096
_USELESS_TITLE = re.compile(
    r"untitled|microsoft (word|powerpoint)|powerpoint presentation|(document|slide|presentation)\s*\d*$"
    r"|.*\.(docx?|pdf|indd|tex|dvi|qxd|pptx?|xlsx?|jpe?g|png|rtf|odt|html?)$|unwords$|unspecified$",
    re.IGNORECASE,
)


def parse(data: bytes, name: str) -> ParsedDocument:
    """The document of a PDF. Raises ParseError with the reason where its text cannot be had."""
    import pypdfium2

    _check_file(data)
    try:
        pdf = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        texts = None if _needs_password(error) else _by_pypdf(data)
        if texts is None:
            raise _cannot_open(error) from error
        return _from_texts(texts, {}, len(texts))
    try:
        return _read(pdf, data)
    finally:
        pdf.close()


def _check_file(data: bytes) -> None:
    if not data.strip(b"\0\t\n\f\r "):
        raise ParseError("is empty")
    if b"%PDF-" not in data[:1024]:
        raise ParseError("is named or stated to be a PDF but does not begin like one")
    tail = data[-_TAIL:]
    if b"%%EOF" not in tail and b"startxref" not in tail:
        raise ParseError(
            "is truncated: the end of the PDF is missing, so pages may be too; fetch or upload it again"
        )


def _needs_password(error: Any) -> bool:
    from pypdfium2 import raw

    return getattr(error, "err_code", None) in (raw.FPDF_ERR_PASSWORD, raw.FPDF_ERR_SECURITY)


def _cannot_open(error: Any) -> ParseError:
    if _needs_password(error):
        return ParseError("is encrypted and needs a password; store a copy without one")
    return ParseError(f"is a damaged PDF: neither pdfium nor pypdf can open it ({error})")


def _read(pdf: Any, data: bytes) -> ParsedDocument:
    count = len(pdf)
    if count == 0:
        raise ParseError("is a PDF without pages")
    if count > MAX_PAGES:
        raise ParseError(f"has {count:,} pages, more than {MAX_PAGES:,}; split it")
    pages, turned, pictures, unreadable = _pages(pdf, count)
    metadata = _metadata(pdf)
    if unreadable:
        metadata["unreadable_pages"] = unreadable
    texts = dict.fromkeys(pictures, "")
    if len(pictures) + len(unreadable) == count:
        second = None if pictures else _by_pypdf(data)
        if second is not None:
            return _from_texts(second, metadata, count)
    if pictures:
        texts = _ocr(pdf, pictures, required=len(pictures) + len(unreadable) == count)
        left_out = [number for number, text in texts.items() if not text.strip()]
        if left_out:
            metadata["pages_without_text"] = left_out
    return _document(pdf, pages, turned, texts, metadata)


def _pages(pdf: Any, count: int) -> tuple[list[list[Segment]], list[list[Segment]], list[int], list[int]]:
    """Segments of each page, turned segments, and the numbers of picture pages and of unreadable ones."""
    import pypdfium2

    pages: list[list[Segment]] = []
    turned: list[list[Segment]] = []
    pictures: list[int] = []
    unreadable: list[int] = []
    characters = 0
    for index in range(count):
        upright: list[Segment] = []
        others: list[Segment] = []
        try:
            page = pdf[index]
            try:
                upright, others = read_page(page, index + 1)
                letters = sum(len(s.text) for s in (*upright, *others))
                if letters < _LITTLE_TEXT and _has_picture(page):
                    pictures.append(index + 1)
            finally:
                page.close()
        except pypdfium2.PdfiumError:
            unreadable.append(index + 1)
            letters = 0
        characters += letters
        if characters > MAX_CHARS:
            raise ParseError(f"holds more than {MAX_CHARS:,} characters; split it")
        pages.append(upright)
        turned.append(others)
    return pages, turned, pictures, unreadable


def _has_picture(page: Any) -> bool:
    from pypdfium2 import raw

    kinds = [raw.FPDF_PAGEOBJ_IMAGE, raw.FPDF_PAGEOBJ_PATH, raw.FPDF_PAGEOBJ_SHADING]
    return any(True for _ in islice(page.get_objects(filter=kinds, max_depth=3), 1))


def _ocr(pdf: Any, pictures: list[int], *, required: bool) -> dict[int, str]:
    """Text of the picture pages by tesseract; empty where it is not installed and other pages have text."""
    from rag_pipelines.parsing.ocr import read_image
    from rag_pipelines.parsing.programs import find, require

    if find("tesseract") is None:
        if required:
            what = (
                "its only page is a picture"
                if len(pictures) == 1
                else f"its {len(pictures)} pages are pictures"
            )
            raise require("tesseract", f"is scanned: {what} without text, so it needs OCR")
        return dict.fromkeys(pictures, "")
    texts: dict[int, str] = {}
    for number in pictures:
        page = pdf[number - 1]
        try:
            image = page.render(scale=200 / 72, grayscale=True).to_pil()
        finally:
            page.close()
        buffer = BytesIO()
        image.save(buffer, format="PNG")
        texts[number] = read_image(buffer.getvalue(), ".png")
    return texts


def _metadata(pdf: Any) -> dict[str, Any]:
    found = pdf.get_metadata_dict(skip_empty=True)
    keys = {"Title": "title", "Author": "author", "Subject": "subject", "Keywords": "keywords",
            "Creator": "creator", "CreationDate": "created", "ModDate": "modified"}  # fmt: skip
    out = {new: " ".join(str(found[old]).split())[:1000] for old, new in keys.items() if found.get(old)}
    if out.get("author", "").casefold() in ("anonymous", "unwords"):
        del out["author"]
    return {key: _date(value) if key in ("created", "modified") else value for key, value in out.items()}


def _date(text: str) -> str:
    """`D:20230525051224+01'00'` as ISO 8601; anything else unchanged."""
    match = re.match(r"D:(\d{4})(\d\d)(\d\d)(\d\d)?(\d\d)?(\d\d)?(?:([+-]\d\d)'?(\d\d)|Z)?", text)
    if not match:
        return text
    year, month, day, hour, minute, second, zone, zone_minutes = match.groups()
    offset = f"{zone}:{zone_minutes}" if zone else "Z"
    return f"{year}-{month}-{day}T{hour or '00'}:{minute or '00'}:{second or '00'}{offset}"


def _outline(pdf: Any) -> list[OutlineEntry]:
    entries = []
    for mark in islice(pdf.get_toc(), _MAX_BOOKMARKS):
        target = mark.get_dest()
        index = target.get_index() if target is not None else None
        if index is not None:
            entries.append(OutlineEntry(mark.get_title(), mark.level + 1, index + 1))
    return entries


def _document(
    pdf: Any,
    pages: list[list[Segment]],
    turned: list[list[Segment]],
    ocr_texts: dict[int, str],
    metadata: dict[str, Any],
) -> ParsedDocument:
    words = count_words(pages)
    blocks: list[Block] = []
    for number, segments in enumerate(without_running_heads(pages), start=1):
        blocks += page_blocks(segments, turned[number - 1], number, words)
        paragraphs = re.split(r"\n\s*\n", ocr_texts.get(number, ""))
        blocks += [Block(ElementKind.PARAGRAPH, text, number) for text in paragraphs if text.strip()]
    mark_headings(blocks, _outline(pdf))
    builder = DocumentBuilder()
    title = None
    for block in blocks:
        builder.add(block.kind, block.text, level=block.level, page=block.page)
        if block.kind is ElementKind.TITLE:
            title = block.text
    if not builder.length:
        raise ParseError("has no text on any page")
    stated = metadata.get("title", "")
    if stated and not _USELESS_TITLE.match(stated) and (" " in stated or title is None):
        title = stated
    return builder.build(MEDIA_TYPE, f"pdf/{VERSION}", title=title, pages=len(pages), metadata=metadata)


def _by_pypdf(data: bytes) -> list[str] | None:
    """Text of the first pages as pypdf reads it; None where it fails too or finds none."""
    import pypdf
    from pypdf.errors import PyPdfError

    try:
        reader = pypdf.PdfReader(BytesIO(data))
        if reader.is_encrypted:
            return None
        texts = [page.extract_text() for page in islice(reader.pages, _SECOND_OPINION_PAGES)]
    except (PyPdfError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError,
            OSError, zlib.error, NotImplementedError):  # fmt: skip
        return None
    return texts if any(text.strip() for text in texts) else None


def _from_texts(texts: list[str], metadata: dict[str, Any], pages: int) -> ParsedDocument:
    builder = DocumentBuilder()
    for number, text in enumerate(texts, start=1):
        for paragraph in re.split(r"\n\s*\n", text):
            builder.add(ElementKind.PARAGRAPH, paragraph, page=number)
    return builder.build(
        MEDIA_TYPE, f"pdf/{VERSION}+pypdf", title=metadata.get("title"), pages=pages, metadata=metadata
    )


def preload() -> None:
    """Import the libraries."""
    for library in ("pypdf", "pypdfium2"):
        importlib.import_module(library)

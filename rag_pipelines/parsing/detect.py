"""What a file is, by its content; the name and the declared type only tell text dialects apart."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import PurePosixPath

from rag_pipelines.core.errors import ParseError
from rag_pipelines.parsing import registry as types
from rag_pipelines.parsing.encoding import decode, looks_binary
from rag_pipelines.parsing.signatures import SUFFIXES, TEXT_TYPES, image_type, reason_against

VERSION = 2

_PROLOGUE = r"\s*(?:<\?xml[^>]*>\s*)?(?:<!--(?:(?!-->).)*+-->\s*+)*+"
_HTML_START = re.compile(_PROLOGUE + r"(?:<!doctype\s+html|<html|<head|<body)", re.I | re.S)
_SVG_START = re.compile(
    _PROLOGUE + r"(?:<!DOCTYPE\s+svg[^\[>]*(?:\[[^\]]*\]\s*)?>\s*(?:<!--(?:(?!-->).)*+-->\s*+)*+)?<svg[\s>]",
    re.S,
)
_SOURCE_MAP = re.compile(r'\{\s*"version"\s*:\s*3\s*,\s*"(file|sources|mappings|sourceRoot)"')
_STARTS = ((_SVG_START, types.SVG), (re.compile(r"<\?xml"), types.XML), (_SOURCE_MAP, types.JSON))
_UNCLEAN = re.compile("[\x00-\x08\x0e-\x1b\ufffd]")
_HTML_TAG = re.compile(r"</?(p|div|a|h[1-6]|table|body|ul|br|span|title|meta)\b[^>]*>", re.I)
_MAIL_HEADER = re.compile(r"([A-Za-z][A-Za-z0-9-]{1,60}):(\s|$)")
_MAIL_NAMES = frozenset(
    (
        *("from", "to", "subject", "date", "received", "return-path", "message-id", "mime-version"),
        *("delivered-to", "content-type", "cc", "reply-to", "sender"),
    )
)
_NEVER_MARKUP = frozenset((types.JSON, types.JSONL, types.CSV, types.TSV, types.YAML))
_OLE_STREAMS = (
    ("__properties_version1.0", types.MSG, ".msg"),
    ("WordDocument", types.DOC, ".doc"),
    ("PowerPoint Document", types.PPT, ".ppt"),
    ("Workbook", types.XLS, ".xls"),
    ("Book", types.XLS, ".xls"),
)
_ZIP_PARTS = (
    ("word/document", types.DOCX),
    ("ppt/presentation", types.PPTX),
    ("xl/workbook.xml", types.XLSX),
)
_ZIP_REASONS = (
    ("xl/workbook.bin", "is a binary Excel workbook (xlsb), which is not supported; save it as xlsx"),
    ("Index/Document.iwa", "is an Apple iWork document, which is not supported; export it as PDF or Office"),
    ("visio/document.xml", "is a Visio drawing, which is not supported; export it as PDF"),
    ("META-INF/MANIFEST.MF", "is a Java archive, not a document"),
)


def detect(data: bytes, name: str, declared: str | None = None) -> str:
    """The media type to parse the bytes as.

    Raises ParseError, with the reason, for what is empty, not supported, or contradicts its name in a way
    that leaves open what was meant. A mislabelled file that shows what it is, is read as that.
    """
    if not data:
        raise ParseError("is empty (0 bytes)")
    if data.startswith(b"version https://git-lfs.github.com/spec/"):
        raise ParseError("is a Git LFS pointer, not the file itself; fetch the file with `git lfs pull`")
    suffix = PurePosixPath(name).suffix.lower()
    binary = _binary_type(data, suffix)
    if binary is not None:
        return binary
    if looks_binary(data):
        raise ParseError(
            f"is a binary file of an unknown format{_called(suffix)}; only documents are indexed"
        )
    expected = _expected(name, declared)
    head = decode(data[:65_536])[0].lstrip("\ufeff").replace("\0", "")
    if not head.strip() and not decode(data)[0].strip(" \t\r\n\f\v\0"):
        raise ParseError("holds nothing but white space")
    shown = _shown_dialect(head)
    if expected in TEXT_TYPES:
        return _settle(expected, shown, head)
    if expected is not None and shown is None:
        raise ParseError(
            f"is named or declared as {expected} but holds plain text; "
            "correct the name if it is text, or replace the damaged file"
        )
    return shown or types.PLAIN


def candidates(name: str, declared: str | None = None) -> tuple[str, ...]:
    """The media types that a file of this name is likely to be parsed as, without looking into it."""
    expected = _expected(name, declared)
    if expected is None:
        return TEXT_TYPES
    if expected == types.PLAIN:
        return (types.PLAIN, types.EMAIL)
    return (expected,)


def _expected(name: str, declared: str | None) -> str | None:
    """What the declared type says, or the suffix where it says nothing or only `text/plain`."""
    by_suffix = SUFFIXES.get(PurePosixPath(name).suffix.lower())
    stated = (declared or "").partition(";")[0].strip().lower()
    if stated not in types.PARSERS or (stated == types.PLAIN and by_suffix is not None):
        return by_suffix
    return stated


def _called(suffix: str) -> str:
    return f" ({suffix})" if suffix else ""


def _binary_type(data: bytes, suffix: str) -> str | None:
    """Short signatures also begin ordinary sentences, so most count only where the bytes are not text."""
    if _is_pdf(data):
        return types.PDF
    start = data[:64].lstrip()
    if start.startswith(b"{\\rtf"):
        return types.RTF
    if start.startswith(b"%!PS-"):
        raise ParseError("is a PostScript file, which is not supported; convert it to PDF")
    if _is_clean_text(data[:1024]):
        return None
    if data.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _zip_type(data, suffix)
    if data.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        return _ole_type(data, suffix)
    reason = None if (image := image_type(data)) else reason_against(data)
    if reason is not None:
        raise ParseError(reason)
    return image


def _is_clean_text(head: bytes) -> bool:
    return _UNCLEAN.search(head.decode("utf-8", "replace").rstrip("\ufffd")) is None


def _is_pdf(data: bytes) -> bool:
    """At the start, or with leading rubbish as readers tolerate; a text that mentions `%PDF-` is none."""
    head = data[:1024]
    position = head.find(b"%PDF-")
    if position < 0:
        return False
    return not head[:position].strip(b"\xef\xbb\xbf \t\r\n\0") or (b" obj" in data and b"endstream" in data)


def _zip_type(data: bytes, suffix: str) -> str:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = set(archive.namelist())
            packed = _packed_type(archive) if "mimetype" in names else None
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
        what = (
            f"a {suffix} document"
            if suffix in {".docx", ".pptx", ".xlsx", ".odt", ".epub"}
            else "a zip container"
        )
        raise ParseError(f"is {what} that is damaged or truncated ({error})") from error
    if packed is not None:
        if packed in types.PARSERS:
            return packed
        raise ParseError(f"is {packed}, which is not supported; export it as PDF or Office")
    for part, media_type in _ZIP_PARTS:
        if any(entry.startswith(part) for entry in names):
            return media_type
    for part, reason in _ZIP_REASONS:
        if part in names:
            raise ParseError(reason)
    raise ParseError("is a zip archive, not a document; unpack it and point the source at its files")


def _packed_type(archive: zipfile.ZipFile) -> str | None:
    """OpenDocument and EPUB state their type in a first, tiny entry."""
    try:
        with archive.open("mimetype") as entry:
            stated = entry.read(200).decode("ascii", "replace").strip()
    except (RuntimeError, NotImplementedError, zipfile.BadZipFile):
        return None
    return stated if stated.startswith("application/") else None


def _ole_type(data: bytes, suffix: str) -> str:
    """By the names of its streams; where documents embed others, the suffix decides between what is there."""
    if _utf16("EncryptedPackage") in data:
        raise ParseError("is encrypted: an Office document that needs a password; store a copy without one")
    there = [(media_type, end) for stream, media_type, end in _OLE_STREAMS if _utf16(stream) in data]
    for media_type, end in there:
        if end == suffix:
            return media_type
    if there:
        return there[0][0]
    raise ParseError("is an OLE container that holds no Word, Excel, PowerPoint or Outlook document")


def _utf16(name: str) -> bytes:
    return name.encode("utf-16-le") + b"\0\0"


def _shown_dialect(head: str) -> str | None:
    """The dialect that a text itself shows beyond doubt."""
    start = head.lstrip()
    if _HTML_START.match(start[:4000]):
        return types.XHTML if start.startswith("<?xml") else types.HTML
    for pattern, media_type in _STARTS:
        if pattern.match(start[:8000]):
            return media_type
    if start.startswith("<") and len(_HTML_TAG.findall(start[:4000])) >= 3:
        return types.HTML
    if _looks_like_mail(start):
        return types.EMAIL
    return None


def _looks_like_mail(start: str) -> bool:
    """At least three headers in front of the first empty line, two of them among the usual ones."""
    known = total = 0
    for line in start[:20_000].splitlines():
        if not line.strip():
            break
        if line[0] in " \t" and total:
            continue
        header = _MAIL_HEADER.match(line)
        if header is None:
            if total == 0 and line.startswith("From "):
                continue
            return False
        total += 1
        known += header[1].lower() in _MAIL_NAMES
    return total >= 3 and known >= 2


def _settle(expected: str, shown: str | None, head: str) -> str:
    """The dialect of the name, unless the text shows another and could not be what the name says."""
    if expected == types.PLAIN:
        return shown if shown == types.EMAIL else expected
    if expected in _NEVER_MARKUP and shown in {types.HTML, types.XHTML}:
        return shown
    if expected == types.XML and shown == types.SVG:
        return shown
    if expected == types.XML and _HTML_START.match(head[:4000]):
        return types.XHTML if head.lstrip().startswith("<?xml") else types.HTML
    if expected in {types.HTML, types.XHTML} and shown == types.EMAIL:
        return shown
    return expected

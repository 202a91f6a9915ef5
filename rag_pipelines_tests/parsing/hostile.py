"""Files that break parsers, generated: small on disk, large or endless when read."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass

MEGABYTE = 2**20


def hostile_files() -> dict[str, bytes]:
    """Name to content; the same bytes at every call."""
    return {name: make() for name, make in HOSTILE.items()}


@dataclass(frozen=True)
class Repeated:
    """`before`, then `unit` `times` times, then `after`, without ever holding all of it."""

    before: bytes
    unit: bytes
    times: int
    after: bytes

    @property
    def size(self) -> int:
        return len(self.before) + len(self.unit) * self.times + len(self.after)

    def deflated(self) -> bytes:
        """Raw deflate; each repetition is the same independent block."""
        return b"".join(
            (_block(self.before), _block(self.unit) * self.times, _block(self.after), b"\x03\x00")
        )

    def crc(self) -> int:
        value = zlib.crc32(self.before)
        for _ in range(self.times):
            value = zlib.crc32(self.unit, value)
        return zlib.crc32(self.after, value)


def _block(data: bytes) -> bytes:
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    return compressor.compress(data) + compressor.flush(zlib.Z_FULL_FLUSH)


def zip_of(entries: dict[str, bytes | Repeated]) -> bytes:
    """A zip archive; unlike `zipfile` it takes content that is compressed already."""
    out, directory = io.BytesIO(), io.BytesIO()
    for name, content in entries.items():
        entry = content if isinstance(content, Repeated) else Repeated(content, b"", 0, b"")
        packed, offset = entry.deflated(), out.tell()
        common = struct.pack(
            "<HHHHHLLLHH", 20, 0, 8, 0, 33, entry.crc(), len(packed), entry.size, len(name), 0
        )
        out.write(b"PK\x03\x04" + common + name.encode() + packed)
        directory.write(
            b"PK\x01\x02\x14\x00" + common + struct.pack("<HHHLL", 0, 0, 0, 0, offset) + name.encode()
        )
    start = out.tell()
    out.write(directory.getvalue())
    count = len(entries)
    out.write(struct.pack("<LHHHHLLH", 0x06054B50, 0, 0, count, count, out.tell() - start, start, 0))
    return out.getvalue()


_TYPES = (
    '<?xml version="1.0" encoding="UTF-8"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Default Extension="xml" ContentType="application/xml"/><Override PartName="/{part}" '
    'ContentType="application/vnd.openxmlformats-officedocument.{kind}.main+xml"/></Types>'
)
_RELATIONSHIPS = (
    '<?xml version="1.0" encoding="UTF-8"?><Relationships '
    'xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" '
    'Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/{kind}" Target="{target}"/>'
    "</Relationships>"
)
_WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_SHEET = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"


def docx_of(body: bytes | Repeated) -> bytes:
    """A Word document with this content between its body tags."""
    start, end = f'<w:document xmlns:w="{_WORD}"><w:body>'.encode(), b"</w:body></w:document>"
    if isinstance(body, Repeated):
        part: bytes | Repeated = Repeated(start + body.before, body.unit, body.times, body.after + end)
    else:
        part = start + body + end
    return zip_of(
        {
            "[Content_Types].xml": _TYPES.format(
                part="word/document.xml", kind="wordprocessingml.document"
            ).encode(),
            "_rels/.rels": _RELATIONSHIPS.format(kind="officeDocument", target="word/document.xml").encode(),
            "word/document.xml": part,
        }
    )


def _docx_text_bomb() -> bytes:
    return docx_of(Repeated(b"<w:p><w:r><w:t>", b"bomb " * 200_000, 700, b"</w:t></w:r></w:p>"))


def _docx_paragraph_bomb() -> bytes:
    return docx_of(Repeated(b"", b"<w:p><w:r><w:t>x</w:t></w:r></w:p>" * 20_000, 500, b""))


def _xlsx_bomb() -> bytes:
    row = b'<row><c t="inlineStr"><is><t>bomb</t></is></c></row>' * 20_000
    sheet = Repeated(
        f'<worksheet xmlns="{_SHEET}"><sheetData>'.encode(), row, 500, b"</sheetData></worksheet>"
    )
    relation = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    return zip_of(
        {
            "[Content_Types].xml": _TYPES.format(part="xl/workbook.xml", kind="spreadsheetml.sheet").encode(),
            "_rels/.rels": _RELATIONSHIPS.format(kind="officeDocument", target="xl/workbook.xml").encode(),
            "xl/_rels/workbook.xml.rels": _RELATIONSHIPS.format(
                kind="worksheet", target="worksheets/sheet1.xml"
            ).encode(),
            "xl/workbook.xml": (
                f'<workbook xmlns="{_SHEET}" xmlns:r="{relation}"><sheets><sheet name="S" sheetId="1" r:id="rId1"/>'
                "</sheets></workbook>"
            ).encode(),
            "xl/worksheets/sheet1.xml": sheet,
        }
    )


def _xlsx_far_cell() -> bytes:
    import openpyxl

    book = openpyxl.Workbook()
    book.active["A1"] = "near"
    book.active["XFD1048576"] = "far"
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def pdf_of(objects: list[bytes]) -> bytes:
    """A PDF file of these numbered objects; the first is the catalog."""
    out = io.BytesIO(b"")
    out.write(b"%PDF-1.5\n")
    offsets = []
    for number, content in enumerate(objects, 1):
        offsets.append(out.tell())
        out.write(b"%d 0 obj\n" % number + content + b"\nendobj\n")
    start = out.tell()
    out.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1))
    out.writelines(b"%010d 00000 n \n" % offset for offset in offsets)
    out.write(b"trailer\n<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start))
    return out.getvalue()


def _stream(data: bytes, extra: bytes = b"") -> bytes:
    return b"<</Length %d%s>>\nstream\n" % (len(data), extra) + data + b"\nendstream"


def _page(contents: bytes, *more: bytes, resources: bytes = b"") -> bytes:
    font = b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"
    return pdf_of(
        [
            b"<</Type/Catalog/Pages 2 0 R>>",
            b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 5 0 R/Resources<</Font<</F 4 0 R>>%s>>>>"
            % resources,
            font,
            contents,
            *more,
        ]
    )


def simple_pdf(text: str) -> bytes:
    """One page with one line of text."""
    return _page(_stream(b"BT /F 12 Tf 72 700 Td (%s) Tj ET" % text.encode()))


def _pdf_flate_bomb() -> bytes:
    """Compressed twice: 2 GiB of blanks in a few kilobytes."""
    size = 2048 * MEGABYTE
    blanks = Repeated(b"", b" " * MEGABYTE, 2048, b"")
    total = (32 * size) % 65521
    weighted = (size + 32 * (size * (size + 1) // 2)) % 65521
    inner = b"\x78\xda" + blanks.deflated() + struct.pack(">L", weighted << 16 | (1 + total) % 65521)
    return _page(_stream(zlib.compress(inner, 9), b"/Filter[/FlateDecode/FlateDecode]"))


def _pdf_operator_bomb() -> bytes:
    operators = b"BT /F 9 Tf 1 0 0 1 72 700 Tm (x) Tj ET q Q " * 3_000_000
    return _page(_stream(zlib.compress(operators, 1), b"/Filter/FlateDecode"))


def _pdf_form_bomb() -> bytes:
    """Ten forms, each drawn ten times by the one before: 10^10 drawings."""
    forms = []
    for level in range(10):
        draw = b"BT /F 9 Tf 72 700 Td (x) Tj ET" if level == 9 else b"/X Do " * 10
        inner = b"" if level == 9 else b"/XObject<</X %d 0 R>>" % (7 + level)
        extra = b"/Type/XObject/Subtype/Form/BBox[0 0 612 792]/Resources<</Font<</F 4 0 R>>%s>>" % inner
        forms.append(_stream(draw, extra))
    return _page(_stream(b"/X Do"), *forms, resources=b"/XObject<</X 6 0 R>>")


def _pdf_encrypted() -> bytes:
    from pypdf import PdfReader, PdfWriter

    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(simple_pdf("secret"))))
    writer.encrypt("password", algorithm="RC4-128")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def _random(size: int) -> bytes:
    return random.Random(7).randbytes(size)


def _mail_bomb() -> bytes:
    """Parts within parts, 2,000 deep."""
    head = "From: a@example.org\nTo: b@example.org\nSubject: deep\nMIME-Version: 1.0\n"
    opened = [f'Content-Type: multipart/mixed; boundary="b{i}"\n\n--b{i}\n' for i in range(2000)]
    closed = [f"\n--b{i}--\n" for i in reversed(range(2000))]
    return (head + "".join(opened) + "Content-Type: text/plain\n\ndeep" + "".join(closed)).encode()


_LAUGHS = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 10))
_ANCHORS = "".join(f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 10)}]\n" for i in range(1, 10))
UMLAUTS = "Größe, Füße und Äpfel: ein kurzer deutscher Text über Straßen und Schlösser. "
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\x06\0\0\0\x1f\x15\xc4\x89" + b"\0" * 60

HOSTILE: dict[str, Callable[[], bytes]] = {
    "deep.html": lambda: b"<html><body>" + b"<div>" * 200_000 + b"deep" + b"</div>" * 200_000,
    "attributes.html": lambda: (
        b"<html><body><p " + b" ".join(b"a%d=1" % i for i in range(200_000)) + b">text</p>"
    ),
    "unclosed.html": lambda: b"<html><body>" + b"<b><i><a href=x>" * 60_000 + b"text",
    "textbomb.docx": _docx_text_bomb,
    "paragraphbomb.docx": _docx_paragraph_bomb,
    "deep.docx": lambda: docx_of(b"<w:p>" * 100_000 + b"</w:p>" * 100_000),
    "bomb.xlsx": _xlsx_bomb,
    "farcell.xlsx": _xlsx_far_cell,
    "flatebomb.pdf": _pdf_flate_bomb,
    "operatorbomb.pdf": _pdf_operator_bomb,
    "formbomb.pdf": _pdf_form_bomb,
    "encrypted.pdf": _pdf_encrypted,
    "truncated.pdf": lambda: simple_pdf("cut off")[:200],
    "truncated.docx": lambda: docx_of(b"<w:p><w:r><w:t>cut off</w:t></w:r></w:p>")[:500],
    "empty.txt": lambda: b"",
    "empty.pdf": lambda: b"",
    "blank.md": lambda: b" \n\t\r\n \0",
    "pdf.docx": lambda: simple_pdf("a PDF under a wrong name"),
    "html.pdf": lambda: b"<!doctype html><html><body><p>A page under a wrong name, long enough to read.</p>",
    "text.docx": lambda: b"This is only text.",
    "image.txt": lambda: PNG,
    "archive.docx": lambda: zip_of({"readme.txt": b"not a document"}),
    "random.pdf": lambda: b"%PDF-1.7\n" + _random(100_000),
    "random.txt": lambda: _random(100_000),
    "random.bin": lambda: b"\x7fELF" + _random(1000),
    "utf16.txt": lambda: (UMLAUTS * 20).encode("utf-16"),
    "utf16-nobom.txt": lambda: (UMLAUTS * 20).encode("utf-16-le"),
    "utf16be-nobom.md": lambda: (UMLAUTS * 20).encode("utf-16-be"),
    "latin1.txt": lambda: (UMLAUTS * 20).encode("latin-1"),
    "nul.txt": lambda: b"some text\0 with NUL bytes\0 in it. " * 50,
    "oneline.txt": lambda: b"word " * (2 * MEGABYTE),
    "oneline.md": lambda: b"word " * (2 * MEGABYTE),
    "deep.json": lambda: b"[" * 200_000 + b"]" * 200_000,
    "wide.json": lambda: b"[" + b"1," * 2_000_000 + b"1]",
    "wide.csv": lambda: b",".join(b"c%d" % i for i in range(1_000_000)),
    "quote.csv": lambda: b'a,b\n1,"' + b"x,\n" * 2_000_000,
    "quotes.md": lambda: b">" * 100_000 + b" text",
    "brackets.md": lambda: b"[" * 100_000 + b"text",
    "links.md": lambda: b"[a](" * 50_000 + b"text",
    "emphasis.md": lambda: b"*a **b " * 50_000,
    "ticks.md": lambda: b"".join(b"`" * i + b" " for i in range(2_000)),
    "lists.md": lambda: b"".join(b"  " * i + b"- item\n" for i in range(2_000)),
    "comments.md": lambda: b"<!-- " * 100_000,
    "anchors.md": f"---\nl0: &l0 [x, x]\n{_ANCHORS}---\n# Laughing\n\nText.\n".encode,
    "laughs.xml": f'<?xml version="1.0"?><!DOCTYPE r [<!ENTITY l0 "ha">{_LAUGHS}]><r><a>&l9;</a></r>'.encode,
    "deep.xml": lambda: b"<a>" * 100_000 + b"x" + b"</a>" * 100_000,
    "deep.rst": lambda: b"".join(b"  " * i + b"* item\n\n" for i in range(1_000)),
    "nested.eml": _mail_bomb,
}

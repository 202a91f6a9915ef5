"""Render the sample's binary documents from the drafts under `drafts/`.

    python infra/sample/make_documents.py [TARGET]

A draft `drafts/hr/x.docx.md` becomes `TARGET/hr/x.docx`; TARGET is `handbook/` beside this file by default. Drafts
use a small part of Markdown: headings, paragraphs, lists, tables, and `> ` for the notes of a slide. Dates inside the
files are fixed, so the same versions of the libraries give the same bytes. Needs the development requirements.
The broken file is written as well: a PDF that ends in the middle of its first stream.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

SAMPLE = Path(__file__).resolve().parent
MOMENT = datetime(2026, 5, 29, 8, 0, 0)
AUTHOR = "Veldrane Instruments GmbH"
BROKEN = "finance/q3-board-figures.pdf"


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of a draft; `kind` is h1, h2, p, li, table or note, `rows` is set for tables only."""

    kind: str
    text: str = ""
    rows: tuple[tuple[str, ...], ...] = ()


def read_draft(text: str) -> list[Block]:
    """Split a draft into its blocks."""
    blocks: list[Block] = []
    for part in re.split(r"\n\s*\n", text.strip()):
        lines = part.splitlines()
        first = lines[0]
        if first.startswith("#"):
            marks, title = first.split(" ", 1)
            blocks.append(Block(f"h{len(marks)}", title.strip()))
        elif first.startswith("|"):
            rows = [tuple(cell.strip() for cell in line.strip().strip("|").split("|")) for line in lines]
            blocks.append(Block("table", rows=(rows[0], *rows[2:])))
        elif first.startswith("- "):
            blocks.extend(Block("li", item.strip()) for item in part.removeprefix("- ").split("\n- "))
        else:
            kind = "note" if first.startswith("> ") else "p"
            blocks.append(Block(kind, " ".join(line.removeprefix("> ").strip() for line in lines)))
    return blocks


def render_pdf(draft: str) -> bytes:
    """An A4 PDF with running page numbers; tables repeat their head on the next page."""
    from reportlab.lib import colors
    from reportlab.lib.pagesizes import A4
    from reportlab.lib.styles import getSampleStyleSheet
    from reportlab.lib.units import mm
    from reportlab.platypus import Paragraph, SimpleDocTemplate, Spacer, Table

    styles = getSampleStyleSheet()
    names = {"h1": "Title", "h2": "Heading2", "p": "BodyText", "li": "Bullet"}
    lines = [
        ("GRID", (0, 0), (-1, -1), 0.4, colors.grey),
        ("BACKGROUND", (0, 0), (-1, 0), colors.lightgrey),
        ("FONT", (0, 0), (-1, 0), "Helvetica-Bold"),
        ("FONTSIZE", (0, 0), (-1, -1), 8.5),
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
    ]
    story: list[Any] = []
    blocks = read_draft(draft)
    for block in blocks:
        if block.kind == "table":
            story += [Table([list(row) for row in block.rows], repeatRows=1, style=lines), Spacer(1, 4 * mm)]
        else:
            story.append(Paragraph(block.text, styles[names[block.kind]]))

    def footer(canvas: Any, _: Any) -> None:
        canvas.setFont("Helvetica", 8)
        canvas.drawString(20 * mm, 12 * mm, AUTHOR)
        canvas.drawRightString(190 * mm, 12 * mm, f"Page {canvas.getPageNumber()}")

    out = io.BytesIO()
    document = SimpleDocTemplate(
        out,
        pagesize=A4,
        invariant=1,
        title=blocks[0].text,
        author=AUTHOR,
        topMargin=20 * mm,
        bottomMargin=24 * mm,
    )
    document.build(story, onFirstPage=footer, onLaterPages=footer)
    return out.getvalue()


def render_docx(draft: str) -> bytes:
    """A Word document with real headings, lists and tables."""
    import docx

    document = docx.Document()
    for block in read_draft(draft):
        if block.kind == "table":
            table = document.add_table(rows=0, cols=len(block.rows[0]), style="Table Grid")
            for row in block.rows:
                for cell, text in zip(table.add_row().cells, row, strict=True):
                    cell.text = text
        elif block.kind.startswith("h"):
            document.add_heading(block.text, int(block.kind[1]) - 1)
        else:
            document.add_paragraph(block.text, style="List Bullet" if block.kind == "li" else None)
    _stamp(document.core_properties, read_draft(draft)[0].text)
    out = io.BytesIO()
    document.save(out)
    return _same_zip(out.getvalue())


def render_pptx(draft: str) -> bytes:
    """Slides: the h1 and its paragraph make the first, each h2 one more with its list or table and its notes."""
    from pptx import Presentation
    from pptx.util import Inches

    deck = Presentation()
    slide: Any = None
    for block in read_draft(draft):
        if block.kind in ("h1", "h2"):
            slide = deck.slides.add_slide(deck.slide_layouts[0 if block.kind == "h1" else 1])
            slide.shapes.title.text = block.text
        elif block.kind == "table":
            slide.placeholders[1].element.getparent().remove(slide.placeholders[1].element)
            size = (len(block.rows), len(block.rows[0]))
            frame = slide.shapes.add_table(*size, Inches(0.5), Inches(1.8), Inches(9), Inches(3))
            for y, row in enumerate(block.rows):
                for x, text in enumerate(row):
                    frame.table.cell(y, x).text = text
        elif block.kind == "note":
            slide.notes_slide.notes_text_frame.text = block.text
        else:
            body = slide.placeholders[1].text_frame
            body.text = f"{body.text}\n{block.text}".strip()
    _stamp(deck.core_properties, read_draft(draft)[0].text)
    out = io.BytesIO()
    deck.save(out)
    return _same_zip(out.getvalue())


def render_xlsx(draft: str) -> bytes:
    """One sheet for each h2; numbers become numeric cells."""
    import openpyxl
    from openpyxl.styles import Font

    blocks = read_draft(draft)
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    sheet: Any = None
    for block in blocks[1:]:
        if block.kind == "h2":
            sheet = book.create_sheet(block.text)
            continue
        for row in block.rows:
            sheet.append([_number(cell) for cell in row])
        for cell in sheet[1]:
            cell.font = Font(bold=True)
        sheet.freeze_panes = "A2"
    book.properties.title, book.properties.creator = blocks[0].text, AUTHOR
    book.properties.created = MOMENT
    out = io.BytesIO()
    book.save(out)
    return _same_zip(out.getvalue())


def render_pandoc(draft: str, form: str) -> bytes:
    """OpenDocument text or RTF by pandoc."""
    import pypandoc

    os.environ["SOURCE_DATE_EPOCH"] = str(int((MOMENT - datetime(1970, 1, 1)).total_seconds()))
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / f"out.{form}"
        pypandoc.convert_text(
            draft, form, format="markdown", outputfile=str(target), extra_args=["--standalone"]
        )
        data = target.read_bytes()
    return data if form == "rtf" else _same_zip(data)


def broken_pdf() -> bytes:
    """The start of a PDF whose upload was cut off: no page tree, no cross-reference table, no end marker.

    Readers repair a PDF that has lost its tail only while the objects of its pages are there.
    """
    rows = [
        f"BT /F1 9 Tf 60 {800 - 11 * i} Td (Q3 figures, line {i:03d}: {i * 7919 % 9973}) Tj ET"
        for i in range(400)
    ]
    stream = zlib.compress("\n".join(rows).encode(), 9)
    head = b"%%PDF-1.6\n%%\xe2\xe3\xcf\xd3\n1 0 obj\n<< /Filter /FlateDecode /Length %d >>\nstream\n" % len(
        stream
    )
    return head + stream[: len(stream) * 2 // 3]


def _stamp(properties: Any, title: str) -> None:
    properties.title, properties.author, properties.last_modified_by = title, AUTHOR, AUTHOR
    properties.created = properties.modified = MOMENT


def _number(cell: str) -> int | float | str | None:
    if re.fullmatch(r"-?\d+", cell):
        return int(cell)
    return float(cell) if re.fullmatch(r"-?\d+\.\d+", cell) else cell or None


def _same_zip(data: bytes) -> bytes:
    """The archive with a fixed time on every member and in its properties, members in their order."""
    out = io.BytesIO()
    stamp = f"{MOMENT:%Y-%m-%dT%H:%M:%S}Z".encode()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "docProps/core.xml":
                content = re.sub(rb"(<dcterms:modified[^>]*>)[^<]*", rb"\g<1>" + stamp, content)
            member = zipfile.ZipInfo(name, MOMENT.timetuple()[:6])
            member.compress_type = zipfile.ZIP_STORED if name == "mimetype" else zipfile.ZIP_DEFLATED
            new.writestr(member, content)
    return out.getvalue()


RENDERERS: dict[str, Callable[[str], bytes]] = {
    "pdf": render_pdf,
    "docx": render_docx,
    "pptx": render_pptx,
    "xlsx": render_xlsx,
    "odt": lambda draft: render_pandoc(draft, "odt"),
    "rtf": lambda draft: render_pandoc(draft, "rtf"),
}


def make_all(target: Path) -> list[Path]:
    """Write every binary document below `target`; returns their paths."""
    drafts = SAMPLE / "drafts"
    written = {BROKEN: broken_pdf()}
    for draft in sorted(drafts.rglob("*.md")):
        name = draft.relative_to(drafts).as_posix().removesuffix(".md")
        written[name] = RENDERERS[name.rsplit(".", 1)[1]](draft.read_text(encoding="utf-8"))
    for name, data in written.items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_bytes(data)
    return [target / name for name in written]


def main() -> int:
    """Read the command line and render."""
    parser = argparse.ArgumentParser(description="Render the sample's binary documents.")
    parser.add_argument("target", nargs="?", type=Path, default=SAMPLE / "handbook")
    for path in make_all(parser.parse_args().target):
        print(f"{path.stat().st_size:8d}  {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

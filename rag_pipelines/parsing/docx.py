"""Word documents: the body's XML in order, styles for headings and lists, tables as rows.

Read with lxml and not through python-docx, whose cell access is quadratic and which refuses templates and
macro files. Headers, footers, comments and deleted text are left out; foot- and endnotes follow their paragraph.
"""

from __future__ import annotations

import zipfile
from typing import Any

from rag_pipelines.core.errors import ParseError
from rag_pipelines.core.types import ElementKind, ParsedDocument
from rag_pipelines.parsing.builder import DocumentBuilder
from rag_pipelines.parsing.cells import BULLET, table_text
from rag_pipelines.parsing.docx_styles import Style, read_styles
from rag_pipelines.parsing.ooxml import (
    attribute,
    core_properties,
    local,
    open_archive,
    read_xml,
    relationships,
)

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
KIND = "Word"
_SKIPPED = frozenset(
    {"del", "moveFrom", "instrText", "delText", "rPr", "pPr", "sectPr", "Fallback", "fldData"}
)
_CONTAINERS = frozenset(
    {
        "sdt",
        "sdtContent",
        "customXml",
        "ins",
        "moveTo",
        "smartTag",
        "AlternateContent",
        "Choice",
        "body",
        "txbxContent",
    }
)
_NOTE_KINDS = {"footnoteReference": "footnotes", "endnoteReference": "endnotes"}
_MAX_DEPTH = 40


def parse_docx(data: bytes, name: str, version: int) -> ParsedDocument:
    """The document of a .docx, .docm or .dotx file. Raises ParseError."""
    with open_archive(data, KIND) as archive:
        main = relationships(archive, "", KIND).get("officeDocument", ["word/document.xml"])[0]
        root = read_xml(archive, main, KIND)
        if local(root) != "document":
            raise ParseError("is named or stated to be a Word file but is another kind of document")
        links = relationships(archive, main, KIND)
        styles = read_styles(archive, links.get("styles", []))
        notes = {kind: _notes(archive, links.get(kind, [])) for kind in ("footnotes", "endnotes")}
        metadata: dict[str, Any] = dict(core_properties(archive, KIND))
    reader = _Reader(styles, notes, paged=next(root.iter("{*}lastRenderedPageBreak"), None) is not None)
    for body in root:
        if local(body) == "body":
            reader.blocks(body, 0)
    reader.end()
    return reader.builder.build(
        MEDIA_TYPE,
        f"docx/{version}",
        title=metadata.get("title"),
        pages=reader.page,
        metadata=metadata,
    )


def _notes(archive: zipfile.ZipFile, parts: list[str]) -> dict[str, Any]:
    found = {}
    for part in parts[:1]:
        if part in archive.namelist():
            for note in read_xml(archive, part, KIND):
                if attribute(note, "type") in (None, "normal"):
                    found[attribute(note, "id") or ""] = note
    return found


class _Reader:
    """Walks blocks and adds elements; holds the page and the code lines not yet added."""

    def __init__(self, styles: dict[str, Style], notes: dict[str, dict[str, Any]], *, paged: bool) -> None:
        self.builder = DocumentBuilder()
        self.page: int | None = 1 if paged else None
        self._styles = styles
        self._notes = notes
        self._code: list[str] = []
        self._code_page: int | None = None

    def blocks(self, parent: Any, depth: int) -> None:
        """Paragraphs and tables below `parent`, in order."""
        if depth > _MAX_DEPTH:
            raise ParseError(f"nests its content more than {_MAX_DEPTH} deep")
        for child in parent:
            tag = local(child)
            if tag == "p":
                self._paragraph(child, depth)
            elif tag == "tbl":
                self._table(child, depth)
            elif tag in _CONTAINERS:
                self.blocks(child, depth + 1)

    def end(self) -> None:
        """Add code lines that are still held back."""
        if self._code:
            self.builder.add(ElementKind.CODE, "\n".join(self._code), page=self._code_page)
            self._code = []

    def _paragraph(self, paragraph: Any, depth: int) -> None:
        run = _Run(self.page)
        run.read(paragraph)
        page = run.text_page if run.text_page is not None else self.page
        self.page = run.page
        text = "".join(run.parts)
        style = self._style_of(paragraph)
        if style.code and text.strip():
            self._code_page = page if not self._code else self._code_page
            self._code.append(text)
        elif text.strip():
            self.end()
            kind, level = _kind(style, run, text)
            if kind is not ElementKind.HEADING:
                text, bullets = BULLET.subn("", text, count=1)
                kind = ElementKind.LIST_ITEM if bullets else kind
            self.builder.add(kind, text, level=level, page=page)
        for box in run.boxes:
            self.end()
            self.blocks(box, depth + 1)
        for kind_of_note, number in run.notes:
            note = self._notes.get(kind_of_note, {}).get(number)
            if note is not None:
                self.end()
                self.builder.add(ElementKind.PARAGRAPH, _plain(note), page=page)

    def _style_of(self, paragraph: Any) -> Style:
        properties = next((c for c in paragraph if local(c) == "pPr"), None)
        direct: dict[str, Any] = {local(c): c for c in properties} if properties is not None else {}
        named = attribute(direct["pStyle"], "val") if "pStyle" in direct else None
        return self._styles.get(named or "", Style()).with_direct(direct)

    def _table(self, table: Any, depth: int) -> None:
        self.end()
        rows = [row for row in _rows(table) if row]
        if rows and all(len(row) == 1 for row in rows) and depth < _MAX_DEPTH:
            for row in rows:
                self.blocks(row[0], depth + 1)
            return
        start = self.page
        text = table_text(_cells(rows))
        self.builder.add(ElementKind.TABLE, text, page=start)
        if self.page is not None:
            self.page += sum(1 for _ in table.iter("{*}lastRenderedPageBreak"))


class _Run:
    """Text of one paragraph, with the text boxes and notes found on the way."""

    def __init__(self, page: int | None) -> None:
        self.parts: list[str] = []
        self.boxes: list[Any] = []
        self.notes: list[tuple[str, str]] = []
        self.page = page
        self.text_page: int | None = None
        self.bold = True

    def read(self, element: Any) -> None:
        """Append what is below the element."""
        for child in element:
            tag = local(child)
            if tag == "t":
                self._text(child.text or "")
            elif tag in ("tab", "ptab"):
                self.parts.append("\t")
            elif tag in ("br", "cr"):
                self.parts.append("\n")
            elif tag == "noBreakHyphen":
                self.parts.append("-")
            elif tag == "lastRenderedPageBreak" and self.page is not None:
                self.page += 1
            elif tag in _NOTE_KINDS:
                self.notes.append((_NOTE_KINDS[tag], attribute(child, "id") or ""))
            elif tag == "txbxContent":
                self.boxes.append(child)
            elif tag == "r":
                self._one_run(child)
            elif tag not in _SKIPPED:
                self.read(child)

    def _one_run(self, run: Any) -> None:
        properties = next((c for c in run if local(c) == "rPr"), None)
        flags: dict[str, Any] = (
            {local(c): attribute(c, "val") for c in properties} if properties is not None else {}
        )
        if "vanish" in flags and flags["vanish"] not in ("0", "false"):
            return
        before = len(self.parts)
        self.read(run)
        if "".join(self.parts[before:]).strip() and ("b" not in flags or flags["b"] in ("0", "false")):
            self.bold = False

    def _text(self, text: str) -> None:
        if text.strip() and self.text_page is None:
            self.text_page = self.page
        self.parts.append(text)


def _kind(style: Style, run: _Run, text: str) -> tuple[ElementKind, int | None]:
    if style.title:
        return ElementKind.TITLE, None
    if style.level is not None:
        return ElementKind.HEADING, style.level
    if style.listed:
        return ElementKind.LIST_ITEM, None
    if run.bold and 3 <= len(text.strip()) <= 80 and text.strip()[-1].isalnum():
        return ElementKind.HEADING, 6
    return ElementKind.PARAGRAPH, None


def _plain(element: Any) -> str:
    run = _Run(None)
    run.read(element)
    for box in run.boxes:
        run.parts.append(" " + _plain(box))
    return "".join(run.parts)


def _rows(table: Any) -> list[list[Any]]:
    """Cell elements of each row; content controls around rows and cells are seen through."""
    return [_inner(row, "tc") for row in _inner(table, "tr")]


def _inner(element: Any, wanted: str) -> list[Any]:
    found = []
    for child in element:
        tag = local(child)
        if tag == wanted:
            found.append(child)
        elif tag in _CONTAINERS:
            found += _inner(child, wanted)
    return found


def _cells(rows: list[list[Any]]) -> list[list[str]]:
    """Texts of the cells; one that spans rows is repeated, one that spans columns stands once."""
    out: list[list[str]] = []
    above: dict[int, str] = {}
    for row in rows:
        texts: list[str] = []
        column = 0
        for cell in row:
            properties = next((c for c in cell if local(c) == "tcPr"), None)
            settings = {local(c): attribute(c, "val") for c in properties} if properties is not None else {}
            text = _cell_text(cell, 0)
            if "vMerge" in settings and settings["vMerge"] != "restart":
                text = text or above.get(column, "")
            above[column] = text
            span = settings.get("gridSpan") or "1"
            width = min(int(span), 64) if span.isdigit() else 1
            texts += [text, *[""] * (max(width, 1) - 1)]
            column += max(width, 1)
        out.append(texts)
    return out


def _cell_text(cell: Any, depth: int) -> str:
    parts = []
    for child in cell:
        tag = local(child)
        if tag == "p":
            parts.append(_plain(child))
        elif tag == "tbl" and depth < _MAX_DEPTH:
            rows = (", ".join(filter(None, (_cell_text(c, depth + 1) for c in row))) for row in _rows(child))
            parts.append("; ".join(filter(None, rows)))
        elif tag in _CONTAINERS and depth < _MAX_DEPTH:
            parts.append(_cell_text(child, depth + 1))
    return " ".join(" ".join(parts).split())

"""PowerPoint: a slide is a page, its title a heading; bullets, tables, charts, diagrams and notes in order."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterator
from io import BytesIO
from typing import Any

from rag_pipelines.core.errors import ParseError
from rag_pipelines.core.types import ElementKind, ParsedDocument
from rag_pipelines.parsing.builder import DocumentBuilder
from rag_pipelines.parsing.cells import table_text
from rag_pipelines.parsing.ooxml import core_properties, local, open_archive

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
KIND = "PowerPoint"
_MAX_DEPTH = 20
_FURNITURE = frozenset({"DATE", "FOOTER", "SLIDE_NUMBER", "HEADER"})
_LISTS = frozenset({"BODY", "OBJECT", "VERTICAL_BODY", "VERTICAL_OBJECT"})


def parse_pptx(data: bytes, name: str, version: int) -> ParsedDocument:
    """The document of a .pptx or .pptm file. Raises ParseError."""
    from lxml import etree
    from pptx import Presentation
    from pptx.exc import PythonPptxError

    with open_archive(data, KIND) as archive:
        metadata: dict[str, Any] = dict(core_properties(archive, KIND))
    builder = DocumentBuilder()
    try:
        slides = Presentation(BytesIO(data)).slides
        for number, slide in enumerate(slides, start=1):
            _slide(builder, slide, number)
        count = len(slides)
    except (PythonPptxError, etree.XMLSyntaxError, zipfile.BadZipFile, struct.error) as error:
        raise ParseError(f"is a damaged PowerPoint file: {error}") from error
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise ParseError(f"cannot be read as PowerPoint: {type(error).__name__}: {error}") from error
    if not builder.length:
        raise ParseError("has no text on any slide (slides that are pictures need OCR)")
    return builder.build(
        MEDIA_TYPE,
        f"pptx/{version}",
        title=metadata.get("title") if metadata.get("title") != "PowerPoint Presentation" else None,
        pages=count,
        metadata=metadata,
    )


def _slide(builder: DocumentBuilder, slide: Any, number: int) -> None:
    title = slide.shapes.title
    if title is not None and title.has_text_frame and title.text_frame.text.strip():
        first = not builder.length and _placeholder(title) == "CENTER_TITLE"
        kind = ElementKind.TITLE if first else ElementKind.HEADING
        builder.add(kind, title.text_frame.text, level=None if first else 1, page=number)
    shapes = [shape for shape in slide.shapes if title is None or shape.shape_id != title.shape_id]
    for shape in _in_order(shapes, 0):
        _shape(builder, shape, slide, number)
    if slide.has_notes_slide:
        notes = slide.notes_slide.notes_text_frame
        for paragraph in notes.paragraphs if notes is not None else ():
            builder.add(ElementKind.PARAGRAPH, _text(paragraph), page=number)


def _in_order(shapes: Any, depth: int) -> Iterator[Any]:
    """Shapes from the top down and left to right, groups as one and opened where they stand."""
    for shape in sorted(shapes, key=_place):
        if hasattr(shape, "shapes"):
            if depth > _MAX_DEPTH:
                raise ParseError(f"nests groups of shapes more than {_MAX_DEPTH} deep")
            yield from _in_order(shape.shapes, depth + 1)
        else:
            yield shape


def _place(shape: Any) -> tuple[int, int]:
    """Half an inch counts as the same height."""
    top, left = shape.top, shape.left
    return ((top or 0) // 457_200, left or 0)


def _placeholder(shape: Any) -> str:
    return str(shape.placeholder_format.type).split(" ")[0].split(".")[-1] if shape.is_placeholder else ""


def _shape(builder: DocumentBuilder, shape: Any, slide: Any, number: int) -> None:
    placeholder = _placeholder(shape)
    if placeholder in _FURNITURE:
        return
    if getattr(shape, "has_table", False):
        rows = [[cell.text_frame.text for cell in row.cells] for row in shape.table.rows]
        builder.add(ElementKind.TABLE, table_text(rows), page=number)
    elif getattr(shape, "has_chart", False):
        _chart(builder, shape.chart, number)
    elif shape.has_text_frame:
        for paragraph in shape.text_frame.paragraphs:
            kind = ElementKind.LIST_ITEM if _is_item(paragraph, placeholder) else ElementKind.PARAGRAPH
            builder.add(kind, _text(paragraph), page=number)
    else:
        _diagram(builder, shape, slide, number)


def _text(paragraph: Any) -> str:
    """Text with line breaks, field values included."""
    return "".join(
        element.text or "" if local(element) == "t" else "\n"
        for element in paragraph._p.iter()
        if local(element) in ("t", "br")
    )


def _is_item(paragraph: Any, placeholder: str) -> bool:
    """A bullet of its own, or the bullet that body placeholders inherit unless switched off."""
    properties = next((c for c in paragraph._p if local(c) == "pPr"), None)
    marks = {local(c) for c in properties} if properties is not None else set()
    if "buNone" in marks:
        return False
    return placeholder in _LISTS or paragraph.level > 0 or bool(marks & {"buChar", "buAutoNum", "buBlip"})


def _chart(builder: DocumentBuilder, chart: Any, number: int) -> None:
    """A chart's title, and its numbers as a table: one row a category, one column a series."""
    if chart.has_title and chart.chart_title.has_text_frame:
        builder.add(ElementKind.PARAGRAPH, chart.chart_title.text_frame.text, page=number)
    for plot in chart.plots:
        series = list(plot.series)
        rows = [["", *(str(one.name) for one in series)]]
        columns = [list(one.values) for one in series]
        for i, category in enumerate(plot.categories):
            values = (column[i] if i < len(column) else None for column in columns)
            rows.append([str(category), *("" if v is None else format(v, ".10g") for v in values)])
        builder.add(ElementKind.TABLE, table_text(rows), page=number)


def _diagram(builder: DocumentBuilder, shape: Any, slide: Any, number: int) -> None:
    """The texts of a SmartArt diagram, which live in a part of their own."""
    from lxml import etree

    for element in shape._element.iter("{*}relIds"):
        reference = next((v for k, v in element.attrib.items() if k.endswith("}dm")), None)
        if reference is None or reference not in slide.part.rels:
            continue
        root = etree.fromstring(
            slide.part.related_part(reference).blob, etree.XMLParser(resolve_entities=False)
        )
        for body in root.iter("{*}p"):
            builder.add(ElementKind.LIST_ITEM, "".join(t.text or "" for t in body.iter("{*}t")), page=number)

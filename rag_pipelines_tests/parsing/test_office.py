"""Word, PowerPoint and Excel: structure in order, and the guard in front of the archive."""

from __future__ import annotations

from datetime import date
from io import BytesIO
from typing import Any

import pytest

from rag_pipelines.core.errors import ParseError
from rag_pipelines.core.types import ParsedDocument
from rag_pipelines.parsing.office import parse_docx, parse_pptx, parse_xlsx
from rag_pipelines_tests.parsing.made_docx import W, docx_body, run


def elements(document: ParsedDocument) -> list[tuple[str, int | None, int | None, str]]:
    return [(e.kind.value, e.level, e.page, document.text[e.start : e.end]) for e in document.elements]


def saved(thing: Any) -> bytes:
    out = BytesIO()
    thing.save(out)
    return out.getvalue()


def test_docx_keeps_the_order_of_headings_lists_tables_and_text() -> None:
    import docx

    document = docx.Document()
    document.core_properties.title = "Travel policy"
    document.core_properties.author = "HR"
    document.add_heading("Travel policy", level=0)
    document.add_heading("Booking", level=1)
    document.add_paragraph("Book trains first.")
    document.add_paragraph("second class", style="List Bullet")
    document.add_paragraph("ask your lead", style="List Number")
    table = document.add_table(rows=2, cols=2)
    for cell, text in zip(
        (c for row in table.rows for c in row.cells), ("City", "Rate", "Bern", "180"), strict=True
    ):
        cell.text = text
    document.add_heading("Hotels", level=2)
    document.add_paragraph("After the table.")
    document.sections[0].header.paragraphs[0].text = "CONFIDENTIAL HEADER"
    parsed = parse_docx(saved(document), "travel.docx")
    assert elements(parsed) == [
        ("title", None, None, "Travel policy"),
        ("heading", 1, None, "Booking"),
        ("paragraph", None, None, "Book trains first."),
        ("list_item", None, None, "second class"),
        ("list_item", None, None, "ask your lead"),
        ("table", None, None, "City | Rate\nBern | 180"),
        ("heading", 2, None, "Hotels"),
        ("paragraph", None, None, "After the table."),
    ]
    assert parsed.title == "Travel policy"
    assert parsed.metadata["author"] == "HR"
    assert parsed.pages is None


def test_docx_merged_and_nested_cells() -> None:
    import docx

    document = docx.Document()
    table = document.add_table(rows=3, cols=3)
    for i, row in enumerate(table.rows):
        for j, cell in enumerate(row.cells):
            cell.text = f"{i}{j}"
    table.cell(0, 0).merge(table.cell(0, 1)).text = "wide"
    table.cell(1, 0).merge(table.cell(2, 0)).text = "tall"
    inner = table.cell(1, 1).add_table(rows=2, cols=2)
    for cell, text in zip((c for row in inner.rows for c in row.cells), "abcd", strict=True):
        cell.text = text
    assert elements(parse_docx(saved(document), "a.docx"))[0][3] == (
        "wide | | 02\ntall | 11 a, b; c, d | 12\ntall | 21 | 22"
    )


def test_docx_text_boxes_notes_deletions_and_hidden_text() -> None:
    box = f"<w:txbxContent><w:p>{run('In the box.')}</w:p></w:txbxContent>"
    note = '<w:r><w:footnoteReference w:id="2"/></w:r>'
    deleted = "<w:del><w:r><w:delText>gone</w:delText></w:r></w:del>"
    data = docx_body(
        f"<w:p>{run('Seen ')}{deleted}{run('hidden ', '<w:vanish/>')}<w:ins>{run('and added.')}</w:ins>{note}</w:p>"
        f'<w:p>{run("Anchor.")}<w:r><mc:AlternateContent xmlns:mc="m"><mc:Choice>{box}</mc:Choice>'
        f"<mc:Fallback>{box}</mc:Fallback></mc:AlternateContent></w:r></w:p>",
        footnotes=f'<w:footnotes xmlns:w="{W}"><w:footnote w:id="2"><w:p>{run("The note.")}</w:p></w:footnote>'
        "</w:footnotes>",
    )
    assert [text for *_, text in elements(parse_docx(data, "a.docx"))] == [
        "Seen and added.",
        "The note.",
        "Anchor.",
        "In the box.",
    ]


def test_docx_pages_follow_rendered_page_breaks() -> None:
    broken = "<w:r><w:lastRenderedPageBreak/></w:r>"
    data = docx_body(f"<w:p>{run('one')}</w:p><w:p>{broken}{run('two')}</w:p><w:p>{run('still two')}</w:p>")
    parsed = parse_docx(data, "a.docx")
    assert [(page, text) for _, _, page, text in elements(parsed)] == [
        (1, "one"),
        (2, "two"),
        (2, "still two"),
    ]
    assert parsed.pages == 2


def test_docx_code_style_and_bold_lines_as_headings() -> None:
    import docx
    from docx.enum.style import WD_STYLE_TYPE

    document = docx.Document()
    document.styles.add_style("Source Code", WD_STYLE_TYPE.PARAGRAPH)
    document.add_paragraph().add_run("Installing").bold = True
    document.add_paragraph("pip install pump", style="Source Code")
    document.add_paragraph("    --user", style="Source Code")
    assert elements(parse_docx(saved(document), "a.docx")) == [
        ("heading", 6, None, "Installing"),
        ("code", None, None, "pip install pump\n    --user"),
    ]


def test_docx_one_column_tables_are_layout() -> None:
    import docx

    document = docx.Document()
    cell = document.add_table(rows=1, cols=1).cell(0, 0)
    cell.text = "First paragraph."
    cell.add_paragraph("Second paragraph.")
    assert [kind for kind, *_ in elements(parse_docx(saved(document), "a.docx"))] == [
        "paragraph",
        "paragraph",
    ]


def test_pptx_slides_are_pages() -> None:
    from pptx import Presentation
    from pptx.chart.data import CategoryChartData
    from pptx.enum.chart import XL_CHART_TYPE
    from pptx.util import Inches

    deck = Presentation()
    first = deck.slides.add_slide(deck.slide_layouts[0])
    first.shapes.title.text = "Quarter three"
    first.placeholders[1].text = "Finance"
    second = deck.slides.add_slide(deck.slide_layouts[1])
    second.shapes.title.text = "Results"
    second.placeholders[1].text = "Sales grew\nCosts fell"
    table = second.shapes.add_table(2, 2, Inches(1), Inches(6), Inches(4), Inches(1)).table
    for (i, j), text in {(0, 0): "Region", (0, 1): "EUR", (1, 0): "North", (1, 1): "12"}.items():
        table.cell(i, j).text = text
    second.notes_slide.notes_text_frame.text = "Thank the team."
    third = deck.slides.add_slide(deck.slide_layouts[5])
    third.shapes.title.text = "By month"
    numbers: Any = CategoryChartData()  # type: ignore[no-untyped-call]
    numbers.categories = ["July", "August"]
    numbers.add_series("Sales", (3.5, 4))
    third.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, 0, Inches(2), Inches(4), Inches(3), numbers)
    group = third.shapes.add_group_shape()
    group.shapes.add_textbox(0, Inches(6), Inches(2), Inches(1)).text_frame.text = "Grouped remark"
    parsed = parse_pptx(saved(deck), "q3.pptx")
    assert elements(parsed) == [
        ("title", None, 1, "Quarter three"),
        ("paragraph", None, 1, "Finance"),
        ("heading", 1, 2, "Results"),
        ("list_item", None, 2, "Sales grew"),
        ("list_item", None, 2, "Costs fell"),
        ("table", None, 2, "Region | EUR\nNorth | 12"),
        ("paragraph", None, 2, "Thank the team."),
        ("heading", 1, 3, "By month"),
        ("table", None, 3, "| Sales\nJuly | 3.5\nAugust | 4"),
        ("paragraph", None, 3, "Grouped remark"),
    ]
    assert parsed.pages == 3


def test_pptx_without_text_says_so() -> None:
    from pptx import Presentation

    deck = Presentation()
    deck.slides.add_slide(deck.slide_layouts[6])
    with pytest.raises(ParseError, match=r"^has no text on any slide"):
        parse_pptx(saved(deck), "a.pptx")


def test_xlsx_sheets_captions_values_and_separate_tables() -> None:
    from openpyxl import Workbook

    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "Rates"
    rows: list[list[Any]] = [
        ["Day rates"],
        ["City", "From", "Rate"],
        ["Bern", date(2026, 1, 5), 180.0],
        ["Rome", None, 99.5],
        [],
        [None, "Open", "Done"],
        [None, True, 3],
    ]
    for row in rows:
        sheet.append(row)
    book.create_sheet("Empty")
    book.create_sheet("Notes").append(["Only a remark"])
    parsed = parse_xlsx(saved(book), "rates.xlsx")
    assert elements(parsed) == [
        ("heading", 1, 1, "Rates"),
        ("paragraph", None, 1, "Day rates"),
        ("table", None, 1, "City | From | Rate\nBern | 2026-01-05 | 180\nRome | | 99.5"),
        ("table", None, 1, "Open | Done\nTRUE | 3"),
        ("heading", 1, 3, "Notes"),
        ("paragraph", None, 3, "Only a remark"),
    ]
    assert parsed.metadata["sheets"] == ["Rates", "Empty", "Notes"]


def test_xlsx_long_tables_repeat_their_header() -> None:
    from openpyxl import Workbook

    book = Workbook(write_only=True)
    sheet = book.create_sheet("Data")
    sheet.append(["id", "name"])
    for i in range(100):
        sheet.append([i, f"row {i}"])
    tables = [text for kind, *_, text in elements(parse_xlsx(saved(book), "a.xlsx")) if kind == "table"]
    assert [len(text.splitlines()) for text in tables] == [41, 41, 21]
    assert {text.splitlines()[0] for text in tables} == {"id | name"}
    assert tables[2].splitlines()[-1] == "99 | row 99"


def test_xlsx_far_cell_costs_nothing() -> None:
    from openpyxl import Workbook

    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet["A1"] = "near"
    sheet["XFD1048576"] = "far"
    assert [text for *_, text in elements(parse_xlsx(saved(book), "a.xlsx"))] == ["Sheet", "near", "far"]


def test_xlsx_too_many_cells_and_empty_books(monkeypatch: pytest.MonkeyPatch) -> None:
    from openpyxl import Workbook

    with pytest.raises(ParseError, match=r"^has no value on any sheet"):
        parse_xlsx(saved(Workbook()), "a.xlsx")
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    for i in range(20):
        sheet.append([i, i])
    monkeypatch.setattr("rag_pipelines.parsing.xlsx.MAX_CELLS", 30)
    with pytest.raises(ParseError, match=r"^has more than 30 filled cells"):
        parse_xlsx(saved(book), "a.xlsx")

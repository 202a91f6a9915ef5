"""PDF: structure, reading order and the reasons of what cannot be read."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from rag_pipelines.core.types import ElementKind
from rag_pipelines.parsing.pdf import parse
from rag_pipelines_tests.parsing.made_pdf import WORDS, elements, pdf, prose, write


def test_headings_by_font_size_and_paragraphs_from_lines() -> None:
    def page(canvas: Any) -> None:
        y = write(canvas, ["Pump Manual"], size=24)
        y = write(canvas, ["Starting"], y=y - 10, size=16)
        y = write(
            canvas,
            ["Open the valve slowly before the pump is switched on and wait until the", "line is full."],
            y=y,
        )
        y = write(canvas, ["Then switch on the motor."], y=y - 12)
        write(canvas, ["Stopping"], y=y - 10, size=16)
        write(canvas, ["Close the valve first."], y=y - 40)

    document = parse(pdf(page, title="Pump Manual, 3rd edition", author="A. Writer"), "pump.pdf")
    assert elements(document) == [
        ("title", None, "Pump Manual"),
        ("heading", 1, "Starting"),
        (
            "paragraph",
            None,
            "Open the valve slowly before the pump is switched on and wait until the line is full.",
        ),
        ("paragraph", None, "Then switch on the motor."),
        ("heading", 1, "Stopping"),
        ("paragraph", None, "Close the valve first."),
    ]
    assert document.title == "Pump Manual, 3rd edition"
    assert document.metadata["author"] == "A. Writer"
    assert document.pages == 1
    assert {e.page for e in document.elements} == {1}


def test_headings_by_outline_keep_its_levels() -> None:
    def first(canvas: Any) -> None:
        canvas.bookmarkPage("one")
        canvas.addOutlineEntry("Safety", "one", level=0)
        canvas.bookmarkPage("shock")
        canvas.addOutlineEntry("Electric shock", "shock", level=1)
        write(canvas, ["Safety"], size=11)
        write(canvas, ["1.1 Electric shock"], y=730, size=11)
        write(canvas, prose(0, 4), y=700)

    def second(canvas: Any) -> None:
        canvas.bookmarkPage("two")
        canvas.addOutlineEntry("Maintenance", "two", level=0)
        write(canvas, ["Maintenance"], size=11)
        write(canvas, prose(3, 4), y=730)

    found = [e for e in elements(parse(pdf(first, second), "a.pdf")) if e[0] == "heading"]
    assert found == [
        ("heading", 1, "Safety"),
        ("heading", 2, "1.1 Electric shock"),
        ("heading", 1, "Maintenance"),
    ]


def test_two_columns_are_read_one_after_the_other_even_when_drawn_line_by_line() -> None:
    left = [f"left {i} " + " ".join(WORDS[i : i + 5]) for i in range(12)]
    right = [f"right {i} " + " ".join(WORDS[i + 3 : i + 8]) for i in range(12)]

    def page(canvas: Any) -> None:
        write(canvas, ["A report across both columns"], size=20, y=790)
        for i in range(12):
            write(canvas, [left[i]], x=72, y=740 - 14 * i)
            write(canvas, [right[i]], x=310, y=740 - 14 * i)

    text = parse(pdf(page), "a.pdf").text
    positions = [text.index(f"left {i} ") for i in range(12)] + [text.index(f"right {i} ") for i in range(12)]
    assert positions == sorted(positions)
    assert text.startswith("A report across both columns")


def test_a_table_becomes_rows_with_its_cells_in_their_columns() -> None:
    rows = [
        ("Part", "Material", "Weight"),
        ("Valve", "Brass", "1.2 kg"),
        ("Seal", "", "0.1 kg"),
        ("Motor", "Steel", "14 kg"),
    ]

    def page(canvas: Any) -> None:
        write(canvas, prose(0, 3))
        for i, row in enumerate(rows):
            for x, cell in zip((72, 220, 380), row, strict=True):
                write(canvas, [cell], x=x, y=690 - 16 * i)
        write(canvas, prose(5, 3), y=590)

    found = elements(parse(pdf(page), "a.pdf"))
    assert found[1] == (
        "table",
        None,
        "Part | Material | Weight\nValve | Brass | 1.2 kg\nSeal | | 0.1 kg\nMotor | Steel | 14 kg",
    )
    assert [kind for kind, _, _ in found] == ["paragraph", "table", "paragraph"]


def test_running_heads_and_page_numbers_are_removed_but_chapter_titles_stay() -> None:
    def page_of(number: int) -> Any:
        def page(canvas: Any) -> None:
            write(canvas, ["ACME Pump Manual"], y=810, size=9)
            write(canvas, [f"Chapter {number}"], y=770, size=18)
            write(canvas, prose(number, 6), y=740)
            write(canvas, [f"{number + 4}"], x=300, y=30, size=9)

        return page

    document = parse(pdf(*(page_of(n) for n in range(1, 7))), "a.pdf")
    assert "ACME" not in document.text
    assert [text for kind, _, text in elements(document) if kind == "heading"] == [
        f"Chapter {n}" for n in range(1, 7)
    ]
    assert [e.page for e in document.elements if e.kind is ElementKind.PARAGRAPH] == [1, 2, 3, 4, 5, 6]
    assert not any(line.strip().isdigit() for line in document.text.splitlines())


def test_footers_that_change_with_the_section_go_by_their_page_number() -> None:
    names = ["Valves", "Pumps", "Motors", "Basins", "Seals", "Loops"]

    def page_of(index: int) -> Any:
        def page(canvas: Any) -> None:
            write(canvas, [f"{names[index]} were rebuilt in {1980 + index * 3}", *prose(index, 6)])
            write(canvas, [f"{names[index]} | {index + 12}"], x=72, y=30, size=9)

        return page

    text = parse(pdf(*(page_of(i) for i in range(6))), "a.pdf").text
    assert not any(f"{name} |" in text for name in names)
    assert text.count("were rebuilt in 19") == 6


def test_words_cut_at_line_ends_are_mended_and_compounds_kept() -> None:
    lines = [
        "The temperature sensor reports to the well-known controller. The tempera-",
        "ture is read every second by the long-term monitor. This well-",
        "known device needs no battery and is main-",
        "tained by the operator of the plant, who keeps it in good shape.",
    ]
    text = parse(pdf(lambda canvas: write(canvas, lines)), "a.pdf").text
    assert "The temperature is read" in text
    assert "This well-known device" in text
    assert "is maintained by" in text


def test_lists_and_code() -> None:
    def page(canvas: Any) -> None:
        y = write(canvas, ["Before you start, check the following points with great care please:"])
        y = write(
            canvas,
            ["\u2022 The valve is closed and the", "  handle points down", "\u2022 The motor is cold"],
            y=y - 6,
            x=90,
        )
        y = write(canvas, ["1. Open the valve", "2. Start the motor"], y=y - 12, x=90)
        write(canvas, ["pump --start", "    --slow", "pump --status"], y=y - 20, font="Courier", size=10)

    found = elements(parse(pdf(page), "a.pdf"))
    assert [item for item in found if item[0] == "list_item"] == [
        ("list_item", None, "The valve is closed and the handle points down"),
        ("list_item", None, "The motor is cold"),
        ("list_item", None, "1. Open the valve"),
        ("list_item", None, "2. Start the motor"),
    ]
    assert found[-1] == ("code", None, "pump --start\n    --slow\npump --status")


def test_turned_text_goes_last_and_a_turned_page_is_read_like_any_other() -> None:
    def stamped(canvas: Any) -> None:
        canvas.saveState()
        canvas.rotate(90)
        write(canvas, ["DRAFT stamped on the margin"], x=200, y=-30)
        canvas.restoreState()
        write(canvas, prose(0, 5))

    def sideways(canvas: Any) -> None:
        canvas.rotate(90)
        write(canvas, ["First line of the page.", "Second line of the page."], x=100, y=-100)

    document = parse(pdf(stamped, sideways), "a.pdf")
    found = [text for _, _, text in elements(document)]
    assert found[1] == "DRAFT stamped on the margin"
    assert found[2] == "First line of the page. Second line of the page."


def test_spans_hold_and_equal_bytes_give_equal_documents() -> None:
    data = pdf(lambda c: write(c, prose(0, 20)), lambda c: write(c, prose(7, 20)))
    first, second = parse(data, "a.pdf"), parse(BytesIO(data).getvalue(), "other.pdf")
    assert first == second
    position = 0
    for element in first.elements:
        assert not first.text[position : element.start].strip()
        position = element.end
    assert position == len(first.text)

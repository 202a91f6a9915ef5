"""Small PDFs for the tests, drawn with reportlab where every word lies where the test says."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from io import BytesIO
from typing import Any

from rag_pipelines.core.types import ParsedDocument

Draw = Callable[[Any], object]


def pdf(
    *pages: Draw, encrypt: str | None = None, title: str | None = None, author: str | None = None
) -> bytes:
    """One page for each function, A4 (595 x 842 points), origin at the lower left."""
    from reportlab.pdfgen.canvas import Canvas

    out = BytesIO()
    canvas = Canvas(out, pagesize=(595, 842), encrypt=encrypt, invariant=True)
    if title:
        canvas.setTitle(title)
    if author:
        canvas.setAuthor(author)
    for draw in pages:
        draw(canvas)
        canvas.showPage()
    canvas.save()
    return out.getvalue()


def write(
    canvas: Any, lines: list[str], x: float = 72, y: float = 760, size: float = 11, font: str = "Helvetica"
) -> float:
    """Lines below one another, 1.2 x the size apart; returns the height of the next."""
    canvas.setFont(font, size)
    for line in lines:
        canvas.drawString(x, y, line)
        y -= 1.2 * size
    return y


TEXT = """The pump moves cooling water from the basin to the heat exchanger and back again while the controller
watches pressure and temperature at both ends of the loop"""
WORDS = TEXT.split()


def elements(document: ParsedDocument) -> list[tuple[str, int | None, str]]:
    return [(e.kind.value, e.level, document.text[e.start : e.end]) for e in document.elements]


def prose(start: int, lines: int) -> list[str]:
    return textwrap.wrap(" ".join((WORDS * 20)[start:]), 80)[:lines]

"""Images, whose text tesseract reads; a script stands in for it."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest

from rag_pipelines.core.errors import ParseError
from rag_pipelines.parsing import ocr
from rag_pipelines.parsing.ocr import parse_image
from rag_pipelines_tests.parsing.test_longtail import elements


def picture(kind: str) -> bytes:
    from PIL import Image

    out = BytesIO()
    Image.new("L", (30, 20), 255).save(out, format=kind)
    return out.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "BMP", "GIF"])
def test_images_name_tesseract(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ocr, "find", lambda program: None)
    with pytest.raises(
        ParseError, match="OCR with tesseract, which is not installed here: install tesseract"
    ):
        parse_image(picture(kind), f"scan.{kind.lower()}")


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_images_are_read_by_tesseract(kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake = tmp_path / "tesseract"
    fake.write_text('#!/bin/sh\nhead -c 4 "$1" | tail -c 3\nprintf "\\n\\nA sign\\non a wall\\n"\n')
    fake.chmod(0o755)
    monkeypatch.setattr(ocr, "find", lambda program: fake)
    assert [text for *_, text in elements(parse_image(picture(kind), "a"))] == ["PNG", "A sign on a wall"]

"""Text of images by the system program tesseract."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from io import BytesIO
from pathlib import Path

from rag_pipelines.core.errors import ParseError
from rag_pipelines.core.types import ElementKind, ParsedDocument
from rag_pipelines.parsing.builder import DocumentBuilder
from rag_pipelines.parsing.programs import find, require
from rag_pipelines.parsing.signatures import image_type

VERSION = 1
PROGRAMS = ("tesseract",)
_SECONDS = 50
_READ_DIRECTLY = frozenset({"image/png", "image/jpeg", "image/tiff", "image/bmp"})


def parse_image(data: bytes, name: str) -> ParsedDocument:
    """The paragraphs that OCR finds. Raises ParseError, naming tesseract where it is missing."""
    media_type = image_type(data) or "image/png"
    if find("tesseract") is None:
        raise require("tesseract", f"is an image ({media_type}); its text is read by OCR")
    direct = media_type in _READ_DIRECTLY
    suffix = "." + media_type.partition("/")[2] if direct else ".png"
    text = read_image(data if direct else _as_png(data, media_type), suffix)
    builder = DocumentBuilder()
    for paragraph in re.split(r"\n\s*\n", text):
        builder.add(ElementKind.PARAGRAPH, paragraph, page=1)
    if not builder.length:
        raise ParseError("is an image in which OCR found no text")
    return builder.build(media_type, f"ocr/{VERSION}+tesseract", pages=1)


def read_image(data: bytes, suffix: str) -> str:
    """Recognised text, paragraphs parted by empty lines. Raises ParseError where tesseract is missing or fails.

    One thread: the sandbox already runs a process a core.
    """
    program = find("tesseract")
    if program is None:
        raise require("tesseract", "is an image; reading it needs OCR")
    with tempfile.TemporaryDirectory(prefix="rag-ocr-") as folder:
        picture = Path(folder) / f"page{suffix}"
        picture.write_bytes(data)
        try:
            done = subprocess.run(
                [str(program), str(picture), "stdout"],
                capture_output=True,
                timeout=_SECONDS,
                check=False,
                env={**os.environ, "OMP_THREAD_LIMIT": "1"},
            )
        except subprocess.TimeoutExpired as error:
            raise ParseError(f"took tesseract longer than {_SECONDS} s to read") from error
    if done.returncode != 0:
        detail = done.stderr.decode("utf-8", "replace").strip().splitlines()
        reason = detail[-1][:300] if detail else f"exit code {done.returncode}"
        raise ParseError(f"cannot be read by tesseract: {reason}")
    return done.stdout.decode("utf-8", "replace").replace("\f", "\n\n")


def _as_png(data: bytes, media_type: str) -> bytes:
    from PIL import Image, UnidentifiedImageError

    out = BytesIO()
    try:
        with Image.open(BytesIO(data)) as image:
            image.convert("RGB").save(out, format="PNG")
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError) as error:
        raise ParseError(
            f"is a damaged or unusual image ({media_type}); convert it to PNG or JPEG"
        ) from error
    return out.getvalue()

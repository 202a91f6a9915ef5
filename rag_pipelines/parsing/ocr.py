"""Text of images by the system program tesseract."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from rag_pipelines.core.errors import ParseError
from rag_pipelines.parsing.programs import find, require

_SECONDS = 50


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
            raise ParseError(f"tesseract did not finish within {_SECONDS} s") from error
    if done.returncode != 0:
        detail = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise ParseError(f"tesseract could not read the image: {detail[-1] if detail else done.returncode}")
    return done.stdout.decode("utf-8", "replace").replace("\f", "\n\n")

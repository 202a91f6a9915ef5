"""System programs that some formats need, where they are, and what is lost without them."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from rag_pipelines.core.errors import ParseError

NEEDED_FOR: dict[str, str] = {
    "soffice": "LibreOffice reads old office files (doc, ppt, xls)",
    "tesseract": "OCR reads images and scanned PDF pages",
    "pandoc": "reads odt, rtf, epub and org",
}

_INSTALL: dict[str, str] = {
    "soffice": "install LibreOffice (Debian: apt install libreoffice-core libreoffice-writer "
    "libreoffice-impress libreoffice-calc; macOS: brew install --cask libreoffice)",
    "tesseract": "install tesseract (Debian: apt install tesseract-ocr; macOS: brew install tesseract)",
    "pandoc": "install the Python package pypandoc-binary",
}

_NAMES: dict[str, tuple[str, ...]] = {"soffice": ("soffice", "libreoffice")}
_PLACES: dict[str, tuple[str, ...]] = {
    "soffice": ("/Applications/LibreOffice.app/Contents/MacOS/soffice", "/opt/libreoffice/program/soffice"),
    "tesseract": ("/opt/homebrew/bin/tesseract", "/usr/local/bin/tesseract"),
}


def find(program: str) -> Path | None:
    """Where the program is: on the PATH, in its usual places, or (pandoc) in the package that bundles it."""
    for name in _NAMES.get(program, (program,)):
        found = shutil.which(name)
        if found:
            return Path(found)
    for place in _PLACES.get(program, ()):
        if os.access(place, os.X_OK):
            return Path(place)
    return _bundled_pandoc() if program == "pandoc" else None


def _bundled_pandoc() -> Path | None:
    import importlib.util

    package = importlib.util.find_spec("pypandoc")
    if package is None or package.origin is None:
        return None
    name = "pandoc.exe" if sys.platform == "win32" else "pandoc"
    path = Path(package.origin).parent / "files" / name
    return path if os.access(path, os.X_OK) else None


def missing_programs() -> dict[str, str]:
    """Each program that is not here, with what it is needed for and how to get it, for `doctor`."""
    return {
        program: f"{purpose}; {_INSTALL[program]}"
        for program, purpose in NEEDED_FOR.items()
        if find(program) is None
    }


def require(program: str, reason: str) -> ParseError:
    """The error for a document that cannot be read because the program is missing."""
    return ParseError(f"{reason} with {_label(program)}, which is not installed here: {_INSTALL[program]}")


def _label(program: str) -> str:
    return "LibreOffice (soffice)" if program == "soffice" else program

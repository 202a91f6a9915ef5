"""Word, PowerPoint and Excel: one place that the registry names."""

from __future__ import annotations

import importlib

from rag_pipelines.core.types import ParsedDocument

VERSION = 1


def parse_docx(data: bytes, name: str) -> ParsedDocument:
    """Word. Raises ParseError."""
    from rag_pipelines.parsing import docx

    return docx.parse_docx(data, name, VERSION)


def parse_pptx(data: bytes, name: str) -> ParsedDocument:
    """PowerPoint. Raises ParseError."""
    from rag_pipelines.parsing import pptx

    return pptx.parse_pptx(data, name, VERSION)


def parse_xlsx(data: bytes, name: str) -> ParsedDocument:
    """Excel. Raises ParseError."""
    from rag_pipelines.parsing import xlsx

    return xlsx.parse_xlsx(data, name, VERSION)


def preload() -> None:
    """Import the libraries."""
    for library in ("lxml.etree", "openpyxl", "pptx"):
        importlib.import_module(library)

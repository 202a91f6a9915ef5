"""Which parser reads which media type. Adding a format is one line here and one function.

A parser is `def parse(data: bytes, name: str) -> ParsedDocument` in a module with a constant
`VERSION: int`, raised whenever its output changes. It raises ParseError with a reason for people.
Parser modules import their libraries inside functions: this table is read by processes that parse nothing.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from types import ModuleType

from rag_pipelines.core.errors import ParseError
from rag_pipelines.core.types import ParsedDocument

Parse = Callable[[bytes, str], ParsedDocument]

MARKDOWN = "text/markdown"
RST = "text/x-rst"
PLAIN = "text/plain"
CSV = "text/csv"
TSV = "text/tab-separated-values"
JSON = "application/json"
JSONL = "application/jsonl"
YAML = "application/yaml"
XML = "application/xml"
SVG = "image/svg+xml"
HTML = "text/html"
XHTML = "application/xhtml+xml"
EMAIL = "message/rfc822"
PDF = "application/pdf"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
PPTX = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
ODT = "application/vnd.oasis.opendocument.text"
RTF = "application/rtf"
EPUB = "application/epub+zip"
MSG = "application/vnd.ms-outlook"
ORG = "text/org"
DOC = "application/msword"
PPT = "application/vnd.ms-powerpoint"
XLS = "application/vnd.ms-excel"

PARSERS: dict[str, str] = {
    MARKDOWN: "rag_pipelines.parsing.markdown:parse",
    RST: "rag_pipelines.parsing.rst:parse",
    PLAIN: "rag_pipelines.parsing.plain:parse",
    CSV: "rag_pipelines.parsing.tabular:parse_csv",
    TSV: "rag_pipelines.parsing.tabular:parse_tsv",
    JSON: "rag_pipelines.parsing.jsondoc:parse_json",
    JSONL: "rag_pipelines.parsing.jsondoc:parse_jsonl",
    YAML: "rag_pipelines.parsing.jsondoc:parse_yaml",
    XML: "rag_pipelines.parsing.xmldoc:parse_xml",
    SVG: "rag_pipelines.parsing.xmldoc:parse_svg",
    HTML: "rag_pipelines.parsing.html:parse",
    XHTML: "rag_pipelines.parsing.html:parse",
    EMAIL: "rag_pipelines.parsing.email:parse",
    PDF: "rag_pipelines.parsing.pdf:parse",
    DOCX: "rag_pipelines.parsing.office:parse_docx",
    PPTX: "rag_pipelines.parsing.office:parse_pptx",
    XLSX: "rag_pipelines.parsing.office:parse_xlsx",
    ODT: "rag_pipelines.parsing.longtail:parse_odt",
    RTF: "rag_pipelines.parsing.longtail:parse_rtf",
    EPUB: "rag_pipelines.parsing.longtail:parse_epub",
    MSG: "rag_pipelines.parsing.outlook:parse_msg",
    ORG: "rag_pipelines.parsing.longtail:parse_org",
    DOC: "rag_pipelines.parsing.oldoffice:parse_doc",
    PPT: "rag_pipelines.parsing.oldoffice:parse_ppt",
    XLS: "rag_pipelines.parsing.oldoffice:parse_xls",
    "image/png": "rag_pipelines.parsing.ocr:parse_image",
    "image/jpeg": "rag_pipelines.parsing.ocr:parse_image",
    "image/gif": "rag_pipelines.parsing.ocr:parse_image",
    "image/bmp": "rag_pipelines.parsing.ocr:parse_image",
    "image/tiff": "rag_pipelines.parsing.ocr:parse_image",
    "image/webp": "rag_pipelines.parsing.ocr:parse_image",
    "image/heic": "rag_pipelines.parsing.ocr:parse_image",
}


def module_of(media_type: str) -> ModuleType:
    """The module that reads the type, imported now; that alone loads no parsing library.

    Besides `VERSION` it may have `preload()`, called once a worker before limits apply, `PROGRAMS`, names of
    system programs that decide whether it can read a file, and `USES`, modules whose `VERSION` counts as well.
    Raises ParseError where no parser reads the type.
    """
    path = PARSERS.get(media_type)
    if path is None:
        raise ParseError(f"is {media_type}, which no parser reads; known are {', '.join(sorted(PARSERS))}")
    return importlib.import_module(path.partition(":")[0])


def parser_for(media_type: str) -> Parse:
    """The function that reads the type. Raises ParseError where there is none."""
    parse: Parse = getattr(module_of(media_type), PARSERS[media_type].partition(":")[2])
    return parse

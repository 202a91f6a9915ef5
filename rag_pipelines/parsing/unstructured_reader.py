"""A second opinion on formats of the long tail, by `unstructured`, without network or language model.

It is asked when the direct reader gives up. Its own first choice, a spaCy model that it would download, is
replaced by a blank pipeline: sentences are still found, verbs are not, so that its guess of what is a title
is not believed where the document does not say so itself.
"""

from __future__ import annotations

import importlib
import os
import time
from collections.abc import Callable
from functools import cache
from io import BytesIO
from typing import Any

from rag_pipelines.core.errors import ParseError
from rag_pipelines.core.types import ElementKind, ParsedDocument
from rag_pipelines.parsing import registry
from rag_pipelines.parsing.builder import DocumentBuilder, one_line
from rag_pipelines.parsing.cells import table_text

VERSION = 1

_PATIENCE = 15.0
_PARTITIONERS = {
    registry.ODT: "odt",
    registry.RTF: "rtf",
    registry.EPUB: "epub",
    registry.ORG: "org",
    registry.MSG: "msg",
    registry.DOC: "doc",
    registry.PPT: "ppt",
    registry.XLS: "xlsx",
}
_KINDS = {
    "Title": ElementKind.HEADING,
    "ListItem": ElementKind.LIST_ITEM,
    "Table": ElementKind.TABLE,
    "CodeSnippet": ElementKind.CODE,
}
_FURNITURE = frozenset({"Header", "Footer", "PageNumber", "PageBreak"})


def with_second_opinion(direct: Callable[[], ParsedDocument], data: bytes, media_type: str) -> ParsedDocument:
    """What the direct reader makes of the document, else what unstructured makes of it.

    Where both fail, the direct reader's reason stands. It is not asked after a direct reader that took long, and
    not about nesting (RecursionError): of a deep document it silently leaves out what lies deepest.
    """
    started = time.monotonic()
    try:
        return direct()
    except ParseError as error:
        reason = error
    if time.monotonic() - started > _PATIENCE:
        raise reason
    try:
        return read(data, media_type)
    except ParseError:
        pass
    raise reason


def read(data: bytes, media_type: str) -> ParsedDocument:
    """The document by unstructured's partitioner of the type; no text is a failure."""
    try:
        elements = _partitioner(media_type)(file=BytesIO(data), **_options(media_type))
    except Exception as error:
        detail = f"{type(error).__name__}: {one_line(str(error))[:300]}"
        raise ParseError(f"cannot be read by unstructured either: {detail}") from error
    builder = DocumentBuilder()
    for element in elements:
        _add(builder, element)
    subject = elements[0].metadata.subject if elements else None
    return builder.build(media_type, f"unstructured/{VERSION}", title=subject)


def _options(media_type: str) -> dict[str, Any]:
    options: dict[str, Any] = {"languages": [""]}
    return options | ({"process_attachments": False} if media_type == registry.MSG else {})


@cache
def _partitioner(media_type: str) -> Callable[..., list[Any]]:
    """Imports unstructured, which takes seconds, with everything switched off that would call home."""
    os.environ |= {"DO_NOT_TRACK": "1", "SCARF_NO_ANALYTICS": "true", "UNSTRUCTURED_DISABLE_NOTICE": "1"}
    os.environ.pop("ALLOW_PANDOC_NO_SANDBOX", None)
    from unstructured.nlp import tokenize

    tokenize._load_spacy_model = _blank_pipeline
    kind = _PARTITIONERS[media_type]
    module = importlib.import_module(f"unstructured.partition.{kind}")
    partition: Callable[..., list[Any]] = getattr(module, f"partition_{kind}")
    return partition


def _blank_pipeline() -> Any:
    import spacy

    pipeline = spacy.blank("en")
    pipeline.add_pipe("sentencizer")
    return pipeline


def _add(builder: DocumentBuilder, element: Any) -> None:
    if element.category in _FURNITURE:
        return
    kind = _KINDS.get(element.category, ElementKind.PARAGRAPH)
    depth, page = element.metadata.category_depth, element.metadata.page_number
    if kind is ElementKind.HEADING and depth is None:
        kind = ElementKind.PARAGRAPH
    text = element.text or ""
    if kind is ElementKind.TABLE:
        text = _rows(element.metadata.text_as_html) or text
    level = depth + 1 if kind is ElementKind.HEADING else None
    builder.add(kind, text, level=level, page=page)


def _rows(html: str | None) -> str:
    from lxml import etree
    from lxml import html as lxml_html

    if not html:
        return ""
    try:
        table = lxml_html.fragment_fromstring(html)
    except etree.LxmlError:
        return ""
    return table_text([cell.text_content() for cell in row.iter("td", "th")] for row in table.iter("tr"))

"""HTML: the content of a page with its structure, without what surrounds it.

News articles and documentation are told apart by what the page says of itself: on articles captions, link lists
and side notes go too, on everything else nothing is dropped that does not name itself boilerplate.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from typing import Any

from rag_pipelines.core.errors import ParseError
from rag_pipelines.core.types import ElementKind, ParsedDocument
from rag_pipelines.parsing import boilerplate, charset, htmlmeta, htmltext, htmltree, markup
from rag_pipelines.parsing.builder import DocumentBuilder, one_line
from rag_pipelines.parsing.registry import HTML

VERSION = 1

_PARSER = "html"
_TITLE = re.compile(r"<title[^<>]{0,200}>([^<]{1,1000})", re.IGNORECASE)
_HEADINGS = {f"h{level}": level for level in range(1, 7)}


def parse(data: bytes, name: str) -> ParsedDocument:
    """The page as title, headings, paragraphs, list items, tables and code.

    Pages nested deeper than any browser shows are read from their tags alone. Raises ParseError where the page
    has no text to show.
    """
    from selectolax.lexbor import LexborHTMLParser

    source = charset.decode_page(data)
    safe = markup.safe_source(source)
    if safe is None:
        return _parse_flat(source)
    tree = LexborHTMLParser(safe)
    head = htmlmeta.read_head(tree)
    for main in _readings(tree.body or tree.root, article=head.article):
        builder = DocumentBuilder()
        if head.title:
            builder.add(ElementKind.TITLE, head.title)
        before = builder.length
        htmltext.write(builder, main, title=head.title)
        if builder.length > before:
            return builder.build(
                HTML, _PARSER, title=head.title, language=head.language, metadata=head.metadata
            )
    if not source.strip():
        raise ParseError("the page is empty")
    raise ParseError(
        "the page shows no text of its own: it may need JavaScript, or hold only images or forms"
    )


def write_body(builder: DocumentBuilder, source: str) -> bool:
    """Append the text of an HTML fragment, such as the body of a mail; False where it has none.

    Nothing is left out for its class or id: a mail has no site around it.
    """
    from selectolax.lexbor import LexborHTMLParser

    before = builder.length
    safe = markup.safe_source(source)
    if safe is None:
        _write_flat(builder, source)
        return builder.length > before
    tree = LexborHTMLParser(safe)
    body = tree.body or tree.root
    if body is not None:
        htmltext.write(builder, htmltree.build(body), title=None)
    return builder.length > before


def _readings(body: Any, *, article: bool) -> Iterator[htmltree.Box]:
    """What to take for the content, best first; the next one is asked for only when one turns out empty."""
    if body is None:
        return
    root = htmltree.build(body)
    before = root.prose
    boilerplate.clean(root, article=article)
    if root.prose >= 0.2 * before or (article and root.prose >= htmltree.LITTLE):
        yield boilerplate.main_block(root, article=article)
    root = htmltree.build(body)
    boilerplate.clean(root, article=False, by_name=False)
    yield root
    yield htmltree.build(body)
    yield htmltree.build(body, keep_hidden=True)


def _parse_flat(source: str) -> ParsedDocument:
    builder = DocumentBuilder()
    _write_flat(builder, source)
    if builder.length == 0:
        raise ParseError(f"the page nests elements more than {markup.MAX_DEPTH} deep and holds no text")
    found = _TITLE.search(source)
    title = one_line(unescape(found[1])) if found else None
    return builder.build(HTML, _PARSER, title=title, metadata={"flattened": True})


def _write_flat(builder: DocumentBuilder, source: str) -> None:
    for kind, text in markup.flat_blocks(source):
        if kind in _HEADINGS:
            builder.add(ElementKind.HEADING, text, level=_HEADINGS[kind])
        elif kind == "pre":
            builder.add(ElementKind.CODE, text)
        elif kind == "li":
            builder.add(ElementKind.LIST_ITEM, text)
        else:
            builder.add(ElementKind.PARAGRAPH, text)

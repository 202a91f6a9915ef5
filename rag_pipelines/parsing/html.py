"""HTML: the content of a page with its structure, without what surrounds it.

News articles and documentation are told apart by what the page says of itself: on articles captions, link lists
and side notes go too, on everything else nothing is dropped that does not name itself boilerplate.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from html import unescape
from typing import Any

from rag_pipelines.core.errors import ParseError
from rag_pipelines.core.types import ElementKind, ParsedDocument
from rag_pipelines.parsing import boilerplate, encoding, htmlmeta, htmltext, htmltree, markup
from rag_pipelines.parsing.builder import DocumentBuilder, one_line
from rag_pipelines.parsing.registry import HTML

VERSION = 1

_PARSER = "html"
_CHARSET = re.compile(
    rb"<(?:meta[^>]{0,300}?charset|\?xml[^>]{0,100}?encoding)\s*=\s*[\"']?\s*([\w.:-]{2,40})", re.IGNORECASE
)
_TITLE = re.compile(r"<title[^<>]{0,200}>([^<]{1,1000})", re.IGNORECASE)
_SUPERSETS = {"iso8859-1": "cp1252", "ascii": "cp1252", "gb2312": "gb18030", "gbk": "gb18030", "shift_jis": "cp932",
              "euc_kr": "cp949", "iso8859-9": "cp1254", "iso8859-11": "cp874", "big5": "big5hkscs"}  # fmt: skip
_NOT_TEXT = frozenset(
    {"idna", "punycode", "unicode_escape", "raw-unicode-escape", "raw_unicode_escape", "utf-7", "undefined"}
)
_HEADINGS = {f"h{level}": level for level in range(1, 7)}


def parse(data: bytes, name: str) -> ParsedDocument:
    """The page as title, headings, paragraphs, list items, tables and code.

    Pages nested deeper than any browser shows are read from their tags alone. Raises ParseError where the page
    has no text to show.
    """
    from selectolax.lexbor import LexborHTMLParser

    source = decode(data)
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


def decode(data: bytes) -> str:
    """BOM, then what the page declares where the bytes agree, then statistics.

    Valid UTF-8 beyond ASCII is believed over a declaration: templates carry stale ones.
    """
    if data.startswith(codecs.BOM_UTF8) or encoding.wide_encoding(data) is not None:
        return encoding.decode(data)[0]
    declared = _CHARSET.search(data[:4096])
    codec = codec_of(declared[1].decode("ascii", "replace")) if declared else None
    return decode_as(data, codec)


def decode_as(data: bytes, codec: str | None) -> str:
    """Valid UTF-8, else what `codec` makes of it, else statistics."""
    if codec is None or codec.startswith(("utf", "iso2022")):
        return encoding.decode(data)[0]
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode(codec, "replace")


def codec_of(label: str) -> str | None:
    """The Python codec that browsers use for a declared charset; None for what is no text encoding."""
    try:
        name = codecs.lookup(label).name
        b"".decode(name)
    except (LookupError, UnicodeError, ValueError):
        return None
    return None if name in _NOT_TEXT else _SUPERSETS.get(name, name)

"""reStructuredText, also Sphinx's: unknown roles and directives keep their text."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import TYPE_CHECKING

from rag_pipelines.core.types import ElementKind, ParsedDocument
from rag_pipelines.parsing.builder import DocumentBuilder, clean, one_line
from rag_pipelines.parsing.encoding import decode
from rag_pipelines.parsing.registry import RST

if TYPE_CHECKING:
    from docutils import nodes

VERSION = 1

_SETTINGS = {
    "_disable_config": True,
    "doctitle_xform": False,
    "docinfo_xform": False,
    "file_insertion_enabled": False,
    "halt_level": 5,
    "input_encoding": "unicode",
    "line_length_limit": 100_000_000,
    "raw_enabled": False,
    "report_level": 5,
    "sectnum_xform": False,
    "smart_quotes": False,
    "syntax_highlight": "none",
    "traceback": True,
}
_CODE = frozenset(("literal_block", "doctest_block", "math_block"))
_LINE = frozenset(("paragraph", "title", "subtitle", "rubric", "attribution", "caption", "term", "desc"))
_SKIPPED = frozenset(
    (
        *("comment", "target", "substitution_definition", "system_message", "pending", "raw", "meta"),
        *("decoration", "transition", "colspec"),
    )
)


def parse(data: bytes, name: str) -> ParsedDocument:
    """Sections as headings, lists, tables, literal blocks; nothing is included, inserted or executed."""
    from docutils.core import publish_doctree

    from rag_pipelines.parsing.sphinx import tolerant_lookup

    text, encoding = decode(data)
    with tolerant_lookup():
        tree = publish_doctree(
            clean(text),
            source_path=None,
            settings_overrides={**_SETTINGS, "warning_stream": io.StringIO()},
        )
    builder = DocumentBuilder()
    for child in tree.children:
        _add(builder, child, 0)
    return builder.build(RST, "docutils", metadata={"encoding": encoding})


def preload() -> None:
    """Import the library."""
    import docutils.core
    import docutils.parsers.rst  # noqa: F401


def _add(builder: DocumentBuilder, node: nodes.Node, level: int) -> None:
    kind = node.__class__.__name__
    if kind in _SKIPPED:
        return
    if kind == "section":
        for child in node.children:
            if child.__class__.__name__ == "title":
                builder.add(ElementKind.HEADING, child.astext(), level=level + 1)
            else:
                _add(builder, child, level + 1)
    elif kind in _CODE:
        builder.add(ElementKind.CODE, node.astext())
    elif kind == "line_block":
        builder.add(ElementKind.PARAGRAPH, node.astext(), keep_lines=True)
    elif kind == "table":
        _add_table(builder, node)
    elif kind in _ITEMS:
        _add_item(builder, node, level)
    elif kind in _LINE or not _has_blocks(node):
        builder.add(ElementKind.PARAGRAPH, node.astext())
    else:
        for child in node.children:
            _add(builder, child, level)


_ITEMS = frozenset(("list_item", "definition_list_item", "field", "option_list_item", "footnote", "citation"))
_LABELS = frozenset(("term", "classifier", "field_name", "option_group", "label"))


def _has_blocks(node: nodes.Node) -> bool:
    from docutils import nodes as kinds

    return any(
        isinstance(child, kinds.Element) and not isinstance(child, kinds.Inline) for child in node.children
    )


def _add_item(builder: DocumentBuilder, item: nodes.Node, level: int) -> None:
    """The label, if it has one, and its first paragraph as the item; what follows as itself."""
    label = " ".join(one_line(part.astext()) for part in item.children if part.__class__.__name__ in _LABELS)
    blocks = list(_body(item))
    first = ""
    if blocks and blocks[0].__class__.__name__ == "paragraph":
        first = blocks.pop(0).astext()
    builder.add(ElementKind.LIST_ITEM, f"{label}: {first}" if label and first else label or first)
    for block in blocks:
        _add(builder, block, level)


def _body(item: nodes.Node) -> Iterable[nodes.Node]:
    for child in item.children:
        kind = child.__class__.__name__
        if kind in {"definition", "field_body", "description"}:
            yield from child.children
        elif kind not in _LABELS:
            yield child


def _add_table(builder: DocumentBuilder, table: nodes.Node) -> None:
    from docutils import nodes as kinds

    for title in table.findall(kinds.title):
        builder.add(ElementKind.PARAGRAPH, title.astext())
    rows = [
        " | ".join(one_line(cell.astext()) for cell in row.children if isinstance(cell, kinds.entry))
        for row in table.findall(kinds.row)
    ]
    builder.add(ElementKind.TABLE, "\n".join(rows))

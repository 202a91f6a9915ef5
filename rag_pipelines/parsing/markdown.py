"""Markdown: CommonMark with tables, front matter, and the additions of Hugo, MDX, Docusaurus and MyST."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from functools import cache
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from rag_pipelines.core.errors import ParseError
from rag_pipelines.core.types import ElementKind, ParsedDocument
from rag_pipelines.parsing.builder import DocumentBuilder, clean, one_line
from rag_pipelines.parsing.encoding import decode
from rag_pipelines.parsing.frontmatter import split_front_matter
from rag_pipelines.parsing.inline import simple_text
from rag_pipelines.parsing.registry import MARKDOWN

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_core import StateCore
    from markdown_it.token import Token

VERSION = 2

_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.S)
_UNREAD_HTML = re.compile(r"<(script|style)\b.*?(?:</\1\s*>|\Z)", re.S | re.I)
_CELL_END = re.compile(r"</t[dh]\s*>\s*(?=<t[dh]\b)", re.I)
_ROW_END = re.compile(r"<br\s*/?>|</(?:tr|p|div|li|h[1-6]|summary)\s*>", re.I)
_TAG = re.compile(r"</?[A-Za-z][^<>]*>|<[!?][^<>]*>")
_SHORTCODE = re.compile(r"\{\{[<%][^{}]{0,500}?[%>]\}\}")
_CONTAINER = re.compile(r"^:{3,}[ \t]*(?:\{?[\w-]+\}?(?:\[([^\]]*)\])?)?", re.M)
_MDX_COMMENT = re.compile(r"\{/\*.*?\*/\}", re.S)
_MDX_MODULE = re.compile(r"^(?:import|export)\s[^\n]*(?:\n[^\n]+)*", re.M)
_ROLE = re.compile(r"\{[a-z][a-z0-9:+.-]*\}\Z")
_ROLE_TARGET = re.compile(r"\s*<[^<>]*>\Z")
_DIRECTIVE = re.compile(r"\{([a-z][\w:-]*)\}\s*(.*)", re.S)
_OPTIONS = re.compile(r"\A(?::[\w-]+:[^\n]*(?:\n|\Z))+")
_CODE_DIRECTIVES = frozenset(
    ("code", "code-block", "code-cell", "sourcecode", "math", "mermaid", "parsed-literal")
)
_NEEDED = {
    "table": ("|",),
    "fence": ("```", "~~~"),
    "blockquote": (">",),
    "reference": ("]:",),
    "html_block": ("<",),
}
_MAX_INNER = 4
_MAX_NESTING = 90
_MARKUP = re.compile(r"[\\`*_!\[\]<&~]")
_ESCAPE = re.compile(r"(?<!\\)\\([-.,:;?#+=|{}'\"$%/@^])")
_ESCAPE_OR_PARENTHESIS = re.compile(r"(?<!\\)\\([-.,:;?#+=|{}'\"$%/@^()])")


def parse(data: bytes, name: str) -> ParsedDocument:
    """Headings, paragraphs, list items, tables and code; front matter as metadata and title."""
    text, encoding = decode(data)
    front, body = split_front_matter(clean(text))
    if PurePosixPath(name).suffix.lower() == ".mdx":
        body = _MDX_MODULE.sub("", _MDX_COMMENT.sub("", body))
    builder = DocumentBuilder()
    title = front.get("title")
    if isinstance(title, str) and not _begins_with(body, title):
        builder.add(ElementKind.TITLE, title)
    add_markdown(builder, body)
    return builder.build(
        MARKDOWN,
        "markdown-it",
        title=title if isinstance(title, str) else None,
        metadata={"encoding": encoding, **front},
    )


def preload() -> None:
    """Import the library and build its parser."""
    _parser(frozenset())


def add_markdown(builder: DocumentBuilder, text: str, depth: int = 0) -> None:
    """Append the elements of a Markdown text whose line ends are `\\n`."""
    absent = frozenset(rule for rule, marks in _NEEDED.items() if not any(mark in text for mark in marks))
    tokens = _parser(absent).parse(text)
    item_starts = False
    position = 0
    while position < len(tokens):
        token = tokens[position]
        if token.level >= _MAX_NESTING - 1:
            raise ParseError("nests lists or quotes too deeply to be read")
        match token.type:
            case "heading_open":
                level = int(token.tag[1])
                builder.add(ElementKind.HEADING, _inline_text(tokens[position + 1]), level=level)
                position += 2
            case "list_item_open":
                item_starts = True
            case "inline":
                kind = ElementKind.LIST_ITEM if item_starts else ElementKind.PARAGRAPH
                builder.add(kind, _inline_text(token))
                item_starts = False
            case "fence":
                _add_fence(builder, token, depth)
            case "code_block":
                builder.add(ElementKind.CODE, token.content)
            case "html_block":
                _add_html(builder, token.content)
            case "table_open":
                position = _add_table(builder, tokens, position)
            case _:
                pass
        position += 1


@cache
def _parser(absent: frozenset[str]) -> MarkdownIt:
    """Without the rules that would find nothing, and without what only serves rendering.

    URLs are dropped, so nothing checks or encodes them.
    """
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"maxNesting": _MAX_NESTING}).enable(["table", "strikethrough"])
    parser.disable(["text_join", "fragments_join", *absent])
    parser.core.ruler.at("inline", _parse_inline)
    parser.normalizeLink = str  # type: ignore[method-assign, assignment]
    parser.validateLink = bool  # type: ignore[method-assign, assignment]
    return parser


def _parse_inline(state: StateCore) -> None:
    """The library's rule, for texts that the short way leaves; the others keep no children but what is shown."""
    for token in state.tokens:
        if token.type != "inline":
            continue
        content = token.content
        shown = content if _MARKUP.search(content) is None else simple_text(content)
        if shown is not None:
            token.content, token.children = shown, None
            continue
        if "\\" in content and "`" not in content and "<" not in content:
            content = (_ESCAPE if "](" in content else _ESCAPE_OR_PARENTHESIS).sub(r"\1", content)
        token.children = []
        state.md.inline.parse(content, state.md, state.env, token.children)


def _begins_with(body: str, title: str) -> bool:
    """Whether the first heading says the title already."""
    first = re.search(r"^#{1,2}\s+(.+?)\s*#*$", body, re.M)
    return first is not None and one_line(first[1]).casefold() == one_line(title).casefold()


def _inline_text(token: Token) -> str:
    """What a reader sees: the text of links, the alternative text of images, no tags."""
    if token.children is None:
        return _without_extensions(token.content)
    parts: list[str] = []
    for child in token.children:
        match child.type:
            case "text" | "text_special":
                parts.append(child.content)
            case "code_inline":
                if parts and (role := _ROLE.search(parts[-1])):
                    parts[-1] = parts[-1][: role.start()]
                    parts.append(_ROLE_TARGET.sub("", child.content) or child.content)
                else:
                    parts.append(child.content)
            case "image":
                parts.append(child.content)
            case "softbreak" | "hardbreak":
                parts.append("\n")
            case "html_inline" if child.content[:3].lower() == "<br":
                parts.append("\n")
            case _:
                pass
    return _without_extensions("".join(parts))


def _without_extensions(text: str) -> str:
    """Without Hugo's shortcodes and the marks of Docusaurus' containers."""
    if "{{" in text:
        text = _SHORTCODE.sub("", text)
    if ":::" in text:
        text = _CONTAINER.sub(lambda found: found[1] or "", text)
    return text


def _add_table(builder: DocumentBuilder, tokens: Sequence[Token], position: int) -> int:
    """One row a line, cells between bars; returns where the table ends."""
    rows: list[list[str]] = []
    while tokens[position].type != "table_close":
        token = tokens[position]
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline":
            rows[-1].append(one_line(_inline_text(token)))
        position += 1
    builder.add(ElementKind.TABLE, "\n".join(" | ".join(row) for row in rows if any(row)))
    return position


def _add_html(builder: DocumentBuilder, content: str) -> None:
    """Its text without tags, comments, scripts and styles, which is often nothing."""
    text = _UNREAD_HTML.sub(" ", _COMMENT.sub(" ", content))
    is_table = re.search(r"<tr\b", text, re.I) is not None
    if is_table:
        text = re.sub(r"(?<!>)\s+|(?<=>)\s+(?!<)", " ", text)
    text = _ROW_END.sub("\n", _CELL_END.sub(" | ", text))
    text = html.unescape(_SHORTCODE.sub("", _TAG.sub("", text)))
    kind = ElementKind.TABLE if is_table else ElementKind.PARAGRAPH
    builder.add(kind, text, keep_lines=True)


def _add_fence(builder: DocumentBuilder, token: Token, depth: int) -> None:
    """Code, or a MyST directive: its argument and content are text like any other."""
    directive = _DIRECTIVE.match(token.info.strip())
    if directive is None or directive[1] in _CODE_DIRECTIVES or depth >= _MAX_INNER:
        builder.add(ElementKind.CODE, token.content)
        return
    if directive[1] in {"toctree", "contents", "include"}:
        return
    if directive[2]:
        builder.add(ElementKind.PARAGRAPH, directive[2])
    add_markdown(builder, _OPTIONS.sub("", token.content), depth + 1)

"""OpenDocument, RTF, EPUB and Org by pandoc, read from its syntax tree so that no structure is lost.

pandoc runs as a program of its own with `--sandbox` (it reads no file but its input, so includes and
remote images are inert), a heap limit and a time limit.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from typing import Any

import msgspec

from rag_pipelines.core.errors import ParseError
from rag_pipelines.core.types import ElementKind
from rag_pipelines.parsing.builder import DocumentBuilder
from rag_pipelines.parsing.cells import BULLET, table_text
from rag_pipelines.parsing.programs import find, require

SECONDS = 50
HEAP = "768M"
_MAX_OUTPUT = 400 * 2**20
_MAX_DEPTH = 200
_SPACES = {"Space": " ", "SoftBreak": " ", "LineBreak": "\n"}

Node = dict[str, Any]


def read_tree(data: bytes, reader: str, kind: str) -> Node:
    """pandoc's JSON tree of the document. Raises ParseError, and RecursionError for one that is too deep.

    `kind` names the format for people.
    """
    program = find("pandoc")
    if program is None:
        raise require("pandoc", f"is {kind}, which is read")
    command = [str(program), "--sandbox", f"--from={reader}", "--to=json", "+RTS", f"-M{HEAP}", "-RTS"]
    try:
        done = subprocess.run(command, input=data, capture_output=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise ParseError(f"took pandoc longer than {SECONDS} s to read") from error
    if done.returncode != 0:
        raise ParseError(f"cannot be read as {kind} by pandoc: {_last_line(done.stderr, done.returncode)}")
    if len(done.stdout) > _MAX_OUTPUT:
        raise ParseError(f"is too large once expanded ({len(done.stdout) >> 20} MiB)")
    try:
        tree: Node = msgspec.json.decode(done.stdout)
    except (msgspec.DecodeError, RecursionError) as error:
        raise RecursionError("the tree nests too deep") from error
    return tree


def _last_line(stderr: bytes, code: int) -> str:
    lines = [line.strip() for line in stderr.decode("utf-8", "replace").splitlines() if line.strip()]
    return lines[-1][:300] if lines else f"exit code {code}"


def metadata_of(tree: Node) -> dict[str, Any]:
    """Title, author, language, date and the like as text or lists of text."""
    return {key: value for key, node in tree.get("meta", {}).items() if (value := _meta(node))}


def _meta(node: Node) -> Any:
    content: Any = node.get("c")
    match node.get("t"):
        case "MetaInlines":
            return inline_text(content)
        case "MetaString":
            return content
        case "MetaList":
            return [value for item in content if (value := _meta(item))]
        case "MetaBlocks":
            return " ".join(_cell(content, 0).split())
    return None


def add_blocks(builder: DocumentBuilder, blocks: list[Node], depth: int = 0) -> None:
    """Add pandoc's blocks in order. Raises RecursionError where they nest too deep."""
    if depth > _MAX_DEPTH:
        raise RecursionError(f"the content nests more than {_MAX_DEPTH} deep")
    for block in blocks:
        _add_block(builder, block.get("t", ""), block.get("c"), depth)


def _add_block(builder: DocumentBuilder, kind: str, content: Any, depth: int) -> None:
    match kind:
        case "Header":
            builder.add(ElementKind.HEADING, inline_text(content[2]), level=content[0])
        case "Para" | "Plain":
            _add_text(builder, ElementKind.PARAGRAPH, content, depth)
        case "CodeBlock":
            builder.add(ElementKind.CODE, content[1])
        case "LineBlock":
            text = "\n".join(inline_text(line) for line in content)
            builder.add(ElementKind.PARAGRAPH, text, keep_lines=True)
        case "BulletList":
            _add_items(builder, content, depth)
        case "OrderedList":
            _add_items(builder, content[1], depth)
        case "DefinitionList":
            for term, definitions in content:
                builder.add(ElementKind.PARAGRAPH, inline_text(term))
                _add_items(builder, definitions, depth)
        case "BlockQuote":
            add_blocks(builder, content, depth + 1)
        case "Div" | "Figure":
            add_blocks(builder, content[-1], depth + 1)
        case "Table":
            _add_table(builder, content, depth)


def _add_table(builder: DocumentBuilder, content: list[Any], depth: int) -> None:
    """Caption and rows; a table of one column lays out a page and is read as what stands in it."""
    add_blocks(builder, content[1][1], depth + 1)
    rows = list(_rows(content))
    if all(len(row) == 1 for row in rows):
        for row in rows:
            add_blocks(builder, row[0][4], depth + 1)
        return
    texts: list[list[str]] = []
    for row in rows:
        texts.append([])
        for cell in row:
            texts[-1] += [_cell(cell[4], depth), *[""] * (min(cell[3], 64) - 1)]
    builder.add(ElementKind.TABLE, table_text(texts))


def _add_text(builder: DocumentBuilder, kind: ElementKind, inlines: list[Node], depth: int) -> None:
    """A paragraph, then its footnotes; a typed bullet makes it a list item."""
    text, bullets = BULLET.subn("", inline_text(inlines), count=1)
    builder.add(ElementKind.LIST_ITEM if bullets else kind, text)
    for note in _notes(inlines):
        add_blocks(builder, note, depth + 1)


def _add_items(builder: DocumentBuilder, items: list[list[Node]], depth: int) -> None:
    for item in items:
        rest = item
        if item and item[0].get("t") in ("Para", "Plain"):
            _add_text(builder, ElementKind.LIST_ITEM, item[0]["c"], depth)
            rest = item[1:]
        add_blocks(builder, rest, depth + 1)


def inline_text(inlines: list[Node]) -> str:
    """Text of inline nodes without markup, footnotes and struck out text."""
    return "".join(_inline(node) for node in inlines)


def _inline(node: Node) -> str:
    kind: str = node.get("t", "")
    content: Any = node.get("c")
    text = ""
    match kind:
        case "Str":
            text = str(content)
        case "Space" | "SoftBreak" | "LineBreak":
            text = _SPACES[kind]
        case "Emph" | "Strong" | "Underline" | "Superscript" | "Subscript" | "SmallCaps":
            text = inline_text(content or [])
        case "Quoted":
            mark = '"' if content[0]["t"] == "DoubleQuote" else "'"
            text = f"{mark}{inline_text(content[1])}{mark}"
        case "Code" | "Math":
            text = str(content[1])
        case "Cite" | "Link" | "Image" | "Span":
            text = inline_text(content[1])
    return text


def _notes(inlines: list[Node]) -> Iterator[list[Node]]:
    for node in inlines:
        content = node.get("c")
        if node.get("t") == "Note":
            yield content or []
        elif node.get("t") in ("Emph", "Strong", "Underline", "Superscript", "Subscript", "SmallCaps"):
            yield from _notes(content or [])
        elif node.get("t") in ("Cite", "Link", "Span", "Quoted") and content:
            yield from _notes(content[1])


def _rows(table: list[Any]) -> Iterator[list[Any]]:
    """Cells of head, bodies and foot of a table."""
    _, _, _, head, bodies, foot = table
    for group in (head[1], *(part for body in bodies for part in (body[2], body[3])), foot[1]):
        for row in group:
            yield row[1]


def _cell(blocks: list[Node], depth: int) -> str:
    """Blocks on one line."""
    inner = DocumentBuilder()
    add_blocks(inner, blocks, depth + 1)
    return " ".join(inner.build("", "").text.split()) if inner.length else ""

"""A small tree of the blocks of a web page, with the counts that main-content choice needs.

Inline elements dissolve into the text of the block around them; what no reader sees (scripts, hidden
elements, form controls, permalink marks) never enters the tree.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

SHORT = 40
"""Characters below which a block of its own is no prose: a menu entry, a label."""

LITTLE = 250
"""Characters of prose below which a page is judged by all its text."""

VERBATIM = frozenset({"pre", "listing", "plaintext", "xmp"})

BREAK = "\v"
"""Stands for `<br>` inside a block's text."""

_BLOCKS = frozenset({
    "address", "article", "aside", "blockquote", "body", "caption", "center", "dd", "details", "dialog",
    "dir", "div", "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "h1", "h2", "h3",
    "h4", "h5", "h6", "header", "hgroup", "hr", "legend", "li", "main", "menu", "nav", "ol", "p", "pre",
    "search", "section", "summary", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "ul",
    "listing", "plaintext", "xmp"
})  # fmt: skip
_UNREAD = frozenset({
    "script", "style", "noscript", "template", "svg", "iframe", "object", "embed", "canvas", "audio",
    "video", "map", "head", "button", "input", "select", "textarea", "datalist", "option", "optgroup",
    "progress", "meter", "frame", "frameset", "rp", "annotation", "math-annotation"
})  # fmt: skip
_SHOWN_CONTROLS = frozenset({
    "h1", "h2", "h3", "h4", "h5", "h6", "summary", "dt", "legend"
})  # fmt: skip
_HIDDEN_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_HIDDEN_CLASS = re.compile(
    r"(?:^|\s)(?:sr-only|visually-?hidden|visuallyhidden|screen-reader-text|screenreader|element-invisible|"
    r"hidden|hide|d-none|is-hidden|u-hidden|noprint|no-print|mw-editsection|headerlink|header-anchor|anchorjs-link|"
    r"linenos|linenodiv|lineno|line-numbers|gutter|blob-num|reference-marker)(?:\s|$)",
    re.IGNORECASE,
)
_MARKS = frozenset({"¶", "#", "§", "🔗", "[edit]", "[link]", "¤", "∞"})
_NAME = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]+(?![A-Za-z0-9])")
_CAMEL = re.compile(r"[A-Z]?[a-z]{3,}")


class Box:
    """One block. `items` holds its text and its blocks in order; the counts include descendants.

    `chars` and `link_chars` count text and the part of it inside links; `prose` the text of blocks that
    read like content: long enough and not mostly links.
    """

    __slots__ = (
        "attributes", "chars", "holds_code", "items", "link_chars", "own_chars", "own_link_chars", "parent",
        "prose", "tag", "words",
    )  # fmt: skip

    def __init__(self, tag: str, attributes: dict[str, str | None], parent: Box | None) -> None:
        self.tag = tag
        self.attributes = attributes
        self.parent = parent
        self.items: list[Box | str] = []
        self.words: frozenset[str] | None = None
        self.holds_code = False
        self.own_chars = self.own_link_chars = 0
        self.chars = self.link_chars = 0
        self.prose = 0

    def hints(self) -> frozenset[str]:
        """The lower-case words of class, id and the like; `relatedStories` gives itself and its two parts.

        Words with digits are left out, and parts of fewer than four letters: generated names are full of both.
        """
        if self.words is None:
            get = self.attributes.get
            raw = " ".join(filter(None, (get("class"), get("id"), get("data-component"), get("data-testid"))))
            words = {name.lower() for name in _NAME.findall(raw)}
            words.update(part.lower() for part in _CAMEL.findall(raw) if len(part) > 3)
            self.words = frozenset(words)
        return self.words

    def boxes(self) -> list[Box]:
        """The child blocks."""
        return [item for item in self.items if isinstance(item, Box)]

    def text(self) -> str:
        """All text below in order, blocks apart by a space."""
        parts: list[str] = []
        stack: list[Box | str] = [self]
        while stack:
            item = stack.pop()
            if isinstance(item, str):
                parts.append(item)
            else:
                parts.append(" ")
                stack.append(" ")
                stack.extend(reversed(item.items))
        return "".join(parts)


def is_hidden(attributes: dict[str, str | None]) -> bool:
    """Whether the attributes alone say that a reader does not see the element."""
    if "hidden" in attributes and attributes["hidden"] != "until-found":
        return True
    if attributes.get("aria-hidden") == "true":
        return True
    style = attributes.get("style")
    if style and _HIDDEN_STYLE.search(style):
        return True
    classes = attributes.get("class")
    return bool(classes) and _HIDDEN_CLASS.search(classes or "") is not None


def build(body: Any, *, keep_hidden: bool = False) -> Box:
    """The blocks below a selectolax node. One pass in document order, so depth costs nothing."""
    root = Box("body", {}, None)
    # Node id -> (block that takes its text, whether in a link, whether in preformatted text); None: left out.
    places: dict[int, tuple[Box, bool, bool] | None] = {body.mem_id: (root, False, False)}
    nodes = body.traverse(include_text=True)
    for node in nodes:
        parent = node.parent
        if parent is None:
            continue
        place = places.get(parent.mem_id)
        if place is None:
            continue
        box, in_link, verbatim = place
        tag = node.tag
        if tag == "-text":
            _add_text(box, node.text(deep=False) or "", in_link, verbatim)
            continue
        if tag == "br":
            box.items.append("\n" if verbatim else BREAK)
            continue
        if tag in _UNREAD and not (tag == "button" and box.tag in _SHOWN_CONTROLS):
            continue
        attributes = node.attributes
        if attributes and not keep_hidden and is_hidden(attributes):
            continue
        if tag in _BLOCKS:
            child = Box(tag, attributes, box)
            box.items.append(child)
            places[node.mem_id] = (child, in_link, verbatim or tag in VERBATIM)
        elif tag == "a":
            if (attributes.get("href") or "").startswith("#") and (node.text() or "").strip() in _MARKS:
                continue
            places[node.mem_id] = (box, "href" in attributes or in_link, verbatim)
        elif tag == "code" and verbatim:
            box.holds_code = True
            places[node.mem_id] = place
        elif not tag.startswith(("-", "!", "_")):
            places[node.mem_id] = (box, in_link, verbatim)
    measure(root)
    return root


def _add_text(box: Box, text: str, in_link: bool, verbatim: bool) -> None:
    if not verbatim:
        text = text.replace(BREAK, " ")
    box.items.append(text)
    length = len(text.strip())
    box.own_chars += length
    if in_link:
        box.own_link_chars += length


def walk(root: Box) -> list[Box]:
    """The block and all below it, parents before children."""
    found: list[Box] = []
    stack = [root]
    while stack:
        box = stack.pop()
        found.append(box)
        stack.extend(reversed(box.boxes()))
    return found


def measure(root: Box) -> None:
    """Recount the whole tree; needed after blocks were removed.

    On a page with hardly any prose all text that is no link counts as prose, and without that all text.
    """
    boxes = walk(root)
    if _sum_up(boxes, _prose_of) < LITTLE and _sum_up(boxes, _plain_of) == 0:
        _sum_up(boxes, lambda box: box.own_chars)


def _sum_up(boxes: list[Box], prose_of: Callable[[Box], int]) -> int:
    for box in boxes:
        box.chars, box.link_chars, box.prose = box.own_chars, box.own_link_chars, prose_of(box)
    for box in reversed(boxes[1:]):
        if box.parent is not None:
            box.parent.chars += box.chars
            box.parent.link_chars += box.link_chars
            box.parent.prose += box.prose
    return boxes[0].prose


def _plain_of(box: Box) -> int:
    return box.own_chars - box.own_link_chars


def _prose_of(box: Box) -> int:
    plain = box.own_chars - box.own_link_chars
    if box.tag in VERBATIM or box.tag in {"td", "th"} or (plain >= SHORT and plain > box.own_link_chars):
        return plain
    return 0

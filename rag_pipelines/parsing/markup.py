"""A linear scan of HTML source: is it safe to build a tree, and what does it say where it is not.

Tree builders take time quadratic in nesting depth and in the attributes of a tag, and some return an empty
tree for deep pages. Every pattern here runs to the end of input at worst and never backtracks over it, so
that the time is linear whatever the input.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Iterator

MAX_DEPTH = 512
"""Nesting beyond which no tree is built; browsers flatten deeper pages too."""

MAX_ATTRIBUTES = 256
"""A tag with more loses all of them."""

MAX_OPTIONS = 2000
"""Tags of select lists beyond these are removed: unclosed ones take quadratic time, and none is content."""

_TOKEN = re.compile(
    r"<!--(?:[^-]++|-(?!->))*+(?:-->|\Z)"
    r"|<(?P<raw>script|style|title|textarea|xmp|noembed|noframes|iframe)(?=[\s/>])"
    r"(?:[^<]++|<(?!/(?P=raw)[\s/>]))*+(?:</(?P=raw)[^>]*+(?:>|\Z)|\Z)"
    r"|<(?P<close>/?)(?P<name>[a-z][^\s/>]*+)"
    r"(?:[^>\"'=]++|=\s*+(?:\"[^\"]*+(?:\"|\Z)|'[^']*+(?:'|\Z))?|[\"'])*+(?:>|\Z)"
    r"|<[!?/][^>]*+(?:>|\Z)",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"\"[^\"]*+(?:\"|\Z)|'[^']*+(?:'|\Z)")
_SEPARATOR = re.compile(r"[\s/=]+")

_VOID = frozenset({
    "area", "base", "basefont", "bgsound", "br", "col", "embed", "frame", "hr", "img", "input",
    "keygen", "link", "meta", "param", "source", "track", "wbr"
})  # fmt: skip
_SELF_ENDING = frozenset({
    "p", "li", "dt", "dd", "tr", "td", "th", "thead", "tbody", "tfoot", "colgroup", "option",
    "optgroup", "rt", "rp"
})  # fmt: skip
_UNNESTED = _VOID | _SELF_ENDING
_BLOCKS = frozenset({
    "address", "article", "aside", "blockquote", "body", "caption", "center", "dd", "details", "dialog",
    "dir", "div", "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "h1", "h2", "h3",
    "h4", "h5", "h6", "header", "hr", "html", "legend", "li", "main", "menu", "ol", "p", "pre",
    "section", "summary", "table", "tbody", "tfoot", "thead", "tr", "ul"
})  # fmt: skip
_DROPPED = frozenset({"nav", "select", "button", "noscript", "template", "svg"})
_KINDS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6", "li", "pre"})


def safe_source(source: str) -> str | None:
    """The source to build a tree from, with bombs of attributes and options disarmed; None where it nests too deep.

    Elements whose end tag may be left out do not count as depth, as they end one another.
    """
    stack: list[str] = []
    is_open: Counter[str] = Counter()
    parts: list[str] = []
    position = options = 0
    for match in _TOKEN.finditer(source):
        name, close = match["name"], match["close"]
        if name is None:
            continue
        start, end = match.span()
        if end - start > 2 * MAX_ATTRIBUTES and _is_bomb(match[0]):
            parts += (source[position:start], f"<{close}{name[:64]}>")
            position = end
        name = name.lower()
        if name in _UNNESTED:
            if name == "option":
                options += 1
                if options > MAX_OPTIONS:
                    parts.append(source[position:start])
                    position = end
            continue
        if not close:
            stack.append(name)
            is_open[name] += 1
            if len(stack) > MAX_DEPTH:
                return None
        elif is_open[name]:
            while True:
                ended = stack.pop()
                is_open[ended] -= 1
                if ended == name:
                    break
    if not parts:
        return source
    parts.append(source[position:])
    return "".join(parts)


def _is_bomb(tag: str) -> bool:
    return len(_SEPARATOR.findall(_QUOTED.sub("", tag))) > 2 * MAX_ATTRIBUTES


def flat_blocks(source: str) -> Iterator[tuple[str, str]]:
    """(`h1`-`h6`, `li`, `pre` or `p`; its text) in reading order, from tags alone and without a tree.

    For pages that are too deep. Scripts, styles, controls and navigation are left out; a table row is one
    block, `<br>` is a line end.
    """
    kind = "p"
    texts: list[str] = []
    skipping: str | None = None
    position = 0
    for match in _TOKEN.finditer(source):
        if skipping is None and match.start() > position:
            texts.append(html.unescape(source[position : match.start()]))
        position = match.end()
        name = (match["name"] or "").lower()
        opened = not match["close"]
        if skipping is not None:
            if name == skipping and not opened:
                skipping = None
        elif name in _DROPPED and opened:
            skipping = name
        elif name in _BLOCKS:
            if texts:
                yield kind, "".join(texts)
                texts.clear()
            kind = name if opened and name in _KINDS else "p"
        elif name in {"td", "th"}:
            texts.append(" ")
        elif name == "br":
            texts.append("\n")
    if skipping is None:
        texts.append(html.unescape(source[position:]))
    if texts:
        yield kind, "".join(texts)

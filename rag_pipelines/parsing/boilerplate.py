"""Tells the content of a web page from what surrounds it, on the tree of htmltree.

First blocks that say what they are (navigation, comments, sharing, by tag, role, class) go, then the page's main
block is chosen by where its prose lies. A block that holds a large part of the page's prose is never
dropped for its name alone, since names lie.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from rag_pipelines.parsing.htmltree import LITTLE, Box, measure, walk

_TAGS = frozenset({"nav", "aside", "footer", "dialog", "menu", "search"})
_ROLES = frozenset({
    "navigation", "banner", "contentinfo", "search", "complementary", "dialog", "alertdialog", "menu",
    "menubar", "toolbar", "tablist", "doc-toc"
})  # fmt: skip
_NAMES = frozenset({
    "nav", "navbar", "navigation", "breadcrumb", "breadcrumbs", "footer", "sidebar", "share", "sharing",
    "shares", "sharebar", "sharedaddy", "social", "addthis", "related", "relatedposts", "recommended",
    "recommendations", "recirc", "recirculation", "comments", "comment", "disqus", "respond", "cookie",
    "cookies", "consent", "gdpr", "ccpa", "newsletter", "subscribe", "subscription", "signup", "promo",
    "promos", "promotion", "advert", "advertisement", "advertising", "ad", "ads", "adslot", "dfp",
    "sponsor", "sponsored", "popup", "modal", "lightbox", "overlay", "outbrain", "taboola", "trending",
    "popular", "pagination", "pager", "paging", "skip", "byline", "bylines", "masthead", "toolbar",
    "login", "printfriendly", "hashtags", "navbox", "catlinks", "printfooter", "tags", "taglist"
})  # fmt: skip
_ARTICLE_NAMES = frozenset({
    "caption", "captions", "captionlink", "cta", "gallery", "slideshow", "attribution", "credit",
    "credits", "copyright", "disclaimer", "kicker", "explore", "author", "bio", "correction",
    "postinfo", "postmeta", "metadata", "dateline", "timestamp", "subheadline", "dek", "standfirst",
    "subhead", "header", "widget", "banner", "menu", "rating"
})  # fmt: skip
_CONTENTS = frozenset({"toc", "tableofcontents"})
_HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
_NEVER_BY_NAME = frozenset(
    {"table", "tbody", "tr", "td", "th", "pre", "body", "main", "dt", "li"}
)  # fmt: skip | _HEADINGS
_LINES = frozenset({"p", "div", "h2", "h3", "h4", "h5", "h6", "center", "li"})
_LISTS = frozenset({"ul", "ol", "div", "section", "dl"})
_TEXT_TAGS = frozenset({
    "p", "pre", "li", "dd", "dt", "ul", "ol", "dl", "table", "tbody", "tr", "td", "th", "blockquote"
})  # fmt: skip
_BODY_NAMES = (
    frozenset({"article", "body"}), frozenset({"story", "body"}), frozenset({"entry", "content"}),
    frozenset({"post", "content"}), frozenset({"post", "body"}), frozenset({"article", "content"}),
    frozenset({"article", "text"}), frozenset({"story", "content"}), frozenset({"main", "content"}),
    frozenset({"body", "content"}), frozenset({"story", "text"}), frozenset({"post", "entry"}),
)  # fmt: skip
_FILLER = re.compile(
    r"\s*(?:advert(?:isement)?s?\b|(?:story|article) continues (?:below|after)|(?:read|see|learn) (?:more|also)\b"
    r"|(?:related|recommended|more)(?: \w+){0,2}:|don.t miss|you may also like|most read|like us on"
    r"|(?:sign|signed) up (?:for|to)|subscribe (?:to|now|here)|share (?:this|on)\b"
    r"|follow \S+(?: \S+){0,3} on (?:twitter|facebook|instagram)|get (?:the|our) (?:latest|best|top) "
    r"|\(?(?:photo|image|picture|credit)s?(?: (?:by|credit|copyright|caption|source))?\s*:"
    r"|image (?:copyright|caption)\b|watch (?:now|the video|video)\s*:"
    r"|click here (?:to|for) (?:subscribe|sign|get|read|more|the latest)"
    r"|(?:last )?(?:updated|published|posted)(?: on| at)?[ :])",
    re.IGNORECASE,
)


def clean(root: Box, *, article: bool, by_name: bool = True) -> None:
    """Remove the blocks that name themselves boilerplate, unless they hold too much of the page's prose.

    On articles also captions, link lists and the like. Without `by_name` only tags and roles count, not
    classes and ids.
    """
    prose, chars = root.prose or 1, root.chars or 1
    stack = [root]
    while stack:
        box = stack.pop()
        kept: list[Box | str] = []
        for item in box.items:
            if isinstance(item, Box):
                share = item.prose / prose
                if _names_itself(item, share) or (by_name and _is_called(item, share, item.chars / chars)):
                    continue
                if article and _is_beside_the_article(item, share):
                    continue
                stack.append(item)
            kept.append(item)
        box.items = kept
    measure(root)


def _names_itself(box: Box, share: float) -> bool:
    if box.tag in _TAGS or (box.attributes.get("role") or "").lower() in _ROLES:
        return share < 0.5
    if box.tag == "form":
        return share < 0.2 and box.prose < 400
    return box.tag == "header" and share < 0.2


def _is_called(box: Box, share: float, share_of_all: float) -> bool:
    if box.tag in _NEVER_BY_NAME:
        return False
    names = box.hints()
    if names & _NAMES:
        return share < 0.3 and "embed" not in names
    return bool(names & _CONTENTS) and share < 0.1 and share_of_all < 0.4


def _is_beside_the_article(box: Box, share: float) -> bool:
    if box.tag == "figcaption":
        return True
    if share > 0.1 or box.tag in {"table", "tbody", "tr", "td", "th", "pre"}:
        return False
    names = box.hints()
    if names & _ARTICLE_NAMES or (names & _NAMES and "embed" not in names):
        return True
    if box.tag == "figure" and box.chars < 400:
        return not any(inner.tag in {"blockquote", "table", "pre"} for inner in walk(box))
    if box.tag in _LINES and box.chars < 200 and _FILLER.match(box.text()):
        return True
    return box.tag in _LISTS and box.prose == 0 and 0 < 0.8 * box.chars < box.link_chars


def main_block(root: Box, *, article: bool) -> Box:
    """The block that holds the page's main text; the root itself where the text is spread.

    Only an article may lose plain text that lies elsewhere; any other page loses lists of links at most,
    except outside an explicit `<main>`.
    """
    if not article:
        return _declared_main(root) or _narrow(root, _holds_the_page)
    return _narrow(_article_body(root) or root, _holds_the_prose)


def _narrow(box: Box, holds: Callable[[Box, Box], bool]) -> Box:
    """Go down while one child `holds` what its parent has."""
    while True:
        boxes = [child for child in box.boxes() if child.prose > 0]
        top = max(boxes, key=lambda child: child.prose, default=None)
        if top is None or top.tag in _TEXT_TAGS or not holds(top, box):
            return box
        box = top


def _holds_the_prose(box: Box, outer: Box) -> bool:
    return box.prose >= 0.85 * outer.prose


def _holds_the_page(box: Box, outer: Box) -> bool:
    """What is left out is links but for 5%, and has no heading of its own."""
    plain, outer_plain = box.chars - box.link_chars, outer.chars - outer.link_chars
    if plain < 0.95 * outer_plain or box.chars < 0.4 * outer.chars or box.prose < LITTLE:
        return False
    beside = [child for child in outer.boxes() if child is not box]
    return not any(inner.tag in _HEADINGS for child in beside for inner in walk(child))


def _declared_main(root: Box) -> Box | None:
    """`<main>` or its role where it holds at least half of the prose, else an `<article>` that holds it all."""
    for box in walk(root):
        declared = box.tag == "main" or box.attributes.get("role") == "main"
        if (declared and box.prose >= 0.5 * root.prose) or (
            box.tag == "article" and box.prose >= 0.9 * root.prose
        ):
            return box if box.chars else None
    return None


def _article_body(root: Box) -> Box | None:
    """The block that calls itself the article's body; the surest name wins, then the most prose.

    Bodies in several parts (a live blog, an article around an advertisement) are taken together.
    """
    total = root.prose or 1
    ranked: dict[int, list[Box]] = {}
    for box in walk(root):
        if box.prose >= 0.15 * total and box.prose >= LITTLE and box.tag not in _TEXT_TAGS:
            ranked.setdefault(_body_rank(box), []).append(box)
    rank = max(ranked, default=0)
    if rank == 0:
        return None
    best = max(ranked[rank], key=lambda box: box.prose)
    outer = _ancestors(best)
    parts = [
        box for box in ranked[rank] if box is not best and best not in _ancestors(box) and box not in outer
    ]
    if rank > 2 and sum(box.prose for box in parts) > 0.5 * best.prose:
        shared = [box for box in outer if all(box in _ancestors(part) for part in parts)]
        return shared[0]
    return best


def _ancestors(box: Box) -> list[Box]:
    found: list[Box] = []
    parent = box.parent
    while parent is not None:
        found.append(parent)
        parent = parent.parent
    return found


def _body_rank(box: Box) -> int:
    if "articlebody" in (box.attributes.get("itemprop") or "").lower():
        return 4
    if any(pair <= box.hints() for pair in _BODY_NAMES):
        return 3
    if box.tag == "article":
        return 2
    return 1 if box.tag == "main" or box.attributes.get("role") == "main" else 0

"""What a web page says about itself in its head: title, language, description, author, dates, kind."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from rag_pipelines.parsing.builder import one_line

_ARTICLE_TYPE = re.compile(r"(?:Article|BlogPosting|Report)$")
_ARTICLE_META = ("article:", "parsely-", "sailthru.date", "pubdate", "publish-date", "publication_date")
_SEPARATORS = re.compile(r"\s+(?:[|–—·»«:•]|::|-{1,2})\s+")
_PERMALINK = " ¶#§🔗"
_MAX_VALUE = 1000
_MAX_JSON = 500_000


@dataclass(slots=True)
class Head:
    """`article` is true where the page says that it is a news article or blog post."""

    title: str | None = None
    language: str | None = None
    article: bool = False
    metadata: dict[str, Any] = field(default_factory=dict)


def read_head(tree: Any) -> Head:
    """From meta tags, JSON-LD, link tags, the title and the first headings of a selectolax tree."""
    metas = _meta_tags(tree)
    linked = _linked_data(tree)
    first = _first_of(metas)
    head = Head(language=_language(tree))
    head.article = (
        first("og:type").lower().startswith("article")
        or any(key.startswith(_ARTICLE_META) for key in metas)
        or any(_ARTICLE_TYPE.search(kind) for node in linked for kind in _texts(node.get("@type")))
        or tree.css_first(
            '[itemprop~="articleBody"], [itemtype$="Article"], [itemtype$="BlogPosting"], .hentry'
        )
        is not None
    )
    site = first("og:site_name", "application-name")
    head.title = _title(tree, first("og:title", "twitter:title"), site)
    canonical = tree.css_first('link[rel~="canonical"]')
    values = {
        "description": first("description", "og:description", "twitter:description"),
        "author": first("author", "article:author", "dc.creator") or _linked(linked, "author"),
        "published": first("article:published_time", "date", "dc.date", "datepublished", "pubdate")
        or _linked(linked, "datePublished"),
        "canonical_url": one_line((canonical.attributes.get("href") if canonical else None) or "")
        or first("og:url"),
        "site_name": site,
    }
    head.metadata = {key: value[:_MAX_VALUE] for key, value in values.items() if value}
    return head


def _meta_tags(tree: Any) -> dict[str, str]:
    found: dict[str, str] = {}
    for meta in tree.css("meta[content]"):
        attributes = meta.attributes
        value = one_line(attributes.get("content") or "")
        for key in (attributes.get("property"), attributes.get("name"), attributes.get("itemprop")):
            if key and value:
                found.setdefault(key.strip().lower(), value)
    return found


def _first_of(metas: dict[str, str]) -> Any:
    def first(*names: str) -> str:
        return next((metas[name] for name in names if name in metas), "")

    return first


def _language(tree: Any) -> str | None:
    """The primary subtag of `<html lang>`: `en` of `en-US`."""
    root = tree.root
    attributes = root.attributes if root is not None else {}
    declared = attributes.get("lang") or attributes.get("xml:lang") or ""
    primary = re.split(r"[-_]", declared.strip().lower())[0]
    return primary if re.fullmatch(r"[a-z]{2,3}", primary) else None


def _linked_data(tree: Any) -> list[dict[str, Any]]:
    """The objects of all JSON-LD blocks, `@graph` opened; blocks that are no JSON are passed over."""
    found: list[dict[str, Any]] = []
    for script in tree.css('script[type="application/ld+json"]')[:20]:
        source = script.text() or ""
        if len(source) > _MAX_JSON:
            continue
        try:
            stack = [json.loads(source, strict=False)]
        except (ValueError, RecursionError):
            continue
        while stack:
            value = stack.pop()
            if isinstance(value, list):
                stack.extend(reversed(value[:100]))
            elif isinstance(value, dict):
                found.append(value)
                stack.append(value.get("@graph"))
    return found


def _texts(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    texts = [item.get("name") if isinstance(item, dict) else item for item in values]
    return [one_line(text) for text in texts if isinstance(text, str)]


def _linked(nodes: list[dict[str, Any]], key: str) -> str:
    for node in nodes:
        texts = [text for text in _texts(node.get(key)) if text]
        if texts:
            return ", ".join(texts)
    return ""


def _title(tree: Any, shared: str, site: str) -> str | None:
    """A heading 1 that the page's title confirms, else the shared title, else `<title>` without the site."""
    element = tree.css_first("title")
    full = one_line(element.text() if element is not None else "")
    trimmed = _without_site(full, site)
    headings = [one_line(heading.text() or "").rstrip(_PERMALINK) for heading in tree.css("h1")[:8]]
    for reference in (shared, trimmed, full):
        beginnings = {reference[: gap.start()].casefold() for gap in _SEPARATORS.finditer(reference)}
        for heading in filter(None, headings):
            folded = heading.casefold()
            longer_half = folded in reference.casefold() and 2 * len(heading) >= len(reference)
            if folded in beginnings or longer_half:
                return heading
    if shared and shared != site:
        return _without_site(shared, site)
    if trimmed:
        return trimmed
    return next((heading for heading in headings if heading), None)


def _without_site(title: str, site: str) -> str:
    """The title less the part that names the site: the one that matches, else a short last one."""
    parts = list(_SEPARATORS.finditer(title))
    if not parts:
        return title
    last = parts[-1]
    head, tail = title[: last.start()].strip(), title[last.end() :].strip()
    if site and tail.casefold() == site.casefold():
        return head
    if site and title[: parts[0].start()].strip().casefold() == site.casefold():
        return title[parts[0].end() :].strip()
    certain = last[0].strip() in {"|", "»", "•", "·", "::", "—"}
    short = len(tail.split()) <= (6 if certain else 3) and len(tail) < (1.5 if certain else 1) * len(head)
    return head if short and (certain or len(head.split()) >= 3) else title

"""HTML: title, metadata, encoding."""

from __future__ import annotations

import pytest

from rag_pipelines.core.types import ParsedDocument
from rag_pipelines.parsing import html


def parse(source: str) -> ParsedDocument:
    return html.parse(source.encode(), "page.html")


@pytest.mark.parametrize(
    ("head", "body", "title"),
    [
        ("<title>Lock opens - The Daily Harbour</title>", "<h1>Lock opens</h1>", "Lock opens"),
        ("<title>Lock opens | Harbour News</title>", "", "Lock opens"),
        (
            "<title>Harbour News » Lock opens</title><meta property=og:site_name content='Harbour News'>",
            "",
            "Lock opens",
        ),
        (
            "<meta property=og:title content='Lock opens'><title>x</title>",
            "<h1>Harbour News</h1>",
            "Lock opens",
        ),
        ("<title>Lock opens</title>", "<h1>Menu</h1>", "Lock opens"),
        ("<title>Read-only mode - what now</title>", "", "Read-only mode - what now"),
        ("", "<h1>Lock <em>opens</em></h1>", "Lock opens"),
        ("", "", None),
    ],
)
def test_title(head: str, body: str, title: str | None) -> None:
    assert parse(f"<html><head>{head}</head><body>{body}<p>Some text.</p></body></html>").title == title


def test_head_is_read() -> None:
    document = parse("""<html lang="de-AT"><head><title>T</title>
        <meta name="description" content="About   ships"><link rel="canonical" href="https://example.org/ships">
        <script type="application/ld+json">{"@graph": [{"@type": "NewsArticle", "datePublished": "2024-05-01",
        "author": [{"name": "Ada"}, {"name": "Bo"}]}]}</script></head><body><p>Text.</p></body></html>""")

    assert document.language == "de"
    assert document.metadata == {
        "description": "About ships",
        "author": "Ada, Bo",
        "published": "2024-05-01",
        "canonical_url": "https://example.org/ships",
    }


@pytest.mark.parametrize(
    "data",
    [
        "<p>Grüße “aus” Köln</p>".encode(),
        b"\xef\xbb\xbf" + "<p>Grüße “aus” Köln</p>".encode(),
        "<p>Grüße “aus” Köln</p>".encode("utf-16"),
        '<meta charset="iso-8859-1"><p>Grüße “aus” Köln</p>'.encode("cp1252"),
        '<meta charset="iso-8859-1"><p>Grüße “aus” Köln</p>'.encode(),
        '<meta charset="utf-8"><p>Grüße “aus” Köln</p>'.encode("cp1252"),
        '<meta http-equiv="content-type" content="text/html; charset=mac-roman"><p>Grüße “aus” Köln</p>'.encode(
            "mac-roman"
        ),
        '<meta charset="zip"><p>Grüße “aus” Köln</p>'.encode(),
    ],
)
def test_encodings(data: bytes) -> None:
    assert html.parse(data, "page.html").text == "Grüße “aus” Köln"

"""HTML made to hang or to empty its readers: all of its text comes out, in linear time."""

from __future__ import annotations

import pytest

from rag_pipelines.core.types import ElementKind, ParsedDocument
from rag_pipelines.parsing import html, markup


def parse(source: str) -> ParsedDocument:
    return html.parse(source.encode(), "page.html")


def parts(document: ParsedDocument) -> list[tuple[ElementKind, str]]:
    return [(element.kind, document.text[element.start : element.end]) for element in document.elements]


@pytest.mark.parametrize("depth", [300, 1000, 200_000])
@pytest.mark.parametrize("tag", ["div", "b", "span", "blockquote"])
def test_deep_nesting_loses_no_text(tag: str, depth: int) -> None:
    source = f"<title>Deep</title><h2>Head</h2>{f'<{tag}>' * depth}<p>Deep text</p>{f'</{tag}>' * depth}<p>After</p>"

    document = parse(source)

    assert document.title == "Deep"
    assert [text for _, text in parts(document) if text != "Deep"] == ["Head", "Deep text", "After"]
    assert document.metadata.get("flattened", False) is (depth > markup.MAX_DEPTH)


@pytest.mark.parametrize("depth", [20, 200_000])
def test_deep_tables_and_lists_lose_no_text(depth: int) -> None:
    assert parse("<table><tr><td>" * depth + "cell").text == "cell"
    assert parse("<ul><li>" * depth + "item").text == "item"


@pytest.mark.parametrize(
    "attributes",
    [
        " ".join(f"a{number}=1" for number in range(200_000)),
        "".join(f"/a{number}" for number in range(200_000)),
        "".join(f'a{number}="x y"' for number in range(200_000)),
    ],
)
def test_many_attributes_cost_the_attributes_only(attributes: str) -> None:
    assert parse(f"<h1>Head</h1><p {attributes}>Text</p>").text == "Head\n\nText"


def test_a_long_attribute_is_no_bomb() -> None:
    image = "data:image/png;base64," + "A=/ " * 50_000

    assert parse(f'<p title="{image}" style="display:none">hidden</p><p>Text</p>').text == "Text"


@pytest.mark.parametrize(
    "tail",
    [
        "<a " * 100_000,
        '<a "' * 100_000,
        "<!--" * 100_000,
        "<script>" * 100_000,
        "</div>" * 100_000,
        "<style" * 100_000,
        "<select>" + "<option>x" * 100_000,
        "<svg>" * 100_000,
        "<p title='" * 100_000,
    ],
)
def test_unfinished_markup_takes_linear_time(tail: str) -> None:
    assert parse("<p>Text</p>" + tail).text == "Text"


def test_a_huge_single_line() -> None:
    document = parse("<p>" + "word " * 1_000_000)

    assert len(document.text) == 4_999_999
    assert len(document.elements) == 1


def test_flat_reading_keeps_kinds() -> None:
    deep = "<div>" * 600
    document = parse(
        f"{deep}<nav>menu</nav><h2>Head &amp; more</h2>one<br>two<ul><li>item</ul>"
        "<table><tr><td>a</td><td>b</td></tr></table><pre>x\n  y</pre><script>no</script>"
    )

    assert parts(document) == [
        (ElementKind.HEADING, "Head & more"),
        (ElementKind.PARAGRAPH, "one two"),
        (ElementKind.LIST_ITEM, "item"),
        (ElementKind.PARAGRAPH, "a b"),
        (ElementKind.CODE, "x\n  y"),
    ]

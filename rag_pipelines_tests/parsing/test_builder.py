"""The builder under all parsers, and the language of what it built."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipelines.core.errors import ParseError
from rag_pipelines.core.types import ElementKind
from rag_pipelines.parsing import plain
from rag_pipelines.parsing.builder import DocumentBuilder
from rag_pipelines.parsing.language import detect_language

ANYTHING = st.text(st.characters(codec=None), max_size=40)


@given(st.lists(st.tuples(st.sampled_from(ElementKind), ANYTHING, st.booleans()), max_size=8))
def test_whatever_is_added_the_spans_are_exact_ordered_and_complete(
    parts: list[tuple[ElementKind, str, bool]],
) -> None:
    builder = DocumentBuilder()
    added = [builder.add(kind, text, keep_lines=keep) for kind, text, keep in parts]
    if not any(added):
        with pytest.raises(ParseError):
            builder.build("text/plain", "test")
        return
    document = builder.build("text/plain", "test")
    position = 0
    for element in document.elements:
        assert position <= element.start < element.end
        assert document.text[position : element.start].strip() == ""
        assert document.text[element.start : element.end].strip() != ""
        position = element.end
    assert position == len(document.text) == builder.length
    assert len(document.elements) == sum(added)
    document.text.encode()
    assert not set(document.text) & set("\0\r\x07\x1f\ufeff\u200b")


def test_the_builder_normalises_by_kind() -> None:
    builder = DocumentBuilder()
    builder.add(ElementKind.HEADING, " A \r\n heading\0 ", level=9)
    builder.add(ElementKind.LIST_ITEM, "one")
    builder.add(ElementKind.LIST_ITEM, "two", page=3)
    builder.add(ElementKind.CODE, "\n\n  if x:\t\n\n      y\n\n")
    builder.add(ElementKind.TABLE, " a  |  b \n\n c | d")
    builder.add(ElementKind.PARAGRAPH, "soft\u00adened \ud800text\nhere")
    builder.add(ElementKind.PARAGRAPH, "two \n lines", keep_lines=True)
    document = builder.build("a/b", "test", metadata={"when": datetime.date(2024, 1, 2), "x": {1: {"y"}}})
    assert document.text == (
        "A heading\n\none\ntwo\n\n  if x:\n\n      y\n\na | b\nc | d\n\nsoftened text here\n\ntwo\nlines"
    )
    assert document.elements[0].level == 6
    assert document.elements[2].page == 3
    assert document.metadata == {"when": "2024-01-02", "x": {"1": ["y"]}}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The committee meets every second Tuesday to decide on new proposals.", "en"),
        ("Der Ausschuss tagt jeden zweiten Dienstag, um über neue Vorschläge zu entscheiden.", "de"),
        ("El comité se reúne cada dos martes para decidir sobre nuevas propuestas.", "es"),
        ("SKU-1 42", None),
        ("a1 b2 c3 d4 e5 xq zz kk pp ww vv jj qq xx yy zz", None),
    ],
)
def test_language(text: str, expected: str | None) -> None:
    assert detect_language(plain.parse(text.encode(), "a.txt")) == expected


def test_language_is_that_of_the_prose_not_of_the_code() -> None:
    builder = DocumentBuilder()
    builder.add(
        ElementKind.CODE, "the committee meets every second tuesday to decide on new proposals\n" * 50
    )
    builder.add(ElementKind.PARAGRAPH, "Der Ausschuss tagt jeden zweiten Dienstag, um zu entscheiden.")
    assert detect_language(builder.build("text/plain", "test")) == "de"


def test_language_is_asked_of_the_middle_where_the_beginning_leaves_it_open() -> None:
    builder = DocumentBuilder()
    builder.add(ElementKind.PARAGRAPH, "a1 b2 c3 d4 e5 xq zz kk pp ww vv jj qq xx yy zz " * 12)
    for _ in range(20):
        builder.add(ElementKind.PARAGRAPH, "Der Ausschuss tagt jeden zweiten Dienstag, um zu entscheiden.")
    assert detect_language(builder.build("text/plain", "test")) == "de"

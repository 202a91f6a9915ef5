"""The second opinion: what it reads, when it is asked, and that it stays off the network."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from rag_pipelines.core.errors import ParseError
from rag_pipelines.core.ports import ParseTask
from rag_pipelines.core.types import ParsedDocument
from rag_pipelines.parsing import pandoc, registry, unstructured_reader
from rag_pipelines.parsing.longtail import parse_odt, parse_org
from rag_pipelines.parsing.outlook import parse_msg
from rag_pipelines.parsing.sandbox import SandboxedParser
from rag_pipelines.parsing.unstructured_reader import read, with_second_opinion
from rag_pipelines_tests.parsing.test_longtail import elements, epub, odt
from rag_pipelines_tests.shared_data import shared_data


@pytest.fixture(autouse=True)
def connections(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[object]]:
    """Every attempt to reach a network; a test that makes one fails, even where the library hides it."""
    attempts: list[object] = []

    def refuse(*arguments: object, **_: object) -> None:
        attempts.append(arguments)
        raise OSError("the network is blocked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "connect_ex", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    yield attempts
    assert attempts == []


ORG = b"""* Restart
First read the /log/.
- stop
- start
#+BEGIN_SRC sh
pumpctl restart
  --now
#+END_SRC
| Step | Minutes |
|------+---------|
| stop | 2       |
** Afterwards
All is well.
"""


def test_org() -> None:
    document = read(ORG, registry.ORG)
    assert elements(document) == [
        ("heading", 1, "Restart"),
        ("paragraph", None, "First read the log."),
        ("list_item", None, "stop"),
        ("list_item", None, "start"),
        ("code", None, "pumpctl restart\n  --now"),
        ("table", None, "Step | Minutes\nstop | 2"),
        ("heading", 2, "Afterwards"),
        ("paragraph", None, "All is well."),
    ]
    assert document.media_type == "text/org"
    assert document.parser.startswith("unstructured/")


def test_it_includes_no_files_either() -> None:
    assert "root:" not in read(b'#+INCLUDE: "/etc/passwd"\nText.\n', registry.ORG).text


def test_rtf_epub_and_odt() -> None:
    text = rb"{\rtf1\ansi{\b Caf\'e9} opens at eight.\par Closes at six.\par}"
    assert [row[2] for row in elements(read(text, registry.RTF))] == [
        "Café opens at eight.",
        "Closes at six.",
    ]
    book = read(epub("<h1>Valves</h1><p>They close.</p>"), registry.EPUB)
    assert elements(book) == [("heading", 1, "Valves"), ("paragraph", None, "They close.")]
    letter = read(odt("## Leave\n\nThirty days.\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"), registry.ODT)
    assert elements(letter) == [
        ("heading", 2, "Leave"),
        ("paragraph", None, "Thirty days."),
        ("table", None, "a | b\n1 | 2"),
    ]


def test_no_text_and_unreadable_files_are_failures() -> None:
    with pytest.raises(ParseError, match="has no text"):
        read(b"#+TITLE: nothing else\n", registry.ORG)
    with pytest.raises(ParseError, match="cannot be read by unstructured either"):
        read(b"PK\x03\x04 no book", registry.EPUB)


def test_it_is_not_asked_about_deep_nesting_of_which_it_would_lose_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tree: pandoc.Node = {"t": "Para", "c": [{"t": "Str", "c": "deep"}]}
    for _ in range(220):
        tree = {"t": "BlockQuote", "c": [tree]}
    monkeypatch.delattr(unstructured_reader, "read")
    monkeypatch.setattr(pandoc, "read_tree", lambda data, reader, kind: {"blocks": [tree]})
    with pytest.raises(ParseError, match="nests its content too deeply"):
        parse_org(b"* Text", "a.org")


def broken_message() -> bytes:
    """An Outlook message whose attachment has no content where its index promises some."""
    data = shared_data("documents", "unstructured-examples", "fake-email-attachment.msg").read_bytes()
    content, elsewhere = "__substg1.0_37010102", "__substg1.0_37990102"
    broken = data.replace(content.encode("utf-16-le"), elsewhere.encode("utf-16-le"))
    assert broken != data
    return broken


def test_an_outlook_message_with_a_broken_attachment() -> None:
    document = parse_msg(broken_message(), "a.msg")
    assert ("list_item", None, "Lots of whitespace") in elements(document)
    assert (document.parser, document.title) == ("unstructured/1", "Fake email with attachment")


def test_where_both_fail_the_direct_reader_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def direct() -> ParsedDocument:
        raise ParseError("is a torn page")

    with pytest.raises(ParseError, match="is a torn page"):
        with_second_opinion(direct, b"no book", registry.EPUB)
    monkeypatch.setattr(unstructured_reader, "_PATIENCE", -1.0)
    with pytest.raises(ParseError, match="is a torn page"):
        with_second_opinion(direct, b"* Text", registry.ORG)


def test_nobody_is_asked_about_what_must_not_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(unstructured_reader, "read")
    with pytest.raises(ParseError, match="is a damaged or truncated OpenDocument file"):
        parse_odt(b"PK\x03\x04", "a.odt")


@pytest.mark.slow
def test_it_fits_into_the_sandbox() -> None:
    with SandboxedParser(workers=1) as parser:
        (outcome,) = parser.parse([ParseTask("a", broken_message(), "a.msg")])
    assert outcome.document is not None, outcome
    assert outcome.document.parser.startswith("unstructured/")

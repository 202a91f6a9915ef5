"""XML and SVG: their words, without coordinates, encoded data or markup."""

from __future__ import annotations

import base64

import pytest

from rag_pipelines.core.errors import ParseError
from rag_pipelines.parsing import registry
from rag_pipelines.parsing.detect import detect
from rag_pipelines.parsing.xmldoc import parse_svg, parse_xml
from rag_pipelines_tests.parsing.test_markdown import rows

BLOB = base64.b64encode(bytes(range(256)) * 2).decode()


def test_xml_records() -> None:
    text = (
        b'<r xmlns="urn:x" version="1"><book id="7"><name>A &amp; B</name><!-- c --><by><first>Ann</first></by></book>'
        b"<p>Some <b>bold</b> words</p></r>"
    )
    document = parse_xml(text, "a.xml")
    assert [row[2] for row in rows(document)] == [
        "@version: 1",
        "book@id: 7\nbook.name: A & B\nbook.by.first: Ann",
        "p: Some bold words",
    ]
    assert document.media_type == "application/xml"


def test_xml_loads_no_entities() -> None:
    text = b'<!DOCTYPE r [<!ENTITY e SYSTEM "file:///etc/passwd">]><r>&e;<a>x &e;</a><b>y</b></r>'
    document = parse_xml(text, "a.xml")
    assert "root:" not in document.text
    assert "b: y" in document.text


def test_xml_says_nothing_of_layout_coordinates_and_encoded_data() -> None:
    outline = " ".join(f"{step}.5,{step}" for step in range(40))
    text = (
        '<page xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="urn:x x.xsd">'
        f'<shape style="fill:none" class="big" transform="scale(2)" label="Inlet valve" corners="{outline}"/>'
        f"<icon>{BLOB}</icon><when>2024-05-06 07:08</when><outline>{outline}</outline></page>"
    )
    assert [row[2] for row in rows(parse_xml(text.encode(), "a.xml"))] == [
        "shape@label: Inlet valve\nshape@corners: 0.5, 0, 1.5, 1 … (80 numbers)",
        "when: 2024-05-06 07:08",
        "outline: 0.5, 0, 1.5, 1 … (80 numbers)",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<a><b>Salt & pepper</b><c>are here</c></a>", ["b: Salt & pepper", "c: are here"]),
        ("<a><b>One</b><c>is not closed</a>", ["b: One", "c: is not closed"]),
        ("{% if x %}<?xml?>\n<a>\n\nText that an editor reads.", ["{% if x %}<?xml?>\n<a>"]),
    ],
)
def test_what_is_not_well_formed_is_read_as_far_as_it_is_a_tree_or_as_plain_text(
    text: str, expected: list[str]
) -> None:
    assert [row[2] for row in rows(parse_xml(text.encode(), "a.xml"))][: len(expected)] == expected


def test_attacks_are_refused() -> None:
    laughs = '<!DOCTYPE l [<!ENTITY a "ha">' + "".join(
        f'<!ENTITY {name} "{f"&{before};" * 50}">' for before, name in zip("abcdef", "bcdefg", strict=True)
    )
    with pytest.raises(ParseError, match="is not well-formed XML"):
        parse_xml(b"<a>" * 500 + b"x" + b"</a>" * 500, "a.xml")
    with pytest.raises(ParseError, match=r"is not well-formed XML|has no text"):
        parse_xml(f"{laughs}]><l b='&g;'>&g;</l>".encode(), "a.xml")


SVG = b"""<?xml version="1.0"?><!-- made by hand -->
<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">
<svg xmlns="http://www.w3.org/2000/svg" xmlns:dc="http://purl.org/dc/elements/1.1/" viewBox="0 0 10 10">
<title>How water flows</title><desc>From the well to the tank.</desc>
<metadata><dc:title>Matplotlib v3</dc:title></metadata><style>text { fill: red }</style>
<path d="M 1 2 L 3 4" id="path17"/><g><dc:title>layer1</dc:title></g>
<g><title>Pump</title><text x="1" y="2"><tspan x="1">Main</tspan><tspan x="1" dy="2">pum</tspan>p</text></g>
<switch><foreignObject><p xmlns="http://www.w3.org/1999/xhtml">Tank <b>2</b></p></foreignObject>
<text>Tank...</text></switch>
<text>%</text></svg>"""


def test_svg_drawings_keep_titles_descriptions_and_labels() -> None:
    document = parse_svg(SVG, "a.svg")
    assert rows(document) == [
        ("title", None, "How water flows"),
        ("paragraph", None, "From the well to the tank."),
        ("paragraph", None, "Pump\nMain pump\nTank 2"),
    ]
    assert (document.media_type, document.title) == ("image/svg+xml", "How water flows")


def test_svg_drawings_without_text_are_refused() -> None:
    with pytest.raises(ParseError, match="is an SVG drawing without text"):
        parse_svg(b'<svg xmlns="http://www.w3.org/2000/svg"><path d="M 1 2 L 3 4"/></svg>', "a.svg")


def test_svg_inside_xml_keeps_its_labels_only() -> None:
    text = (
        b'<r><fig><svg xmlns="http://www.w3.org/2000/svg"><path d="M1 2"/><text>Valve</text></svg></fig></r>'
    )
    assert [row[2] for row in rows(parse_xml(text, "a.xml"))] == ["fig.svg: Valve"]


@pytest.mark.parametrize(
    ("data", "name"),
    [(SVG, "a"), (SVG, "a.xml"), (b"<svg width='1'/>", "a.svg"), (b"\n<svg xmlns='x'>", "logo.svg.jinja")],
)
def test_svg_is_detected(data: bytes, name: str) -> None:
    assert detect(data, name) == registry.SVG

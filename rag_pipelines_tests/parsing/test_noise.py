"""Encoded data, series of numbers and generated code; notebooks, which hold all of it."""

from __future__ import annotations

import base64
import hashlib
import json
import textwrap
from typing import Any

import pytest

from rag_pipelines.core.errors import ParseError
from rag_pipelines.parsing import jsondoc, plain
from rag_pipelines.parsing.detect import detect
from rag_pipelines.parsing.noise import is_minified, without_blobs
from rag_pipelines_tests.parsing.test_markdown import rows

BINARY = b"".join(hashlib.sha256(bytes([i])).digest() for i in range(20))
BLOB = base64.b64encode(BINARY).decode()


def texts(value: object) -> list[str]:
    return [row[2] for row in rows(jsondoc.parse_json(json.dumps(value).encode(), "a.json"))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"before {BLOB} after", "before  after"),
        (f"see data:image/png;base64,{BLOB} here", "see  here"),
        (f"hex {BINARY.hex()} end", "hex  end"),
        (f"wrapped\n{textwrap.fill(BLOB, 76)}\nend of it", "wrapped\n\nend of it"),
        ("-" * 300, "-" * 300),
        ("/".join(["usr", "share", "documents"] * 20), "/".join(["usr", "share", "documents"] * 20)),
        ("word " * 100, "word " * 100),
        (f"digest {BINARY[:32].hex()}", f"digest {BINARY[:32].hex()}"),
    ],
)
def test_encoded_data_goes_and_text_stays(text: str, expected: str) -> None:
    assert without_blobs(text) == expected


def test_json_without_encoded_data_and_long_series() -> None:
    value = {
        "name": "pump",
        "ports": [80, 443],
        "picture": BLOB,
        "embedding": [index / 8 for index in range(384)],
        "outline": [[0, 1.5], [2, 3], [4, 5]],
        "table": [["step", "minutes"], ["stop", 2]],
        "body": "<p>Salt &amp; <b>pepper</b></p>",
    }
    assert texts(value) == [
        "name: pump\nbody: Salt & pepper",
        "ports: 80, 443",
        "embedding: 0.0, 0.125, 0.25, 0.375 … (384 numbers)",
        "outline: 0, 1.5, 2, 3 … (6 numbers)",
        "table[0]: step, minutes\ntable[1]: stop, 2",
    ]


def test_json_that_is_nothing_but_encoded_data_has_no_text() -> None:
    with pytest.raises(ParseError, match="has no text"):
        jsondoc.parse_json(json.dumps({"a": BLOB}).encode(), "a.json")


def test_source_maps_are_refused() -> None:
    data = json.dumps(
        {"version": 3, "file": "a.js", "sources": ["a.ts"], "mappings": "AAAA,CAAC" * 99}
    ).encode()
    assert detect(data, "a.js.map") == "application/json"
    with pytest.raises(ParseError, match="is a source map"):
        jsondoc.parse_json(data, "a.js.map")


@pytest.mark.parametrize("name", ["a.js", "a.css"])
def test_minified_code_is_refused(name: str) -> None:
    with pytest.raises(ParseError, match="is minified code"):
        plain.parse(b"function f(a){return a+1};" * 200, name)
    with pytest.raises(ParseError, match="is minified code"):
        plain.parse(b"a{b:c}", name.replace(".", ".min."))
    assert plain.parse(b"a{\n  b: c\n}\n" * 500, name).text


def test_a_long_line_in_other_text_is_no_minified_code() -> None:
    assert plain.parse(b"word " * 1000, "a.txt").text
    assert not is_minified("short\n" * 1000 + "x" * 1500)


def notebook(*cells: dict[str, Any]) -> bytes:
    return json.dumps({"nbformat": 4, "metadata": {}, "cells": list(cells)}).encode()


def code(source: str, *outputs: dict[str, Any]) -> dict[str, Any]:
    return {"cell_type": "code", "source": source, "outputs": list(outputs)}


def test_notebooks_read_as_prose_code_and_what_it_printed() -> None:
    picture = {"image/png": BLOB, "text/plain": "<Figure size 640x480 with 1 Axes>"}
    table = {"text/html": "<table><td>7</td></table>", "text/plain": ["   a\n", "0  7"]}
    data = notebook(
        {"cell_type": "markdown", "source": ["# Title\n", "Text ![p](data:image/png;base64,AAAA)."]},
        code("x = 1", {"output_type": "stream", "name": "stdout", "text": ["one\n", "\x1b[31mtwo\x1b[0m\n"]}),
        code("plot()", {"output_type": "display_data", "data": picture}),
        code("frame", {"output_type": "execute_result", "data": table}),
        code("obj", {"output_type": "execute_result", "data": {"text/plain": "<a.B object at 0x7f01ab>"}}),
        code("1/0", {"output_type": "error", "ename": "ZeroDivisionError", "evalue": "division by zero"}),
        code("many", {"output_type": "stream", "text": "line\n" * 2000}),
    )
    found = rows(jsondoc.parse_json(data, "a.ipynb"))
    assert found[:-2] == [
        ("heading", 1, "Title"),
        ("paragraph", None, "Text p."),
        ("code", None, "x = 1"),
        ("code", None, "one\ntwo"),
        ("code", None, "plot()"),
        ("code", None, "frame"),
        ("code", None, "   a\n0  7"),
        ("code", None, "obj"),
        ("code", None, "1/0"),
        ("code", None, "ZeroDivisionError: division by zero"),
    ]
    assert found[-2] == ("code", None, "many")
    assert len(found[-1][2]) < 4100
    assert found[-1][2].endswith("…")


def test_notebooks_of_version_3() -> None:
    cells = [
        {"cell_type": "heading", "level": 2, "source": ["Old"]},
        {"cell_type": "code", "input": ["y = 2"], "outputs": [{"output_type": "pyout", "text": ["2"]}]},
    ]
    data = json.dumps({"nbformat": 3, "worksheets": [{"cells": cells}]}).encode()
    assert rows(jsondoc.parse_json(data, "a.ipynb")) == [
        ("heading", 2, "Old"),
        ("code", None, "y = 2"),
        ("code", None, "2"),
    ]

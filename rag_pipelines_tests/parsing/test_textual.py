"""Plain text, reStructuredText, tables, JSON and YAML."""

from __future__ import annotations

import pytest

from rag_pipelines.core.errors import ParseError
from rag_pipelines.parsing import jsondoc, plain, rst, tabular
from rag_pipelines_tests.parsing.test_markdown import rows


def test_plain_text() -> None:
    text = (
        "The Report\n==========\n\nThis paragraph was wrapped by an editor that likes short lines,\n"
        "and so its line ends mean nothing.\n\nStreet 1\nTown\n\n- milk\n- bread\n  and butter\n\n1. stand\n2. walk\n"
    )
    document = plain.parse(text.encode(), "a.txt")
    assert rows(document) == [
        ("heading", 1, "The Report"),
        (
            "paragraph",
            None,
            "This paragraph was wrapped by an editor that likes short lines, and so its line ends mean nothing.",
        ),
        ("paragraph", None, "Street 1\nTown"),
        ("list_item", None, "milk"),
        ("list_item", None, "bread and butter"),
        ("list_item", None, "1. stand"),
        ("list_item", None, "2. walk"),
    ]
    assert document.title == "The Report"


def test_source_code_is_cut_between_definitions() -> None:
    text = "import os\n\n\ndef f():\n    a = 1\n\n    return a\n\ndef g():\n    pass\n"
    assert [row[2] for row in rows(plain.parse(text.encode(), "a.py"))] == [
        "import os",
        "def f():\n    a = 1\n\n    return a",
        "def g():\n    pass",
    ]


RST = """\
=====
Guide
=====

See :ref:`the setup <setup>`, :pep:`8`, :meth:`~os.path.join` and :unknown:`that`.
An undefined_ name and a |missing| one.

.. _setup:

Setup
-----

.. note:: Take care.

.. versionadded:: 3.1
   It got *better*.

.. tab-set::

   .. tab-item:: Linux
      :sync: linux

      Run it.

.. code-block:: console
   :caption: Build
   :emphasize-lines: 1

   $ make

.. include:: /etc/passwd
.. raw:: html

   <script>evil()</script>

.. toctree::
   :maxdepth: 2

   other

.. comment

term
   Its meaning.

* item

  continued

:Author: Somebody

| a poem
| of lines

===== =====
A     B
===== =====
1     2
===== =====

.. image:: x.png
   :alt: A picture

.. literalinclude:: secret.py
"""


def test_restructuredtext_with_sphinx_markup() -> None:
    document = rst.parse(RST.encode(), "a.rst")
    assert rows(document) == [
        ("heading", 1, "Guide"),
        (
            "paragraph",
            None,
            "See the setup, PEP 8, join and that. An undefined_ name and a |missing| one.",
        ),
        ("heading", 2, "Setup"),
        ("paragraph", None, "Take care."),
        ("paragraph", None, "3.1 It got better."),
        ("paragraph", None, "Linux"),
        ("paragraph", None, "Run it."),
        ("code", None, "$ make"),
        ("list_item", None, "term: Its meaning."),
        ("list_item", None, "item"),
        ("paragraph", None, "continued"),
        ("list_item", None, "Author: Somebody"),
        ("paragraph", None, "a poem\nof lines"),
        ("table", None, "A | B\n1 | 2"),
        ("paragraph", None, "A picture"),
    ]
    assert document.title == "Guide"


def test_restructuredtext_reads_no_files() -> None:
    text = ".. csv-table::\n   :file: /etc/passwd\n\nText.\n\n.. include:: /etc/passwd\n   :literal:\n"
    document = rst.parse(text.encode(), "a.rst")
    assert "root" not in document.text
    assert "Text." in document.text


def test_csv_rows_name_their_cells() -> None:
    document = tabular.parse_csv(b'Name;Price;Note\nPear;1,50;"ripe;\nsoft"\n;;\nApple;2;\n', "a.csv")
    assert rows(document) == [
        ("list_item", None, "Name: Pear; Price: 1,50; Note: ripe; soft"),
        ("list_item", None, "Name: Apple; Price: 2"),
    ]
    assert document.metadata["columns"] == ["Name", "Price", "Note"]
    assert document.metadata["rows"] == 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1,2\n3,4\n", ["1 | 2", "3 | 4"]),
        ("sep=|\na|b\n1|2\n", ["a: 1; b: 2"]),
        (
            "Sales,,\nYear,Sum,Of\n1,2,3\n4,5,6\n",
            ["Sales", "Year: 1; Sum: 2; Of: 3", "Year: 4; Sum: 5; Of: 6"],
        ),
        ("one thing\nor another, maybe\nthird\n", ["one thing", "or another, maybe", "third"]),
        ("a,b\n", ["a | b"]),
        ("a,b\n1,2,3\n", ["a: 1; b: 2; 3"]),
    ],
)
def test_csv_shapes(text: str, expected: list[str]) -> None:
    document = tabular.parse_csv(text.encode(), "a.csv")
    assert [row[2] for row in rows(document)] == expected


def test_tsv_in_utf16() -> None:
    document = tabular.parse_tsv("a\tb\n1, 2\t3\n".encode("utf-16"), "a.tsv")
    assert rows(document) == [("list_item", None, "a: 1, 2; b: 3")]


def test_json_records_become_paragraphs_of_paths() -> None:
    text = '{"title": "List", "none": null, "ok": true, "items": [{"a": 1, "tags": ["x", "y"]}, {"b": {"c": "d"}}]}'
    document = jsondoc.parse_json(text.encode(), "a.json")
    assert [row[2] for row in rows(document)] == [
        "title: List\nok: true",
        "items[0].a: 1\nitems[0].tags: x, y",
        "items[1].b.c: d",
    ]
    assert document.title == "List"


def test_json_lines_under_either_name() -> None:
    text = b'{"a": 1}\n{"a": 2}\n'
    for read in (jsondoc.parse_json, jsondoc.parse_jsonl):
        assert [row[2] for row in rows(read(text, "a"))] == ["a: 1", "a: 2"]
    assert [row[2] for row in rows(jsondoc.parse_jsonl(b'[\n {"a": 1},\n {"a": 2}\n]', "a"))] == [
        "a: 1",
        "a: 2",
    ]


def test_damaged_json_is_refused_with_the_place() -> None:
    with pytest.raises(ParseError, match=r"is not valid JSON: .* line 2 column"):
        jsondoc.parse_json(b'{"a": 1,\n "b" 2}', "a.json")


def test_yaml_stands_as_it_is() -> None:
    document = jsondoc.parse_yaml(b"# why\na:\n  b: 1\n\nc: [2]\n---\nd: 3\n", "a.yaml")
    assert [row[2] for row in rows(document)] == ["# why\na:\n  b: 1", "c: [2]", "---\nd: 3"]

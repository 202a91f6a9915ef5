"""Markdown and its dialects."""

from __future__ import annotations

import itertools
import random
import tarfile

import pytest
from markdown_it import MarkdownIt

from rag_pipelines.core.errors import ParseError
from rag_pipelines.core.types import ParsedDocument
from rag_pipelines.parsing.inline import simple_text
from rag_pipelines.parsing.markdown import _inline_text, parse
from rag_pipelines_tests.shared_data import shared_data

Row = tuple[str, int | None, str]


def rows(document: ParsedDocument) -> list[Row]:
    """Kind, level and text of each element."""
    return [(str(e.kind), e.level, document.text[e.start : e.end]) for e in document.elements]


def read(text: str, name: str = "page.md") -> list[Row]:
    return rows(parse(text.encode(), name))


PAGE = """\
---
title: The handbook
date: 2024-05-06
tags: [a, b]
---
<a name="top"></a>
# Getting *started*<a name="started"></a>

A [link](http://example.org/x) to `code`, an ![old map](map.png) and
<b>bold</b> text\\.<br>Next &amp; last.

- first
  line

  more of it
  1. inner
- second

> quoted

| Name | Size |
|------|-----:|
| **a** | 1 |
| b | `2` |

```python
def f():

    return 1
```

    indented

<!-- nothing to see -->
<details><summary>More</summary><p>Hidden &lt;text&gt;</p></details>

<table><tr><th>H</th> <th>I</th></tr>
<tr><td>1</td><td>2</td></tr></table>
"""


def test_a_page() -> None:
    document = parse(PAGE.encode(), "page.md")
    assert rows(document) == [
        ("title", None, "The handbook"),
        ("heading", 1, "Getting started"),
        ("paragraph", None, "A link to code, an old map and bold text. Next & last."),
        ("list_item", None, "first line"),
        ("paragraph", None, "more of it"),
        ("list_item", None, "inner"),
        ("list_item", None, "second"),
        ("paragraph", None, "quoted"),
        ("table", None, "Name | Size\na | 1\nb | 2"),
        ("code", None, "def f():\n\n    return 1"),
        ("code", None, "indented"),
        ("paragraph", None, "More\nHidden <text>"),
        ("table", None, "H | I\n1 | 2"),
    ]
    assert document.title == "The handbook"
    assert document.metadata["date"] == "2024-05-06"
    assert document.metadata["tags"] == ["a", "b"]
    assert document.media_type == "text/markdown"


def test_the_first_heading_is_the_title_and_a_front_matter_that_repeats_it_adds_nothing() -> None:
    assert parse(b"## Small\n\n# Large\n", "a.md").title == "Large"
    document = parse(b"---\ntitle: Same Thing\n---\n\n# Same *Thing*\n", "a.md")
    assert document.title == "Same Thing"
    assert parse(b"---\ntitle: same thing\n---\n# Same Thing #\n", "a.md").elements[0].kind == "heading"


def test_toml_front_matter() -> None:
    document = parse(b'+++\ntitle = "Page"\nweight = 3\n+++\nText.\n', "a.md")
    assert (document.title, document.metadata["weight"]) == ("Page", 3)


@pytest.mark.parametrize("block", ["a: [unclosed", "just a sentence", "a: &x [1]\nb: *x"])
def test_a_front_matter_that_cannot_be_read_stays_text(block: str) -> None:
    document = parse(f"---\n{block}\n---\nBody.\n".encode(), "a.md")
    assert block.partition("\n")[0] in document.text
    assert "Body." in document.text


def test_a_rule_is_not_a_front_matter() -> None:
    assert read("Text.\n\n---\n\nMore.\n\n---\n") == [
        ("paragraph", None, "Text."),
        ("paragraph", None, "More."),
    ]


def test_escapes_keep_their_meaning() -> None:
    assert read(r"a\_b \*c\* 1\.2 \(x\) `a\.b` \[no link\]\(y\)") == [
        ("paragraph", None, r"a_b *c* 1.2 (x) a\.b [no link](y)")
    ]
    assert read(r"[text \(x\)](http://e.org/a\)b) end\.") == [("paragraph", None, "text (x) end.")]


def test_hugo_shortcodes_go_and_their_text_stays() -> None:
    text = '{{< note title="x" >}}\nRead {{% ref "a.md" %}} this.\n{{< /note >}}\n\n`{{< kept >}}`'
    assert read(text)[0] == ("paragraph", None, "Read this.")


def test_mdx_imports_comments_and_components_go() -> None:
    text = (
        "import A from './a'\nexport const b = {\n c: 1 }\n\n{/* hidden */}\n\n"
        "# T\n\n<Tab label='x'>\n\nText.\n\n</Tab>\n"
    )
    assert read(text, "a.mdx") == [("heading", 1, "T"), ("paragraph", None, "Text.")]
    assert "import A" in parse(text.encode(), "a.md").text


def test_myst_directives_and_roles() -> None:
    text = (
        "```{note} Beware\n:class: x\n\nOf {ref}`the dog <dog>`.\n```\n\n"
        "```{code-block} sh\nls\n```\n\n```{toctree}\na\n```\n"
    )
    assert read(text) == [
        ("paragraph", None, "Beware"),
        ("paragraph", None, "Of the dog."),
        ("code", None, "ls"),
    ]


def test_docusaurus_containers() -> None:
    assert read(":::tip[Do this]\nText.\n:::\n\nAfter.") == [
        ("paragraph", None, "Do this Text."),
        ("paragraph", None, "After."),
    ]


def test_too_deep_nesting_is_refused_rather_than_cut_off() -> None:
    assert read("> " * 40 + "text") == [("paragraph", None, "text")]
    with pytest.raises(ParseError, match="too deeply"):
        parse(b"> " * 200 + b"text", "a.md")


def test_a_page_of_comments_has_no_text() -> None:
    with pytest.raises(ParseError, match="no text"):
        parse(b"<!-- only this -->\n", "a.md")


def test_real_pages_keep_every_line_that_holds_no_markup() -> None:
    archive = shared_data("retrieval", "awsdocs_dev", "documents.tar.xz")
    checked = 0
    with tarfile.open(archive) as pages:
        for member in itertools.islice((page for page in pages if page.name.endswith(".md")), 150):
            file = pages.extractfile(member)
            assert file is not None
            data = file.read()
            text = " ".join(parse(data, member.name).text.split())
            for line in data.decode().splitlines():
                if not set(line) & set("<[&`|{\\*_~!#+-"):
                    assert " ".join(line.split()).lstrip("0123456789. ") in text, (member.name, line)
                    checked += bool(line.strip())
    assert checked > 1000


ATOMS = (
    *("a", "b1", " ", "*", "**", "***", "_", "__", "`", "``", "[", "](", "](x)", ")", "!", "![", "~", "~~"),
    *('<a href="x">', "</a>", "<br>", "<", "&", "&amp;", "\\", "\\*", "é", "—", "“", "$", "€", "\n", "."),
)


def test_the_short_way_reads_inline_markup_as_the_parser_does() -> None:
    parser = MarkdownIt("commonmark").enable("strikethrough")
    chance = random.Random(7)
    compared = 0
    for _ in range(20_000):
        text = "a" + "".join(chance.choice(ATOMS) for _ in range(chance.randint(1, 9))) + "z"
        short = simple_text(text)
        tokens = parser.parse(text)
        if short is not None and len(tokens) == 3:
            assert _inline_text(tokens[1]).split() == short.split(), text
            compared += any(mark in text for mark in "*_`[<\\")
    assert compared > 1000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "**Note** that `a*b` in [the *guide*](x.md) and ![a map](m.png)",
            "Note that a*b in the guide and a map",
        ),
        ('snake_case_name, _this_ one<a name="x"></a>', "snake_case_name, this one"),
        (r"\[2\] 5 < 6 \\ x", None),
        ("{ref}`the dog <dog>`", None),
        ("**a **b**", None),
    ],
)
def test_the_short_way_leaves_what_it_is_not_sure_of(text: str, expected: str | None) -> None:
    assert simple_text(text) == expected

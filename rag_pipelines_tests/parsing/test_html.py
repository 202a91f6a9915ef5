"""HTML: content kept with its structure, surroundings left out."""

from __future__ import annotations

import pytest

from rag_pipelines.core.errors import ParseError
from rag_pipelines.core.types import ElementKind, ParsedDocument
from rag_pipelines.parsing import html

TITLE, HEADING, PARAGRAPH = ElementKind.TITLE, ElementKind.HEADING, ElementKind.PARAGRAPH
LIST_ITEM, TABLE, CODE = ElementKind.LIST_ITEM, ElementKind.TABLE, ElementKind.CODE

SENTENCE = (
    "The harbour office counts every ship that passes the lock between dawn and dusk, and writes it down. "
)


def parse(source: str) -> ParsedDocument:
    return html.parse(source.encode(), "page.html")


def parts(document: ParsedDocument) -> list[tuple[ElementKind, str]]:
    return [(element.kind, document.text[element.start : element.end]) for element in document.elements]


def test_structure_in_reading_order() -> None:
    document = parse("""
        <html><head><title>Handbook</title></head><body><h1>Handbook</h1>
        <p>Before   you <b>start</b>,<br>read this.</p>
        <h2>Steps</h2><ol><li>Open the door<ul><li>with a key</li></ul></li><li><p>Close it</p></li></ol>
        <h4>Reference</h4>
        <table><caption>Ports</caption><tr><th>Name</th><th>Port</th></tr><tr><td>web</td><td>80</td></tr></table>
        <pre><code>def f():
    return 1
</code></pre><dl><dt>Term</dt><dd>Meaning</dd></dl></body></html>""")

    assert parts(document) == [
        (TITLE, "Handbook"),
        (PARAGRAPH, "Before you start,\nread this."),
        (HEADING, "Steps"),
        (LIST_ITEM, "Open the door"),
        (LIST_ITEM, "with a key"),
        (LIST_ITEM, "Close it"),
        (HEADING, "Reference"),
        (PARAGRAPH, "Ports"),
        (TABLE, "Name | Port\nweb | 80"),
        (CODE, "def f():\n    return 1"),
        (LIST_ITEM, "Term"),
        (LIST_ITEM, "Meaning"),
    ]
    assert [element.level for element in document.elements if element.kind is HEADING] == [2, 4]


@pytest.mark.parametrize(
    "surrounding",
    [
        "<nav><a href=/>Start</a> ADRIFT</nav>",
        "<header>ADRIFT</header>",
        "<footer>ADRIFT</footer>",
        "<aside>ADRIFT</aside>",
        '<div class="cookie-banner">ADRIFT: we value your privacy</div>',
        '<div id="shareBar">ADRIFT</div>',
        '<ul class="breadcrumbs"><li>ADRIFT</li></ul>',
        '<section class="related-articles"><p>ADRIFT is another story</p></section>',
        '<div class="relatedStories">ADRIFT</div>',
        '<div id="comments"><p>ADRIFT, says somebody</p></div>',
        '<div role="navigation">ADRIFT</div>',
        '<div role="search">ADRIFT</div>',
        "<form><label>ADRIFT</label><input></form>",
        "<button>ADRIFT</button><select><option>ADRIFT</option></select><textarea>ADRIFT</textarea>",
        "<script>ADRIFT</script><style>ADRIFT</style><noscript>ADRIFT</noscript>",
        "<template><p>ADRIFT</p></template><svg><text>ADRIFT</text></svg>",
        '<p style="display: none">ADRIFT</p>',
        "<p hidden>ADRIFT</p>",
        '<p aria-hidden="true">ADRIFT</p>',
        '<span class="sr-only">ADRIFT</span>',
        "<!-- ADRIFT -->",
    ],
)
def test_what_surrounds_the_content_is_left_out(surrounding: str) -> None:
    page = f"<body>{surrounding}<div><h1>Ships</h1><p>{SENTENCE * 4}</p></div>{surrounding}</body>"

    document = parse(page)

    assert "ADRIFT" not in document.text
    assert document.text.count("harbour office") == 4


def test_an_article_loses_captions_and_link_lists_but_no_paragraph() -> None:
    document = parse(f"""
        <html><head><meta property="og:type" content="article"><title>Lock opens | The Daily</title></head><body>
        <div class="wrap"><div class="headline"><h1>Lock opens</h1></div><div class="article-body">
        <figure><img src=a.png><figcaption>A caption by nobody</figcaption></figure>
        <p>{SENTENCE * 3}</p><p>Read more: another story</p>
        <ul><li><a href=1>Linked story one</a></li><li><a href=2>Linked story two</a></li></ul>
        <h2>A part</h2><ul><li>a fact that is no link</li></ul><p>{SENTENCE * 3}</p><p>Short end.</p></div>
        <div class="teasers"><p>{SENTENCE}</p></div></div></body></html>""")

    assert parts(document) == [
        (TITLE, "Lock opens"),
        (PARAGRAPH, (SENTENCE * 3).strip()),
        (HEADING, "A part"),
        (LIST_ITEM, "a fact that is no link"),
        (PARAGRAPH, (SENTENCE * 3).strip()),
        (PARAGRAPH, "Short end."),
    ]


def test_an_article_in_parts_is_kept_whole() -> None:
    part = f'<div class="article-body"><p>{SENTENCE * 4}</p></div>'
    document = parse(
        f'<meta property="og:type" content="article"><body><div>{part}<div>x</div>{part}</div></body>'
    )

    assert document.text.count("harbour office") == 8


def test_documentation_keeps_short_lines_links_and_captions() -> None:
    document = parse(f"""
        <html><head><title>Ports &mdash; Kit 2.1 documentation</title></head><body>
        <div class="sphinxsidebar"><ul><li><a href=x>SIDE</a></li></ul></div>
        <div class="document"><div class="body" role="main">
        <section><h1>Ports<a class="headerlink" href="#ports">¶</a></h1><p>Defaults.</p>
        <div class="toctree-wrapper"><ul><li><a href=a>Installing</a></li><li><a href=b>Upgrading</a></li></ul></div>
        <div class="section-header"><h2>Table <a href="#t">#</a></h2></div><p>{SENTENCE * 6}</p>
        <figure><img><figcaption>How packets flow</figcaption></figure>
        <div class="highlight"><pre><span></span>$ kit up
  --port 80</pre></div>
        <div class="admonition note"><p class="admonition-title">Note</p><p>Mind the gap.</p></div>
        </section></div></div></body></html>""")

    assert parts(document) == [
        (TITLE, "Ports"),
        (PARAGRAPH, "Defaults."),
        (LIST_ITEM, "Installing"),
        (LIST_ITEM, "Upgrading"),
        (HEADING, "Table"),
        (PARAGRAPH, (SENTENCE * 6).strip()),
        (PARAGRAPH, "How packets flow"),
        (CODE, "$ kit up\n  --port 80"),
        (PARAGRAPH, "Note"),
        (PARAGRAPH, "Mind the gap."),
    ]


def test_an_export_without_semantics_keeps_every_block() -> None:
    blocks = [f"Block {number}: {SENTENCE}" for number in range(8)]
    page = "".join(f'<div class="c{number}"><div>{text}</div></div>' for number, text in enumerate(blocks))

    document = parse(f"<body><div>{page}</div><div><h2>Contacts</h2>Call 555-0100</div></body>")

    assert [text for _, text in parts(document)] == [*map(str.strip, blocks), "Contacts", "Call 555-0100"]


@pytest.mark.parametrize(
    "page",
    [
        "<body><ul><li><a href=1>First chapter</a></li><li><a href=2>Second chapter</a></li></ul></body>",
        '<body><div class="toc"><p><a href=1>First chapter</a></p><p><a href=2>Second chapter</a></p></div></body>',
        "<body><nav><a href=1>First chapter</a> <a href=2>Second chapter</a></nav></body>",
        "<body style='display:none'><p>First chapter</p><p>Second chapter</p></body>",
        '<body><div style="visibility: hidden"><p>First chapter</p><p>Second chapter</p></div></body>',
        "<body><form><p>First chapter</p><p>Second chapter</p></form></body>",
        "<p>First chapter<p>Second chapter",
    ],
)
def test_a_page_that_is_all_menu_form_or_hidden_is_not_emptied(page: str) -> None:
    text = parse(page).text

    assert "First chapter" in text
    assert "Second chapter" in text


def test_a_name_alone_drops_no_large_part_of_a_page() -> None:
    document = parse(
        f'<body><div class="content with-sidebar"><p>{SENTENCE * 3}</p></div><div><p>{SENTENCE * 2}</p></div></body>'
    )

    assert document.text.count("harbour office") == 5


def test_a_page_made_of_comments_is_content() -> None:
    posts = "".join(f'<div class="comment"><p>{SENTENCE * 2}</p></div>' for _ in range(10))

    text = parse(f"<body><h1>Thread</h1><nav>ADRIFT</nav><p>Started by Bo.</p>{posts}</body>").text

    assert text.count("harbour office") == 20
    assert "ADRIFT" not in text


def test_a_long_caption_is_no_text_of_an_article() -> None:
    figure = f"<figure><img><figcaption>{'Seen from the air. ' * 30}</figcaption></figure>"

    document = parse(f'<meta property="og:type" content="article"><body>{figure}<p>{SENTENCE * 9}</p></body>')

    assert "Seen from the air" not in document.text


def test_a_generated_class_name_is_no_name() -> None:
    document = parse(
        f'<body><div class="sc-1ad4x hJpAdRR"><p>{SENTENCE}</p></div><p>{SENTENCE * 9}</p></body>'
    )

    assert document.text.count("harbour office") == 10


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("<tr><td>a<td>b<tr><td>c<td>", [(TABLE, "a | b\nc | ")]),
        ("<tr><td><p>a</p><p>b</p></td><td>c<br>d</td></tr>", [(TABLE, "a b | c d")]),
        (
            "<tr><td>one column</td></tr><tr><td>of lines</td></tr>",
            [(PARAGRAPH, "one column"), (PARAGRAPH, "of lines")],
        ),
        ("<tr><td><h2>Menu</h2></td><td><p>Text</p></td></tr>", [(HEADING, "Menu"), (PARAGRAPH, "Text")]),
        (
            "<tr><td>left</td><td><table><tr><td>a</td><td>b</td></tr></table></td></tr>",
            [(PARAGRAPH, "left"), (TABLE, "a | b")],
        ),
        (
            "<tr><td>1</td><td><pre>x = 1\ny = 2</pre></td></tr>",
            [(PARAGRAPH, "1"), (CODE, "x = 1\ny = 2")],
        ),
    ],
)
def test_data_tables_are_rows_and_layout_tables_dissolve(
    table: str, expected: list[tuple[ElementKind, str]]
) -> None:
    assert [(kind, text.strip()) for kind, text in parts(parse(f"<table>{table}</table>"))] == [
        (kind, text.strip()) for kind, text in expected
    ]


def test_a_table_for_layout_says_so() -> None:
    assert parts(parse('<table role="presentation"><tr><td>a</td><td>b</td></tr></table>')) == [
        (PARAGRAPH, "a"),
        (PARAGRAPH, "b"),
    ]


def test_two_breaks_end_a_paragraph_and_one_a_line() -> None:
    assert parts(parse("<body>one<br>two<br><br>three</body>")) == [
        (PARAGRAPH, "one\ntwo"),
        (PARAGRAPH, "three"),
    ]


def test_a_text_file_set_as_preformatted_becomes_paragraphs() -> None:
    prose = "\n\n".join(f"Section {number}. {SENTENCE.strip()}" for number in range(60))

    document = parse(f"<pre>{prose}\n\nname    port\nweb     80</pre>")

    assert [kind for kind, _ in parts(document)] == [PARAGRAPH] * 60 + [CODE]
    assert parts(document)[-1][1] == "name    port\nweb     80"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"<body><div id=root></div><script>start()</script></body>", "JavaScript"),
        (b"<title>Only a title</title><img src=a.png>", "no text of its own"),
        (b"<div>" * 5000, "512 deep"),
    ],
)
def test_a_page_without_text_is_refused_with_a_reason(data: bytes, reason: str) -> None:
    with pytest.raises(ParseError, match=reason):
        html.parse(data, "page.html")


def test_elements_cover_the_text() -> None:
    document = parse(f"<h1>A</h1><ul><li>b</li><li>c</li></ul><p>{SENTENCE}</p><table><tr><th>d<th>e</table>")
    rest = document.text
    for element in reversed(document.elements):
        rest = rest[: element.start] + rest[element.end :]

    assert rest.strip() == ""

"""The page: its numbers, its escaping, and that it loads nothing."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest
from lxml import html

from rag_pipelines.core.errors import ConfigError
from rag_pipelines.core.ids import document_id
from rag_pipelines.evaluation import plots
from rag_pipelines.evaluation.report import render, write_report
from rag_pipelines.evaluation.running import Answer
from rag_pipelines.evaluation.runs import PassageRef, Run
from rag_pipelines.evaluation.significance import Interval
from rag_pipelines.evaluation.suites import IndexDocument, Suite
from rag_pipelines.evaluation.summary import slices_of, summarise
from rag_pipelines_tests.evaluation.samples import HEADER, SPANS, passage, query, run_of, suite_of

EVIL = '<script>alert("1")</script>'


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    """Three judged queries, one of them hostile, and one without an answer."""
    return suite_of(
        tmp_path,
        [query("a"), query("b", EVIL), query("c"), query("n", answerable=False), query("skipped")],
        [HEADER, "a\td1\t2", "b\td2\t1", "b\td3\t0", "c\td3\t1"],
        measures=["RR@10", "P@1"],
        slices=["source"],
    )


@pytest.fixture
def ours(suite: Suite) -> Run:
    """Finds a at 1, b at 2, c not at all."""
    return run_of(
        suite, {"a": ["d1"], "b": ["d3", "d2"]}, version=2, fingerprint="f2", settings={"fusion": EVIL}
    )


@pytest.fixture
def theirs(suite: Suite) -> Run:
    """Finds a at 2, b at 1 and c at 1."""
    return run_of(suite, {"a": ["x", "d1"], "b": ["d2"], "c": ["d3"]})


def text_of(ref: PassageRef) -> str | None:
    """The text of a passage; that of d3 is gone."""
    return None if ref.document == "d3" else f"text of {ref.document} {EVIL}\x00" + "z" * 700


def words(page: str, path: str) -> list[str]:
    """The text of every element, white space collapsed."""
    found = html.fromstring(page.encode(), parser=html.HTMLParser(encoding="utf-8")).xpath(path)
    return [" ".join(element.text_content().split()) for element in found]


def section(name: str) -> str:
    """XPath of a section's rows."""
    return f"//section[@aria-labelledby='{name}']//tbody/tr"


def test_one_run(suite: Suite, ours: Run) -> None:
    page = render(suite, ours, text_of=text_of)
    assert words(page, "//head/title") == ["small on handbook version 2"]
    assert words(page, "//h1") == ["small on handbook version 2"]
    assert words(page, "//h2") == [
        "What was measured",
        "Measures",
        "Abstention",
        "Queries with the lowest RR@10",
    ]
    about = dict(zip(words(page, "//dt"), words(page, "//dd"), strict=True))
    assert about["Queries measured"] == "3, of which 1 got no passage and count as 0"
    assert about["Not asked"] == "1 queries that nobody judged"
    assert (about["Configuration"], about["fusion"]) == ("f2", EVIL)
    assert about["Judged"] == "documents; the first passage of a document counts"
    assert about["Content of the suite"] == suite.content_hash
    rows = words(page, f"{section('measures')}/*[self::th or self::td][position() <= 2]")
    assert rows[:4] == ["RR@10", "0.5000", "P@1", "0.3333"]
    assert words(page, "//article/p[1]") == ["Query c: RR@10 0.0000", "Query b: RR@10 0.5000"]
    assert words(page, "//article[1]//tbody/tr") == ["d31not found"]
    assert words(page, "//article[1]//section/p") == ["No passage."]
    assert words(page, section("abstention")) == ["This runnot statednot statednot statednot stated"]


def test_two_runs(suite: Suite, ours: Run, theirs: Run) -> None:
    documents = [IndexDocument(document_id("docs", uri), "docs", uri) for uri in ("d1", "d2")]
    page = render(
        suite,
        ours,
        theirs,
        summary=summarise(suite, ours, slices_of(suite, documents)),
        text_of=text_of,
    )
    assert words(page, "//h1") == ["small on handbook version 2, against handbook version 1"]
    assert words(page, f"{section('against')}[1]/*") == [
        "RR@10", "0.5000", "0.8333", "-0.3333", "-1.0000 to +0.5000", "0.750", "1.000", "1", "2", "0",
        "no significant difference",
    ]  # fmt: skip
    assert words(page, section("slices")) == [
        "(unknown)10.00001.0000-1.00001.000",
        "docs20.75000.7500+0.00001.000",
    ]
    assert words(page, "//article/p[1]") == [
        "Query c: RR@10 0.0000, in the other run 1.0000",
        "Query b: RR@10 0.5000, in the other run 1.0000",
    ]
    assert words(page, "//article[2]//tbody/tr") == ["d2121"]
    lists = words(page, "//article[2]//li")
    assert lists[0] == "d3 characters 0 to 100, score 1: judged not relevantIts text is no longer stored."
    assert lists[1].startswith("d2 characters 0 to 100, score 0.5: relevant, grade 1text of d2")
    assert words(page, "//*[@id='bars-text']") == [
        "This run is better on 1 queries, worse on 2, and equal on 0."
    ]


def test_queries_are_the_worst_ones(suite: Suite, ours: Run, theirs: Run) -> None:
    assert words(render(suite, ours, theirs, text_of=text_of, queries=1), "//article/p[1]/bdi") == ["c"]
    assert words(
        render(suite, theirs, theirs, text_of=text_of), "//section[@aria-labelledby='queries']/p"
    ) == ["No query lost."]
    best = run_of(suite, {"a": ["d1"], "b": ["d2"], "c": ["d3"]})
    assert words(render(suite, best, text_of=text_of), "//section[@aria-labelledby='queries']/p") == [
        "Every query measures 1."
    ]


def test_nothing_is_run_or_loaded(suite: Suite, ours: Run, theirs: Run) -> None:
    page = render(suite, ours, theirs, text_of=text_of)
    assert "<script" not in page
    assert page.count("&lt;script&gt;") >= 3
    tags: list[tuple[str, dict[str, str | None]]] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            tags.append((tag, dict(attrs)))

    Reader().feed(page)
    assert not {tag for tag, _ in tags} & {
        "script",
        "link",
        "img",
        "iframe",
        "object",
        "embed",
        "base",
        "form",
        "a",
    }
    assert not [
        name
        for _, attributes in tags
        for name in attributes
        if name in ("src", "href") or name.startswith("on")
    ]
    assert "http://" not in page
    assert "https://" not in page
    assert "url(" not in page
    policy = next(attributes["content"] for tag, attributes in tags if "http-equiv" in attributes)
    assert policy == "default-src 'none'; style-src 'unsafe-inline'"


def test_what_a_screen_reader_needs(suite: Suite, ours: Run, theirs: Run) -> None:
    page = render(suite, ours, theirs, text_of=text_of)
    root = html.fromstring(page.encode(), parser=html.HTMLParser(encoding="utf-8"))
    assert root.get("lang") == "en"
    assert all(table.xpath("caption") for table in root.xpath("//table"))
    assert all(cell.get("scope") in ("col", "row") for cell in root.xpath("//th"))
    ids = root.xpath("//@id")
    assert len(ids) == len(set(ids))
    named = [one for labels in root.xpath("//@aria-labelledby") for one in labels.split()]
    assert named
    assert set(named) <= set(ids)
    assert all(figure.get("role") == "img" for figure in root.xpath("//svg"))
    assert [element.tag for element in root.xpath("//h1 | //h2 | //h3 | //h4")][:2] == ["h1", "h2"]


def test_texts_are_cut_and_control_characters_replaced(suite: Suite, ours: Run) -> None:
    page = render(suite, ours, text_of=text_of)
    quoted = words(page, "//article[2]//blockquote")
    assert quoted == [("text of d2 " + EVIL + "\ufffd" + "z" * 700)[:600] + "…"]
    assert "\x00" not in page


def test_passages_show_their_page_and_judged_spans_their_place(tmp_path: Path) -> None:
    suite = suite_of(tmp_path, [query("a")], [SPANS, "a\td\t10\t20\t1"], level="passage", measures=["RR@10"])
    run = run_of(suite, {"a": Answer([passage("x", page=3), passage("d")])})
    page = render(suite, run, text_of=lambda ref: "text")
    assert words(page, "//article//tbody/tr") == ["d:10-2012"]
    assert words(page, "//article//li")[0] == "x page 3, characters 0 to 100, score 1: not judgedtext"
    assert "passages; a hit shares half of the shorter span" in page


def test_too_few_documents_are_said(suite: Suite, ours: Run) -> None:
    assert "Too few documents" not in render(suite, ours, text_of=text_of)
    page = render(suite, msgspec.structs.replace(ours, short=("a",)), text_of=text_of)
    assert "on 1 queries all passages together are of fewer documents" in page


def test_abstention_of_both_runs(suite: Suite) -> None:
    run = run_of(suite, {one: Answer([], 0.1 if one == "n" else 0.9, True) for one in suite.queries})
    assert words(render(suite, run, run, text_of=text_of), section("abstention")) == [
        "This run1.00000.750010",
        "Other run1.00000.750010",
    ]


def test_runs_of_other_content_are_refused(suite: Suite, ours: Run) -> None:
    with pytest.raises(ConfigError):
        render(suite, ours, msgspec.structs.replace(ours, suite_hash="0" * 64), text_of=text_of)


@pytest.mark.parametrize(("value", "shown"), [(-1e-9, "+0.0000"), (-0.0001, "-0.0001"), (0.12345, "+0.1235")])
def test_a_difference_of_nothing_has_no_minus(suite: Suite, ours: Run, value: float, shown: str) -> None:
    queries = {
        key: msgspec.structs.replace(one, measures={name: at - value for name, at in one.measures.items()})
        for key, one in ours.queries.items()
    }
    page = render(suite, ours, msgspec.structs.replace(ours, queries=queries), text_of=text_of)
    assert words(page, f"{section('against')}[1]/td[3]") == [shown]


def test_the_page_is_written_whole(tmp_path: Path) -> None:
    write_report(tmp_path / "deep" / "report.html", "<p>é</p>")
    assert (tmp_path / "deep" / "report.html").read_bytes() == "<p>é</p>".encode()
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["report.html"]


def test_the_interval_plot_is_to_scale() -> None:
    """0 is drawn at x 110 and 1 at x 696."""
    figure = ElementTree.fromstring(plots.intervals({"R@<1>": Interval(0.5, 0.25, 1.0)}, {"R@<1>": 0.0}))
    mark = figure.find("line[@class='mark']")
    circle, square = figure.find("circle"), figure.find("rect")
    assert mark is not None
    assert circle is not None
    assert square is not None
    assert (mark.get("x1"), mark.get("x2"), circle.get("cx")) == ("256.5", "696.0", "403.0")
    assert square.get("x") == "105.0"
    assert "R@<1> 0.500 (0.250 to 1.000), the other run 0.000" in (figure.findtext("desc") or "")


def test_the_bars_are_to_scale_and_sorted() -> None:
    """The largest difference, -0.5, reaches the lower line at y 224; 0.25 half of the way up to 16."""
    figure = ElementTree.fromstring(plots.bars("P@1", [0.0, -0.5, 0.25]))
    strokes = {path.get("class"): path.get("d") for path in figure.iter("path")}
    assert strokes == {"win": "M200.0 120V68.0", "loss": "M600.0 120V224.0"}
    assert [text.text for text in figure.iter("text")] == ["+0.50", "0", "-0.50"]
    ElementTree.fromstring(plots.bars("P@1", [0.0]))

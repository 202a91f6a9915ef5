from __future__ import annotations

import re
import zipfile
from pathlib import Path

import pytest
from lxml import html
from pypdf import PdfReader
from pypdf.errors import PyPdfError

from rag_pipelines_tests.sample.sample_files import BROKEN, SAMPLE, corpus, files, records, script

FORMATS = {"md", "html", "txt", "rst", "pdf", "docx", "pptx", "xlsx", "csv", "eml", "json", "odt", "rtf"}


def test_every_format_is_there() -> None:
    assert {name.rsplit(".", 1)[1] for name in files("handbook")} == FORMATS


def test_the_readme_counts_the_documents() -> None:
    sources = [name.split("/")[0] for name in corpus()]
    counts = {source: sources.count(source) for source in set(sources)}
    assert counts == {"handbook": 33, "engineering": 7, "board": 2, "support": 10}


@pytest.mark.parametrize("name", sorted(corpus()))
def test_a_document_has_substance(name: str) -> None:
    assert 150 <= len(corpus()[name].split()) <= 900


def test_no_real_company_is_named() -> None:
    known = Path(__file__).with_name("real_companies.txt").read_text(encoding="utf-8").split()
    pattern = re.compile(rf"\b({'|'.join(known)})\b")
    texts = {name: set(pattern.findall(text)) for name, text in corpus().items()}
    assert {name: found for name, found in texts.items() if found} == {}


def test_every_address_is_under_a_reserved_domain() -> None:
    hosts = {
        host
        for text in corpus().values()
        for host in re.findall(r"(?:https?|ssh)://(?:[\w.]+@)?([\w.-]+)|[\w.+-]+@([\w-]+(?:\.[\w-]+)+)", text)
    }
    flat = {(url or mail).rstrip(".") for url, mail in hosts}
    assert len(flat) >= 5
    assert {host for host in flat if host != "localhost" and not host.endswith(".example")} == set()


def test_the_sample_is_small() -> None:
    assert sum((SAMPLE / name).stat().st_size for name in files("")) < 1_500_000


def test_web_pages_carry_boilerplate() -> None:
    pages = [name for name in files("handbook") if name.endswith(".html")]
    assert len(pages) == 6
    for name in pages:
        page = html.parse(SAMPLE / "handbook" / name).getroot()
        assert page.xpath("//nav"), name
        assert page.xpath("//footer"), name
        assert page.xpath("//div[contains(@class, 'cookie')]//button"), name


def test_the_newer_policy_supersedes_the_older() -> None:
    old, new = (corpus()[f"handbook/hr/leave-policy-v{number}.md"] for number in (1, 2))
    assert "supersedes version 1" in new
    assert "27 working days" in old
    assert "30 working days" in new


def test_the_near_duplicate_differs_a_little() -> None:
    pages = [corpus()[f"handbook/{name}/remote-work.md"].split() for name in ("hr", "office/leeds")]
    shingles = [{tuple(words[i : i + 3]) for i in range(len(words) - 2)} for words in pages]
    similarity = len(shingles[0] & shingles[1]) / len(shingles[0] | shingles[1])
    assert 0.8 < similarity < 1.0


def test_the_broken_file_cannot_be_opened() -> None:
    import pypdfium2

    path = SAMPLE / "handbook" / BROKEN
    assert path.read_bytes().startswith(b"%PDF-1.6")
    with pytest.raises(PyPdfError):
        len(PdfReader(path).pages)
    with pytest.raises(pypdfium2.PdfiumError):
        pypdfium2.PdfDocument(path)


def test_the_price_list_is_pages_of_tables() -> None:
    pages = [
        page.extract_text() for page in PdfReader(SAMPLE / "handbook/products/price-list-2026.pdf").pages
    ]
    assert len(pages) == 2
    assert "VD-H8-0810" in pages[0]
    assert "SV-MAP-X" in pages[1]


def test_records_are_complete_and_carry_rights() -> None:
    tickets = records()
    assert len(tickets) == 10
    assert len({ticket["id"] for ticket in tickets}) == len({ticket["uri"] for ticket in tickets}) == 10
    assert all(set(ticket["metadata"]) == {"product", "severity", "updated"} for ticket in tickets)
    rights = {ticket["id"]: ticket.get("acl") for ticket in tickets}
    assert rights["MB-1069"] == ["group:contracts"]
    assert rights["MB-1066"] == ["*"]
    assert rights["MB-1072"] is None


def test_rendering_is_repeatable_and_what_is_committed(tmp_path: Path) -> None:
    maker = script("make_documents")
    first, second = (
        [path.relative_to(tmp_path / run).as_posix() for path in maker.make_all(tmp_path / run)]
        for run in "ab"
    )
    assert first == second
    assert len(first) == 9
    for name in first:
        rendered = (tmp_path / "a" / name).read_bytes()
        assert rendered == (tmp_path / "b" / name).read_bytes(), name
        assert words(tmp_path / "a" / name) == words(SAMPLE / "handbook" / name), f"render {name} again"


def words(path: Path) -> str:
    """The text of a rendered document, without what another version of a library may write differently."""
    if path.as_posix().endswith(BROKEN):
        return "broken"
    if path.suffix == ".pdf":
        return " ".join(" ".join(page.extract_text() for page in PdfReader(path).pages).split())
    if path.suffix == ".rtf":
        return path.read_text(encoding="ascii")
    parts = re.compile(
        r"word/document|ppt/(slides|notesSlides)/\w+\.xml|xl/(sharedStrings|worksheets/\w+)\.xml|content\.xml"
    )
    with zipfile.ZipFile(path) as archive:
        members = sorted(name for name in archive.namelist() if parts.match(name))
        assert members
        return " ".join(re.sub(r"<[^>]+>", " ", archive.read(name).decode()) for name in members)

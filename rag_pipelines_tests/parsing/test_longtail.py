"""Formats read by other programs, and every example file of the formats tested here."""

from __future__ import annotations

import os
import subprocess
import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from rag_pipelines.core.errors import ParseError
from rag_pipelines.core.types import ParsedDocument
from rag_pipelines.parsing import ocr, oldoffice, programs, registry, unstructured_reader
from rag_pipelines.parsing.longtail import parse_epub, parse_odt, parse_org, parse_rtf
from rag_pipelines.parsing.ocr import parse_image
from rag_pipelines.parsing.office import parse_docx, parse_pptx, parse_xlsx
from rag_pipelines.parsing.oldoffice import parse_doc, parse_ppt, parse_xls
from rag_pipelines.parsing.outlook import parse_msg
from rag_pipelines.parsing.pdf import parse as parse_pdf
from rag_pipelines_tests.shared_data import shared_data

ORG = b"""#+TITLE: Runbook
#+INCLUDE: "/etc/hostname"
* Restart
First read the /log/ of =pumpd=.[fn:1]
- stop
  - wait
- start
#+BEGIN_SRC sh
pumpctl restart
  --now
#+END_SRC
| Step | Minutes |
|------+---------|
| stop | 2       |
** Afterwards
#+BEGIN_QUOTE
All is well.
#+END_QUOTE
[fn:1] In the cellar.
"""


@pytest.fixture(autouse=True)
def no_second_opinion(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests are about the direct readers; importing unstructured takes seconds."""

    def refuse(data: bytes, media_type: str) -> ParsedDocument:
        raise ParseError("has no text")

    monkeypatch.setattr(unstructured_reader, "read", refuse)


def elements(document: ParsedDocument) -> list[tuple[str, int | None, str]]:
    return [(e.kind.value, e.level, document.text[e.start : e.end]) for e in document.elements]


def test_org_keeps_its_structure_and_includes_nothing() -> None:
    document = parse_org(ORG, "a record without a suffix")
    assert elements(document) == [
        ("heading", 1, "Restart"),
        ("paragraph", None, "First read the log of pumpd."),
        ("paragraph", None, "In the cellar."),
        ("list_item", None, "stop"),
        ("list_item", None, "wait"),
        ("list_item", None, "start"),
        ("code", None, "pumpctl restart\n  --now"),
        ("table", None, "Step | Minutes\nstop | 2"),
        ("heading", 2, "Afterwards"),
        ("paragraph", None, "All is well."),
    ]
    assert document.title == "Runbook"
    assert document.media_type == "text/org"


def test_rtf() -> None:
    document = parse_rtf(rb"{\rtf1\ansi{\b Caf\'e9} opens at eight.\par Closes at six.\par}", "a.rtf")
    assert [text for *_, text in elements(document)] == ["Café opens at eight.", "Closes at six."]
    assert document.media_type == "application/rtf"


def epub(body: str) -> bytes:
    out = BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("mimetype", "application/epub+zip")
        archive.writestr(
            "META-INF/container.xml",
            '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
            '<rootfile full-path="book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>',
        )
        archive.writestr(
            "book.opf",
            '<package xmlns="http://www.idpf.org/2007/opf" version="3.0"><metadata xmlns:dc="http://purl.org/dc/elements/1.1/">'
            "<dc:title>Pumps</dc:title><dc:creator>A. Writer</dc:creator><dc:language>en-GB</dc:language></metadata>"
            '<manifest><item id="c" href="c.xhtml" media-type="application/xhtml+xml"/></manifest>'
            '<spine><itemref idref="c"/></spine></package>',
        )
        archive.writestr(
            "c.xhtml",
            f'<!DOCTYPE html><html xmlns="http://www.w3.org/1999/xhtml"><head><title>x</title></head><body>{body}</body></html>',
        )
    return out.getvalue()


def test_epub_with_metadata() -> None:
    document = parse_epub(epub("<h1>Valves</h1><p>They close.</p><ul><li>slowly</li></ul>"), "a.epub")
    assert elements(document) == [
        ("heading", 1, "Valves"),
        ("paragraph", None, "They close."),
        ("list_item", None, "slowly"),
    ]
    assert (document.title, document.language, document.metadata["author"]) == ("Pumps", "en", "A. Writer")


def odt(markdown: str) -> bytes:
    pandoc = programs.find("pandoc")
    assert pandoc is not None
    command = [str(pandoc), "--from=markdown", "--to=odt", "--output=-"]
    return subprocess.run(command, input=markdown.encode(), capture_output=True, check=True).stdout


def with_entry(data: bytes, name: str, content: str) -> bytes:
    out = BytesIO()
    with zipfile.ZipFile(BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for entry in old.namelist():
            new.writestr(entry, content if entry == name else old.read(entry))
    return out.getvalue()


def test_odt_and_encrypted_odt() -> None:
    data = odt("## Leave\n\nThirty days.\n\n1. ask\n2. go\n")
    assert elements(parse_odt(data, "a.odt")) == [
        ("heading", 2, "Leave"),
        ("paragraph", None, "Thirty days."),
        ("list_item", None, "ask"),
        ("list_item", None, "go"),
    ]
    locked = with_entry(data, "META-INF/manifest.xml", "<m><encryption-data/></m>")
    with pytest.raises(ParseError, match="is encrypted"):
        parse_odt(locked, "a.odt")


def test_empty_output_is_a_failure() -> None:
    with pytest.raises(ParseError, match="is an OpenDocument file without text"):
        parse_odt(odt(""), "a.odt")


def test_zip_bombs_in_open_documents_end_early() -> None:
    out = BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.text")
        archive.writestr("content.xml", "a" * 30_000_000)
    with pytest.raises(ParseError, match="expands to more than 250 times"):
        parse_odt(out.getvalue(), "a.odt")


OLD_OFFICE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600


@pytest.mark.parametrize(
    ("read", "expected"), [(parse_doc, "docx"), (parse_ppt, "pptx"), (parse_xls, "xlsx")]
)
def test_old_office_files_name_libreoffice(
    read: registry.Parse, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oldoffice, "find", lambda program: None)
    with pytest.raises(ParseError, match=rf"converted to {expected} with LibreOffice .* install LibreOffice"):
        read(OLD_OFFICE, "a")


def test_old_office_files_are_read_through_libreoffice(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import docx

    modern = docx.Document()
    modern.add_heading("Old but gold", level=1)
    modern.save(str(tmp_path / "ready.docx"))
    fake = tmp_path / "soffice"
    fake.write_text(f"""#!/bin/sh
while [ "$1" != "--outdir" ]; do shift; done
test -s "$3" && cp {tmp_path}/ready.docx "$2/document.docx"
""")
    fake.chmod(0o755)
    monkeypatch.setattr(oldoffice, "find", lambda program: fake)
    document = parse_doc(OLD_OFFICE, "a.doc")
    assert elements(document) == [("heading", 1, "Old but gold")]
    assert document.media_type == "application/msword"


def test_libreoffice_that_fails_is_quoted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake = tmp_path / "soffice"
    fake.write_text("#!/bin/sh\necho 'Error: source file could not be loaded' >&2\n")
    fake.chmod(0o755)
    monkeypatch.setattr(oldoffice, "find", lambda program: fake)
    with pytest.raises(ParseError, match="by LibreOffice: Error: source file could not be loaded"):
        parse_doc(OLD_OFFICE, "a.doc")


def test_programs_are_found_or_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(programs, "_PLACES", {})
    assert sorted(programs.missing_programs()) == ["soffice", "tesseract"]
    assert "apt install tesseract-ocr" in programs.missing_programs()["tesseract"]
    pandoc = programs.find("pandoc")
    assert pandoc is not None
    assert os.access(pandoc, os.X_OK)
    (tmp_path / "libreoffice").write_text("#!/bin/sh\n")
    (tmp_path / "libreoffice").chmod(0o755)
    assert programs.find("soffice") == tmp_path / "libreoffice"
    assert "soffice" not in programs.missing_programs()


def test_outlook_messages() -> None:
    data = shared_data("documents", "unstructured-examples", "fake-email-attachment.msg").read_bytes()
    document = parse_msg(data, "mail.msg")
    assert document.title == "Fake email with attachment"
    assert document.media_type == "application/vnd.ms-outlook"
    assert ("list_item", None, "Lots of whitespace") in elements(document)
    assert "mallori@unstructured.io" in document.text + str(document.metadata)


def test_encrypted_outlook_messages_say_so() -> None:
    data = shared_data("documents", "unstructured-examples", "fake-encrypted.msg").read_bytes()
    with pytest.raises(ParseError, match="is encrypted; store a decrypted copy"):
        parse_msg(data, "mail.msg")


READERS: dict[str, registry.Parse] = {
    ".pdf": parse_pdf,
    ".docx": parse_docx,
    ".pptx": parse_pptx,
    ".xlsx": parse_xlsx,
    ".odt": parse_odt,
    ".rtf": parse_rtf,
    ".epub": parse_epub,
    ".org": parse_org,
    ".msg": parse_msg,
    ".doc": parse_doc,
    ".ppt": parse_ppt,
    ".xls": parse_xls,
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".bmp", ".heic"), parse_image),
}
NO_TEXT = {
    "empty.xlsx": "no value",
    "fake-encrypted.msg": "encrypted",
    "loremipsum-flat.pdf": "scanned",
    "password.pdf": "password",
    "password_protected.xlsx": "password",
    "picture.pptx": "no text",
    "single_table.pdf": "scanned",
    "table-multi-row-column-cells.pdf": "scanned",
    "test-image-jpg-mime.pptx": "no text",
}


@pytest.mark.slow
def test_every_example_file_has_text_or_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = shared_data("documents", "unstructured-examples")
    for module in (ocr, oldoffice, programs):
        monkeypatch.setattr(module, "find", lambda program: None)
    read, refused = 0, {}
    for path in sorted(folder.rglob("*")):
        if path.suffix not in READERS:
            continue
        try:
            document = READERS[path.suffix](path.read_bytes(), path.name)
        except ParseError as error:
            refused[path.name] = str(error)
            continue
        read += 1
        position = 0
        for element in document.elements:
            assert not document.text[position : element.start].strip(), path
            position = element.end
        assert document.text.strip(), path
    for name, expected in NO_TEXT.items():
        assert expected in refused.pop(name)
    assert all("not installed here" in reason for reason in refused.values()), refused
    assert read >= 75

"""The long tail: odt, rtf, epub and org by pandoc, with unstructured as the second opinion.

unstructured too has pandoc convert these, to HTML or Word. Asked for its own syntax tree, pandoc states the levels of
headings, the kind of every block and the metadata, and nothing has to be guessed.
"""

from __future__ import annotations

import re
from typing import Any

from rag_pipelines.core.errors import ParseError
from rag_pipelines.core.types import ParsedDocument
from rag_pipelines.parsing import pandoc, registry
from rag_pipelines.parsing.builder import DocumentBuilder
from rag_pipelines.parsing.ooxml import open_archive
from rag_pipelines.parsing.programs import find, require
from rag_pipelines.parsing.unstructured_reader import with_second_opinion

VERSION = 2
PROGRAMS = ("pandoc",)
USES = ("rag_pipelines.parsing.unstructured_reader",)
_FONT_OBFUSCATION = re.compile(
    rb"EncryptionMethod[^>]*Algorithm=[\"'](?!http://www\.idpf\.org/2008/embedding|http://ns\.adobe\.com/pdf/enc)"
)


def parse_odt(data: bytes, name: str) -> ParsedDocument:
    """OpenDocument text. Raises ParseError."""
    _check_archive(data, "OpenDocument")
    return _read(data, registry.ODT, "odt", "OpenDocument")


def parse_rtf(data: bytes, name: str) -> ParsedDocument:
    """Rich text. Raises ParseError."""
    return _read(data, registry.RTF, "rtf", "RTF")


def parse_epub(data: bytes, name: str) -> ParsedDocument:
    """A book. Raises ParseError."""
    _check_archive(data, "EPUB")
    return _read(data, registry.EPUB, "epub", "EPUB")


def parse_org(data: bytes, name: str) -> ParsedDocument:
    """Emacs Org. Raises ParseError."""
    return _read(data, registry.ORG, "org", "Org")


def _read(data: bytes, media_type: str, reader: str, kind: str) -> ParsedDocument:
    if find("pandoc") is None:
        raise require("pandoc", f"is {kind}, which is read")
    try:
        return with_second_opinion(lambda: _by_pandoc(data, media_type, reader, kind), data, media_type)
    except RecursionError as error:
        raise ParseError("nests its content too deeply to be read") from error


def _by_pandoc(data: bytes, media_type: str, reader: str, kind: str) -> ParsedDocument:
    tree = pandoc.read_tree(data, reader, kind)
    builder = DocumentBuilder()
    pandoc.add_blocks(builder, tree.get("blocks", []))
    if not builder.length:
        raise ParseError(f"is an {kind} file without text")
    metadata = pandoc.metadata_of(tree)
    title, language = metadata.get("title"), metadata.get("language" if media_type == registry.EPUB else "")
    return builder.build(
        media_type,
        f"longtail/{VERSION}+pandoc",
        title=_first(title),
        language=(_first(language) or "").split("-")[0].lower() or None,
        metadata={**metadata, "title": _first(title)} if title else metadata,
    )


def _first(value: Any) -> str | None:
    found = value[0] if isinstance(value, list) and value else value
    return found if isinstance(found, str) else None


def _check_archive(data: bytes, kind: str) -> None:
    """Size limits and encryption; pandoc would read encrypted parts as rubbish."""
    with open_archive(data, kind, doctypes=True) as archive:
        names = set(archive.namelist())
        manifest = archive.read("META-INF/manifest.xml") if "META-INF/manifest.xml" in names else b""
        encryption = archive.read("META-INF/encryption.xml") if "META-INF/encryption.xml" in names else b""
    if b"encryption-data" in manifest or _FONT_OBFUSCATION.search(encryption):
        raise ParseError("is encrypted; store a copy without password or copy protection")

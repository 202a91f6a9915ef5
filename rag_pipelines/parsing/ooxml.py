"""What Word, PowerPoint and Excel files share: the guarded archive, its relationships, its core properties.

The sizes that the zip directory claims are held against limits, then every text part is inflated once
before any library sees it: zipfile stops at the claimed size, and where that was a lie the checksum tells.
Document type declarations, which the formats forbid, are refused with their entities.
"""

from __future__ import annotations

import posixpath
import struct
import zipfile
import zlib
from io import BytesIO
from typing import Any

from rag_pipelines.core.errors import ParseError

MAX_ENTRIES = 20_000
MAX_EXPANDED = 256 * 2**20
MAX_RATIO = 250
_RATIO_FROM = 24 * 2**20
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_STEP = 2**20
_DOCTYPES = tuple(
    word.encode(code) for word in ("<!DOCTYPE", "<!ENTITY") for code in ("ascii", "utf-16-le", "utf-16-be")
)


def open_archive(data: bytes, kind: str, *, doctypes: bool = False) -> zipfile.ZipFile:
    """The checked archive; `kind` names the format for people. Raises ParseError with the reason.

    `doctypes` lets document type declarations pass, which EPUB's XHTML has.
    """
    if not data.strip(b"\0\t\n\r "):
        raise ParseError("is empty")
    if data.startswith(_OLE):
        if "EncryptedPackage".encode("utf-16-le") in data:
            raise ParseError("is encrypted and needs a password; store a copy without one")
        raise ParseError(f"is an old binary office file, not {kind}; save it in the current format")
    try:
        archive = zipfile.ZipFile(BytesIO(data))
    except (zipfile.BadZipFile, ValueError, OSError, struct.error) as error:
        raise ParseError(f"is a damaged or truncated {kind} file: {error}") from error
    _check(archive, len(data), kind, doctypes=doctypes)
    return archive


def _check(archive: zipfile.ZipFile, size: int, kind: str, *, doctypes: bool) -> None:
    entries = archive.infolist()
    if len(entries) > MAX_ENTRIES:
        raise ParseError(
            f"holds {len(entries):,} parts, more than the {MAX_ENTRIES:,} that a {kind} file may have"
        )
    texts = [entry for entry in entries if _is_text(entry.filename)]
    _check_size(sum(entry.file_size for entry in texts), size, kind)
    for entry in texts:
        start = b""
        try:
            with archive.open(entry) as part:
                while piece := part.read(_STEP):
                    start = start or piece[:4096]
        except (
            zipfile.BadZipFile,
            zlib.error,
            EOFError,
            NotImplementedError,
            RuntimeError,
            OSError,
        ) as error:
            raise ParseError(f"is a damaged {kind} file: part {entry.filename}: {error}") from error
        if not doctypes and any(mark in start for mark in _DOCTYPES):
            raise ParseError(
                f"declares a document type in {entry.filename}, which is not allowed in a {kind} file"
            )


def _is_text(name: str) -> bool:
    return name.lower().endswith((".xml", ".rels", ".vml", ".xhtml", ".html", ".opf", ".ncx"))


def _check_size(expanded: int, size: int, kind: str) -> None:
    if expanded > MAX_EXPANDED:
        raise ParseError(
            f"expands to more than {MAX_EXPANDED >> 20} MiB: a zip bomb, or a {kind} file to be split"
        )
    if expanded > max(_RATIO_FROM, MAX_RATIO * size):
        raise ParseError(
            f"expands to more than {MAX_RATIO} times its size, which no {kind} file does: a zip bomb"
        )


def read_xml(archive: zipfile.ZipFile, name: str, kind: str) -> Any:
    """Root element of a part; without entities, network, or trees deeper than libxml2's own limit."""
    from lxml import etree

    parser = etree.XMLParser(resolve_entities=False, no_network=True, remove_comments=True, remove_pis=True)
    try:
        return etree.fromstring(archive.read(name), parser)
    except KeyError as error:
        raise ParseError(f"is a damaged {kind} file: it lacks its part {name}") from error
    except etree.XMLSyntaxError as error:
        raise ParseError(f"is a damaged {kind} file: part {name}: {error.msg}") from error


def local(element: Any) -> str:
    """Tag name without its namespace, so that strict and transitional files read alike."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def attribute(element: Any, name: str) -> str | None:
    """Attribute by local name in whatever namespace."""
    for key, value in element.attrib.items():
        if key.rpartition("}")[2] == name:
            return str(value)
    return None


def relationships(archive: zipfile.ZipFile, part: str, kind: str) -> dict[str, list[str]]:
    """Parts that `part` points to by the last word of the relationship's type, in order."""
    folder, name = posixpath.split(part)
    rels = posixpath.join(folder, "_rels", f"{name}.rels")
    if rels not in archive.namelist():
        return {}
    found: dict[str, list[str]] = {}
    for item in read_xml(archive, rels, kind):
        target = attribute(item, "Target")
        if target and attribute(item, "TargetMode") != "External":
            path = (
                target.lstrip("/")
                if target.startswith("/")
                else posixpath.normpath(posixpath.join(folder, target))
            )
            found.setdefault((attribute(item, "Type") or "").rpartition("/")[2], []).append(path)
    return found


_PROPERTIES = {
    "title": "title",
    "creator": "author",
    "subject": "subject",
    "keywords": "keywords",
    "created": "created",
    "modified": "modified",
    "lastModifiedBy": "last_modified_by",
}


def core_properties(archive: zipfile.ZipFile, kind: str) -> dict[str, str]:
    """Title, author, dates and the like from `docProps/core.xml`, those that are set."""
    parts = relationships(archive, "", kind).get("core-properties", ["docProps/core.xml"])
    if parts[0] not in archive.namelist():
        return {}
    found = {}
    for item in read_xml(archive, parts[0], kind):
        key, value = _PROPERTIES.get(local(item)), (item.text or "").strip()
        if key and value:
            found[key] = value[:1000]
    return found

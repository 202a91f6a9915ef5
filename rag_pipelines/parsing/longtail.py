"""The long tail: odt, rtf, epub and org by pandoc, msg by python-oxmsg, doc, ppt and xls by LibreOffice, images by OCR.

These are the engines that unstructured calls for the same formats. Asked directly they keep heading
levels, list items, code and tables, which its classifier loses without a language model, and need no download.
"""

from __future__ import annotations

import importlib
import os
import re
import struct
import subprocess
import tempfile
from io import BytesIO
from pathlib import Path
from typing import Any

import msgspec

from rag_pipelines.core.errors import ParseError
from rag_pipelines.core.types import ElementKind, ParsedDocument
from rag_pipelines.parsing import office, pandoc, registry
from rag_pipelines.parsing.builder import DocumentBuilder
from rag_pipelines.parsing.detect import detect
from rag_pipelines.parsing.ocr import read_image
from rag_pipelines.parsing.ooxml import open_archive
from rag_pipelines.parsing.programs import find, require

VERSION = 1
PROGRAMS = ("pandoc", "soffice", "tesseract")
_OFFICE_SECONDS = 50
_READERS = {
    registry.ODT: ("odt", "OpenDocument"),
    registry.RTF: ("rtf", "RTF"),
    registry.EPUB: ("epub", "EPUB"),
    registry.ORG: ("org", "Org"),
}
_MODERN = {
    registry.DOC: ("doc", "docx", registry.DOCX, "Word"),
    registry.PPT: ("ppt", "pptx", registry.PPTX, "PowerPoint"),
    registry.XLS: ("xls", "xlsx", registry.XLSX, "Excel"),
}
_OCR_READS = frozenset({"image/png", "image/jpeg", "image/tiff", "image/bmp"})
_FONT_OBFUSCATION = re.compile(
    rb"EncryptionMethod[^>]*Algorithm=[\"'](?!http://www\.idpf\.org/2008/embedding|http://ns\.adobe\.com/pdf/enc)"
)


def parse(data: bytes, name: str) -> ParsedDocument:
    """The document. Raises ParseError, naming the program where one is missing."""
    media_type = detect(data, name)
    if media_type in _READERS:
        return _by_pandoc(data, media_type)
    if media_type in _MODERN:
        return _by_libreoffice(data, media_type)
    if media_type == registry.MSG:
        return _outlook(data, name)
    if media_type.startswith("image/"):
        return _image(data, media_type)
    if registry.PARSERS.get(media_type) in (None, registry.PARSERS[registry.ODT]):
        raise ParseError(f"is {media_type}, which this parser does not read")
    return registry.parser_for(media_type)(data, name)


def _by_pandoc(data: bytes, media_type: str) -> ParsedDocument:
    reader, kind = _READERS[media_type]
    if media_type in (registry.ODT, registry.EPUB):
        _check_archive(data, kind)
    tree = pandoc.read_tree(data, reader, kind)
    builder = DocumentBuilder()
    try:
        pandoc.add_blocks(builder, tree.get("blocks", []))
    except RecursionError as error:
        raise ParseError(f"the {kind} file nests its content too deep") from error
    if not builder.length:
        raise ParseError(f"the {kind} file has no text")
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
        raise ParseError(f"the {kind} file is encrypted; store a copy without password or copy protection")


def _by_libreoffice(data: bytes, media_type: str) -> ParsedDocument:
    """Converted to the current format, then read by its parser."""
    old, new, target, kind = _MODERN[media_type]
    program = find("soffice")
    if program is None:
        raise require("soffice", f"is an old binary {kind} file ({old}); it is converted to {new}")
    with tempfile.TemporaryDirectory(prefix="rag-office-") as folder:
        source = Path(folder) / f"document.{old}"
        source.write_bytes(data)
        profile = (Path(folder) / "profile").as_uri()
        command = [
            str(program),
            f"-env:UserInstallation={profile}",
            "--headless",
            "--norestore",
            "--nolockcheck",
        ]
        command += ["--convert-to", new, "--outdir", folder, str(source)]
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                timeout=_OFFICE_SECONDS,
                check=False,
                stdin=subprocess.DEVNULL,
                env={**os.environ, "HOME": folder},
            )
        except subprocess.TimeoutExpired as error:
            raise ParseError(
                f"LibreOffice did not convert the {old} file within {_OFFICE_SECONDS} s"
            ) from error
        converted = source.with_suffix(f".{new}")
        if not converted.exists():
            detail = (done.stderr or done.stdout).decode("utf-8", "replace").strip().splitlines()
            reason = detail[-1][:300] if detail else f"exit code {done.returncode}"
            raise ParseError(f"LibreOffice cannot convert the {old} file: {reason}")
        modern = registry.parser_for(target)(converted.read_bytes(), converted.name)
    return msgspec.structs.replace(
        modern, media_type=media_type, parser=f"longtail/{VERSION}+{modern.parser}"
    )


def _outlook(data: bytes, name: str) -> ParsedDocument:
    """An Outlook message, made into an Internet message and read by the parser of those."""
    document = registry.parser_for(registry.EMAIL)(_internet_message(data), f"{Path(name).stem}.eml")
    return msgspec.structs.replace(
        document, media_type=registry.MSG, parser=f"longtail/{VERSION}+{document.parser}"
    )


def _internet_message(data: bytes) -> bytes:
    from email.message import EmailMessage
    from email.utils import format_datetime

    from oxmsg import Message

    try:
        message = Message.load(BytesIO(data))
        body, html, kind = message.body, message.html_body, message.message_class or ""
        headers = {str(key).title(): str(value) for key, value in message.message_headers.items()}
        subject, sender, sent = message.subject, message.sender, message.sent_date
        recipients = ", ".join(f"{r.name} <{r.email_address}>" for r in message.recipients)
        attachments = [(a.file_name, a.mime_type, a.file_bytes) for a in message.attachments]
    except (AttributeError, LookupError, OSError, TypeError, ValueError, struct.error) as error:
        raise ParseError(f"the Outlook message is damaged: {type(error).__name__}: {error}") from error
    protected = any("encrypted" in (mime or "") or "pkcs7-mime" in (mime or "") for _, mime, _ in attachments)
    if not (body or "").strip() and not (html or "").strip() and (protected or "SMIME" in kind):
        raise ParseError("the Outlook message is encrypted; store a decrypted copy")
    mail = EmailMessage()
    stated = {
        "From": headers.get("From") or sender,
        "To": headers.get("To") or recipients,
        "Cc": headers.get("Cc"),
        "Date": headers.get("Date") or (format_datetime(sent) if sent else None),
        "Subject": subject or headers.get("Subject"),
        "Message-ID": headers.get("Message-Id"),
    }
    for key, value in stated.items():
        if value:
            mail[key] = " ".join(value.split())
    mail.set_content((body or "").replace("\r\n", "\n"))
    if html:
        mail.add_alternative(html, subtype="html")
    for file_name, mime, content in attachments:
        main, _, sub = (mime or "application/octet-stream").partition("/")
        main, sub = (
            (main, sub) if main not in ("message", "multipart") and sub else ("application", "octet-stream")
        )
        mail.add_attachment(content or b"", maintype=main, subtype=sub, filename=file_name or "attachment")
    return mail.as_bytes()


def _image(data: bytes, media_type: str) -> ParsedDocument:
    if find("tesseract") is None:
        raise require("tesseract", f"is an image ({media_type}); its text is read by OCR")
    suffix = "." + media_type.partition("/")[2]
    text = (
        read_image(data, suffix)
        if media_type in _OCR_READS
        else read_image(_as_png(data, media_type), ".png")
    )
    builder = DocumentBuilder()
    for paragraph in re.split(r"\n\s*\n", text):
        builder.add(ElementKind.PARAGRAPH, paragraph, page=1)
    if not builder.length:
        raise ParseError("OCR found no text in the image")
    return builder.build(media_type, f"longtail/{VERSION}+tesseract", pages=1)


def _as_png(data: bytes, media_type: str) -> bytes:
    from PIL import Image, UnidentifiedImageError

    out = BytesIO()
    try:
        with Image.open(BytesIO(data)) as image:
            image.convert("RGB").save(out, format="PNG")
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError) as error:
        raise ParseError(f"the image cannot be read ({media_type}): convert it to PNG or JPEG") from error
    return out.getvalue()


def preload() -> None:
    """Import the libraries; LibreOffice's output goes to the office parsers."""
    for library in ("email.message", "oxmsg"):
        importlib.import_module(library)
    office.preload()
